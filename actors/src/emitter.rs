//! The emitter: every event of the broker gets its place in the one order here, and nowhere else.
//!
//! For each offer of glints:
//! 1. refuse, if the broker is draining;
//! 2. answer with the first receipt, if the idempotency key was seen with the same content;
//! 3. give each glint its offset, its number within the topic and its stamp, unless it came before, whole and with an id
//!    of its own, and the offer has no key: then it has them;
//! 4. append to the tail and ring the workers;
//! 5. answer with the receipts.
//!
//! The broker's own events get their places in the same order: through [`Announce`] what may be missed (the breath),
//! through [`Commit`] what others rely on, answered when it is kept.

mod commit;
mod counts;
mod idempotency;
mod kept;
mod repeats;
mod shares;
mod tray;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix::prelude::*;
use coherence::Verdict;
use glint::{Draft, Event, Name, Offset, Refusal, RefusalKind, Stamp, Topic};

pub use self::commit::{Commit, Entry};
pub use self::counts::{Counts, CountsHandle, MAX_WORDS};
pub use self::idempotency::{Key, Window};
use self::idempotency::{Memory, Recall};
use self::kept::{Kept, Placed, Way};
use self::repeats::Repeats;
pub use self::shares::{InFlight, Shares};
pub use self::tray::Tray;

use crate::clock::Clock;
use crate::coherence::{Gate, Meters};
use crate::mail::{Bells, Letter};
use crate::metrics::Metrics;
use crate::scribe::{Print, Remembered, Restored, Scribe};
use crate::tail::Tail;
use crate::warden::Tripwire;

/// Ids that are remembered to tell that one is used again.
const RECENT_IDS: usize = 65_536;

/// Seconds after which a publisher that was turned away while draining finds another process here.
const DRAIN_RETRY_SECONDS: u32 = 5;

/// Glints that are offered, through a [`Tray`]: all of them are taken, in this order and without others between, or none.
#[derive(Debug)]
pub struct Offer {
    /// The glints.
    pub drafts: Vec<Draft>,
    /// What makes a repetition the same.
    pub once: Once,
}

/// What makes that which comes again the same, so that it is not taken twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// The key of the offer.
    Key(Key),
    /// The whole content of a glint with an id of its own.
    Content,
    /// Nothing: whatever comes is taken.
    Never,
}

impl Offer {
    /// Returns the weight of the offer in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.drafts
            .iter()
            .map(|draft| draft.text.len() + size_of::<Draft>())
            .sum()
    }
}

/// Announces an event of the broker's own.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// What happened.
    pub name: Name,
    /// The phase in which it did.
    pub phase: &'static str,
    /// When.
    pub stamp: Stamp,
    /// The payload: one line of ASCII JSON, an object.
    pub text: String,
}

/// From now on nothing is taken from outside.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Close;

/// What the sender of an offer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One for each glint, in order.
    pub items: Arc<[Item]>,
    /// Whether this is the receipt of an earlier offer with the same key.
    pub replayed: bool,
}

/// The receipt of one glint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, as it came or minted.
    pub id: Box<str>,
    /// Its place in the order.
    pub offset: Offset,
}

/// The actor.
#[derive(Debug)]
pub struct Emitter {
    clock: Clock,
    tail: Tail,
    counts: CountsHandle,
    metrics: Metrics,
    bells: Bells,
    /// Where events go to be kept; none keeps them in memory alone.
    scribe: Option<Scribe>,
    memory: Memory,
    repeats: Repeats,
    recent: RecentIds,
    next_seq: u64,
    topic_seqs: [u64; Topic::ALL.len()],
    closed: bool,
    gate: Option<(Gate, Meters)>,
    _tripwire: Tripwire,
}

impl Emitter {
    /// Makes an emitter that gives the places after the head of `tail`, and keeps events in memory alone.
    #[must_use]
    pub fn new(
        clock: Clock,
        tail: Tail,
        window: Window,
        metrics: Metrics,
        tripwire: Tripwire,
    ) -> Emitter {
        Emitter {
            clock,
            counts: CountsHandle::default(),
            bells: Bells::default(),
            scribe: None,
            memory: Memory::new(window),
            repeats: Repeats::new(Window {
                keys: 0,
                seconds: 0,
            }),
            recent: RecentIds::default(),
            next_seq: tail.head().seq + 1,
            topic_seqs: [0; Topic::ALL.len()],
            closed: false,
            gate: None,
            tail,
            metrics,
            _tripwire: tripwire,
        }
    }

