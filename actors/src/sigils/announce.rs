//! Says on the topic of seals that the seal is another: at once when it was quiet, else once in a while for all changes
//! since. Never when nothing changed.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use glint::Name;
use glint::json::{Object, object, write_ascii_string};
use prometheus::IntCounter;
use registry::{Delta, Seal, Snapshot};

use super::{Sigils, seal_of};
use crate::emitter::{Commit, Entry};

/// Most URLs that one announcement lists, and most bytes of them. Who wants more reads pages or reconciles.
const LISTED: usize = 256;
const LISTED_BYTES: usize = 64 * 1024;

/// What a subscriber to seals is told when it comes. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Board(Arc<ArcSwap<String>>);

impl Board {
    /// Returns the seal, how many entries there are, and the latest: one line of ASCII JSON, an object.
    #[must_use]
    pub fn read(&self) -> Arc<String> {
        self.0.load_full()
    }
}

/// What is to be announced.
#[derive(Debug)]
pub(super) struct Announcer {
    /// The seal that was announced last, if any was.
    announced: Option<Seal>,
    /// What was added since, the first so many.
    added: Vec<Arc<str>>,
    added_bytes: usize,
    added_count: usize,
    /// Whether something was added that is not among them: before this life, or before an announcement that failed.
    partial: bool,
    every: Duration,
    /// What new subscribers are told.
    board: Board,
    /// Whether an announcement is on its way, or the pause after one.
    busy: bool,
    due: bool,
    said: IntCounter,
}

impl Announcer {
    pub(super) fn new(
        announced: Option<Seal>,
        now: &Snapshot,
        every: Duration,
        said: IntCounter,
    ) -> Announcer {
        Announcer {
            board: Board(Arc::new(ArcSwap::from_pointee(standing(now.seal(), now)))),
            announced,
            added: Vec::new(),
            added_bytes: 0,
            added_count: 0,
            partial: false,
            every,
            busy: false,
            due: false,
            said,
        }
    }

    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    pub(super) fn announced(&self) -> Option<Seal> {
        self.announced
    }

    /// At a start: what was announced last may not be what was kept last.
    pub(super) fn start(&mut self, context: &mut Context<Sigils>) {
        self.due = self.announced.is_some();
        self.partial = self.due;
        self.wake(context);
    }

    /// Notes what a batch added.
    pub(super) fn note(&mut self, delta: &Delta) {
        if delta.inserted.is_empty() {
            return;
        }
        self.due = true;
        self.added_count += delta.inserted.len();
        for entry in &delta.inserted {
            if self.added.len() == LISTED || self.added_bytes + entry.url.len() > LISTED_BYTES {
                break;
            }
            self.added_bytes += entry.url.len();
            self.added.push(entry.url.clone());
        }
    }

    /// Announces, if there is something and no announcement is under way.
    pub(super) fn wake(&mut self, context: &mut Context<Sigils>) {
        if self.due && !self.busy {
            (self.due, self.busy) = (false, true);
            context.notify(Announce);
        }
    }
}

/// Works the seal out and announces it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Announce;

impl Handler<Announce> for Sigils {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Announce, _: &mut Self::Context) -> Self::Result {
        let now = self.registry.snapshot();
        let announcer = &mut self.announcer;
        let added = std::mem::take(&mut announcer.added);
        let count = std::mem::take(&mut announcer.added_count);
        announcer.added_bytes = 0;
        let complete = !std::mem::take(&mut announcer.partial) && added.len() == count;
        let before = announcer.announced;
        let (emitter, board) = (self.grounds.emitter.clone(), announcer.board.clone());
        let work = async move {
            let seal = seal_of(&now).await;
            // Before anybody hears of it: a subscriber that comes in between is told it here or there, or both.
            board.0.store(Arc::new(standing(seal, &now)));
            if before == Some(seal) {
                return Some((seal, false));
            }
            let entry = Entry::new(
                Name::SealUpdate,
                update(before, seal, &now, &added, (count, complete)),
            );
            let commit = Commit {
                entries: vec![entry],
            };
            let weight = commit.weight_bytes();
            match emitter.ask(commit, weight).await.and_then(|kept| kept) {
                Ok(_) => Some((seal, true)),
                Err(err) => {
                    tracing::warn!(%err, "a seal was not announced; the next announcement covers it");
                    None
                }
            }
        };
        Box::pin(work.into_actor(self).map(|said, office, context| {
            match said {
                Some((seal, new)) => {
                    office.announcer.announced = Some(seal);
                    office.announcer.said.inc_by(new.into());
                }
                None => {
                    office.announcer.due = true;
                    office.announcer.partial = true;
                }
            }
            context.run_later(office.announcer.every, |office, context| {
                office.announcer.busy = false;
                office.announcer.wake(context);
            });
        }))
    }
}

/// Writes where the registry stands.
fn standing(seal: Seal, now: &Snapshot) -> String {
    let mut text = String::with_capacity(192);
    object(&mut text, |object| {
        object
            .display("seal", seal)
            .count("total", now.list().len() as u64)
            .object("latest", |object| latest(object, now));
    });
    text
}

fn latest(object: &mut Object<'_>, now: &Snapshot) {
    let latest = now.latest();
    object
        .json("pulse", &latest.pulse.to_string())
        .json("beat", &latest.beat.to_string())
        .json("stepIndex", &latest.step.to_string());
}

/// Writes the payload of an announcement.
fn update(
    before: Option<Seal>,
    after: Seal,
    now: &Snapshot,
    added: &[Arc<str>],
    (count, complete): (usize, bool),
) -> String {
    let mut text =
        String::with_capacity(256 + added.iter().map(|url| url.len() + 4).sum::<usize>());
    object(&mut text, |object| {
        match before {
            Some(seal) => object.display("before", seal),
            None => object.json("before", "null"),
        };
        object
            .display("after", after)
            .count("total", now.list().len() as u64)
            .count("added", count as u64)
            .object("latest", |object| latest(object, now))
            .flag("complete", complete)
            .array("urls", added, |url, out| write_ascii_string(url, out));
    });
    text
}
