//! Says on the topic of seals that the seal is another: at once when it was quiet, else once in a while for all changes
//! since. Never when nothing changed.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use glint::Name;
use glint::json::{object, write_ascii_string};
use prometheus::IntCounter;
use registry::{Delta, Seal, Snapshot};

use super::Sigils;
use crate::emitter::{Commit, Entry};

/// Most URLs that one announcement lists, and most bytes of them. Who wants more reads pages or reconciles.
const LISTED: usize = 256;
const LISTED_BYTES: usize = 64 * 1024;

/// What is to be announced.
#[derive(Debug)]
pub(super) struct Announcer {
    /// The seal that was announced last, if any was.
    announced: Option<Seal>,
    /// Entries of then.
    announced_total: usize,
    /// What was added since, the first so many.
    added: Vec<Arc<str>>,
    added_bytes: usize,
    added_count: usize,
    every: Duration,
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
            announced,
            announced_total: now.list().len(),
            added: Vec::new(),
            added_bytes: 0,
            added_count: 0,
            every,
            busy: false,
            due: false,
            said,
        }
    }

    pub(super) fn announced(&self) -> Option<Seal> {
        self.announced
    }

    /// At a start: what was announced last may not be what was kept last.
    pub(super) fn start(&mut self, context: &mut Context<Sigils>) {
        self.due = self.announced.is_some();
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
        let before = announcer.announced;
        let emitter = self.grounds.emitter.clone();
        let work = async move {
            let sealed = now.clone();
            // A large list takes longer to read than uploads may wait.
            let seal = tokio::task::spawn_blocking(move || sealed.seal())
                .await
                .ok()?;
            if before == Some(seal) {
                return Some((seal, now, false));
            }
            let entry = Entry::new(Name::SealUpdate, update(before, seal, &now, &added, count));
            let commit = Commit {
                entries: vec![entry],
            };
            let weight = commit.weight_bytes();
            match emitter.ask(commit, weight).await.and_then(|kept| kept) {
                Ok(_) => Some((seal, now, true)),
                Err(err) => {
                    tracing::warn!(%err, "a seal was not announced; the next announcement covers it");
                    None
                }
            }
        };
        Box::pin(work.into_actor(self).map(|said, office, context| {
            match said {
                Some((seal, now, new)) => {
                    office.announcer.announced = Some(seal);
                    office.announcer.announced_total = now.list().len();
                    office.announcer.said.inc_by(new.into());
                }
                None => office.announcer.due = true,
            }
            context.run_later(office.announcer.every, |office, context| {
                office.announcer.busy = false;
                office.announcer.wake(context);
            });
        }))
    }
}

/// Writes the payload of an announcement.
fn update(
    before: Option<Seal>,
    after: Seal,
    now: &Snapshot,
    added: &[Arc<str>],
    count: usize,
) -> String {
    let mut text =
        String::with_capacity(256 + added.iter().map(|url| url.len() + 4).sum::<usize>());
    let latest = now.latest();
    object(&mut text, |object| {
        match before {
            Some(seal) => object.display("before", seal),
            None => object.json("before", "null"),
        };
        object
            .display("after", after)
            .count("total", now.list().len() as u64)
            .count("added", count as u64)
            .object("latest", |object| {
                object
                    .json("pulse", &latest.pulse.to_string())
                    .json("beat", &latest.beat.to_string())
                    .json("stepIndex", &latest.step.to_string());
            })
            .flag("complete", added.len() == count)
            .array("urls", added, |url, out| write_ascii_string(url, out));
    });
    text
}