    /// Has everything kept by `scribe`, which rings `bells`, and goes on where the life before ended.
    #[must_use]
    pub fn kept_by(mut self, scribe: Scribe, bells: Bells, restored: Restored) -> Emitter {
        let now = self.clock.now();
        self.next_seq = restored.last_seq + 1;
        self.topic_seqs = restored.topic_seqs;
        // Heartbeats are not kept, and a number must not come twice: no process beats faster than once a millisecond.
        let age_ms = now.0 / 1000 - i64::try_from(self.tail.epoch()).unwrap_or(0) * 1000;
        self.topic_seqs[Topic::Heartbeat.index()] = u64::try_from(age_ms).unwrap_or(0);
        for (offer, events) in restored.offers {
            let Ok(key) = Key::new(&offer.key) else {
                continue;
            };
            let stamp = events.first().map_or(now, |event| event.stamp);
            let item = |event: Event| Item {
                id: event.id.unwrap_or_default(),
                offset: event.offset,
            };
            let items = events.into_iter().map(item).collect();
            self.memory.remember(key, offer.content, items, stamp);
        }
        self.bells = bells;
        self.scribe = Some(scribe);
        self
    }

    /// Has glints that come again whole, with ids of their own, get the places that they have, within `window`; those of
    /// the life before included. Without this, each is another glint.
    #[must_use]
    pub fn remembering(mut self, window: Window, glints: Vec<(Print, Offset, Stamp)>) -> Emitter {
        self.repeats = Repeats::new(window);
        for (print, offset, stamp) in glints {
            self.repeats.remember(print, offset, stamp);
        }
        self
    }

    /// Has glints pass `gate`, and tells `meters` what it did with them.
    #[must_use]
    pub fn gated_by(mut self, gate: Gate, meters: Meters) -> Emitter {
        self.gate = Some((gate, meters));
        self
    }

    /// Returns who is rung when there is news.
    #[must_use]
    pub fn bells(&self) -> Bells {
        self.bells.clone()
    }

    /// Returns the counts that this emitter keeps, for readers.
    #[must_use]
    pub fn counts(&self) -> CountsHandle {
        self.counts.clone()
    }

    fn accept(&mut self, offer: Offer) -> Result<Placed, Refusal> {
        if self.closed {
            let refusal = Refusal::new(
                RefusalKind::Unavailable,
                "draining",
                "this broker is stopping; publish again later",
            );
            return Err(refusal.retry_after(DRAIN_RETRY_SECONDS));
        }
        self.check_room()?;
        let now = self.clock.now();
        let keyed = match &offer.once {
            Once::Key(key) => Some((key.clone(), idempotency::content(&offer.drafts))),
            Once::Content | Once::Never => None,
        };
        if let Some((key, content)) = &keyed {
            match self.memory.recall(key, *content, now) {
                Recall::New => {}
                Recall::Same(items) => {
                    self.metrics.replayed_receipts.inc();
                    // The first offer may not be kept yet: nothing is handed over, but it is waited for like something.
                    return Ok(Placed::new(items, true));
                }
                Recall::Other => return Err(idempotency::other_content()),
            }
        }
        let remembered = keyed.as_ref().map(|(key, content)| Remembered {
            key: key.as_str().into(),
            content: *content,
            events: u32::try_from(offer.drafts.len()).unwrap_or(u32::MAX),
        });
        self.admit(&offer.drafts, now)?;
        let (items, events) = self.place(offer.drafts, &offer.once, now);
        let replayed = events.is_empty() && !items.is_empty();
        if replayed {
            self.metrics.replayed_receipts.inc();
        }
        if let Some((key, content)) = keyed {
            self.memory.remember(key, content, items.clone(), now);
            self.metrics.idempotency_keys.set(self.memory.len() as i64);
        }
        Ok(Placed {
            events,
            key: remembered,
            ..Placed::new(items, replayed)
        })
    }

    /// Refuses what the gate holds back: the offer as a whole, since it is taken as a whole.
    fn admit(&self, drafts: &[Draft], now: Stamp) -> Result<(), Refusal> {
        let Some((gate, meters)) = self.gate.as_ref().filter(|(gate, _)| !gate.is_empty()) else {
            return Ok(());
        };
        let began = self.clock.instant();
        let admitted = drafts.iter().try_for_each(|draft| {
            let admitted = gate.admit(draft.source.as_deref(), now);
            admitted.inspect_err(|_| meters.actions.with_label_values(&["hold_back"]).inc())
        });
        let took = self.clock.instant().duration_since(began);
        meters.seconds.observe(took.as_secs_f64());
        admitted
    }

    /// Returns as what a glint of `source` goes out: where it is set apart, its place in the order stays.
    fn name(&self, source: Option<&str>, now: Stamp) -> Name {
        let Some((gate, meters)) = &self.gate else {
            return Name::GlintEmission;
        };
        let verdict = gate
            .judge(source, now)
            .map_or(Verdict::Pass, |judged| judged.verdict);
        if verdict != Verdict::Pass {
            meters.actions.with_label_values(&[verdict.as_str()]).inc();
        }
        match verdict {
            Verdict::Pass | Verdict::Flag => Name::GlintEmission,
            Verdict::Quarantine => Name::GlintQuarantined,
            Verdict::Dissipate => Name::GlintDissipated,
        }
    }

    /// Gives each glint its place. What is there already has one, where contents say what comes again.
    fn place(&mut self, drafts: Vec<Draft>, once: &Once, now: Stamp) -> (Arc<[Item]>, Vec<Event>) {
        let mut items = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            // A minted id never comes again.
            let may_repeat = self.repeats.is_on() && !draft.minted && *once != Once::Never;
            let print = may_repeat.then(|| Print::of(&draft.text));
            let first = print
                .filter(|_| *once == Once::Content)
                .and_then(|print| self.repeats.recall(print, now));
            if let Some(offset) = first {
                items.push(Item {
                    id: draft.id,
                    offset,
                });
                continue;
            }
            self.counts.add(&draft);
            let name = self.name(draft.source.as_deref(), now);
            let (offset, topic_seq) = self.next(name.topic());
            if let Some(print) = print {
                self.repeats.remember(print, offset, now);
            }
            items.push(Item {
                id: draft.id.clone(),
                offset,
            });
            events.push(Event {
                name,
                offset,
                topic_seq,
                stamp: now,
                repeats_id: !draft.minted && self.recent.note(&draft.id),
                id: Some(draft.id),
                source: draft.source,
                phase: draft.phase,
                text: draft.text,
            });
        }
        self.metrics.glints.inc_by(events.len() as u64);
        self.metrics.repeat_glints.set(self.repeats.len() as i64);
        (items.into(), events)
    }

    fn announce(&mut self, announce: Announce) {
        let mut entry = Entry::new(announce.name, announce.text);
        entry.phase = Some(announce.phase.into());
        match self.commit(vec![entry], announce.stamp) {
            Ok(placed) => self.way().take(placed, None),
            Err(err) => tracing::error!(%err, "an event of the breath is lost"),
        }
    }

    fn commit(&mut self, entries: Vec<Entry>, stamp: Stamp) -> Result<Placed, Refusal> {
        self.check_room()?;
        let mut items = Vec::with_capacity(entries.len());
        let mut events = Vec::with_capacity(entries.len());
        for entry in entries {
            let (offset, topic_seq) = self.next(entry.name.topic());
            let id = entry.id.clone().unwrap_or_default();
            items.push(Item { id, offset });
            events.push(entry.placed(offset, topic_seq, stamp));
        }
        Ok(Placed {
            events,
            ..Placed::new(items.into(), false)
        })
    }

    /// What will not be taken must not have a place: the order has no holes.
    fn check_room(&self) -> Result<(), Refusal> {
        self.scribe.as_ref().map_or(Ok(()), Scribe::check_room)
    }

    /// The next place of `topic`. An event that is not stored shares the place of the stored one before it.
    fn next(&mut self, topic: Topic) -> (Offset, u64) {
        self.topic_seqs[topic.index()] += 1;
        if topic.is_stored() {
            self.next_seq += 1;
        }
        (
            Offset {
                epoch: self.tail.epoch(),
                seq: self.next_seq - 1,
            },
            self.topic_seqs[topic.index()],
        )
    }

    fn way(&self) -> Way {
        match &self.scribe {
            Some(scribe) => Way::Disk(scribe.clone()),
            None => Way::Memory(self.tail.clone(), self.bells.clone()),
        }
    }
}

impl Actor for Emitter {
    type Context = Context<Self>;
}

impl Handler<Letter<Commit>> for Emitter {
    type Result = Kept;

    fn handle(&mut self, letter: Letter<Commit>, _: &mut Self::Context) -> Self::Result {
        let (commit, place) = letter.open();
        let placed = self.commit(commit.entries, self.clock.now());
        Kept(placed, self.way(), place)
    }
}

impl Handler<Letter<Announce>> for Emitter {
    type Result = ();

    fn handle(&mut self, letter: Letter<Announce>, _: &mut Self::Context) {
        self.announce(letter.message);
    }
}

impl Handler<Letter<Close>> for Emitter {
    type Result = ();

    fn handle(&mut self, _: Letter<Close>, _: &mut Self::Context) {
        self.closed = true;
    }
}

/// The ids of late, as hashes: a false "seen before" costs a suffix in one dashboard, nothing else.
#[derive(Debug, Default)]
struct RecentIds {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RecentIds {
    /// Notes `id` and tells whether it was noted before.
    fn note(&mut self, id: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > RECENT_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests;
