//! The emitter: every event of the broker gets its place in the one order here, and nowhere else.
//!
//! For each offer of glints:
//! 1. refuse, if the broker is draining;
//! 2. answer with the first receipt, if the idempotency key was seen with the same content;
//! 3. give each glint its offset, its number within the topic and its stamp;
//! 4. append to the tail and ring the workers;
//! 5. answer with the receipts.
//!
//! The broker's own events (the breath) enter through [`Announce`] and get their places in the same order.

mod counts;
mod idempotency;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix::prelude::*;
use glint::{Draft, Event, Name, Offset, Refusal, RefusalKind, Stamp, Topic};

pub use self::counts::{Counts, CountsHandle, MAX_WORDS};
pub use self::idempotency::{Key, Window};
use self::idempotency::{Memory, Recall};
use crate::clock::Clock;
use crate::mail::{Bell, Letter};
use crate::metrics::Metrics;
use crate::tail::Tail;
use crate::warden::Tripwire;

/// Ids that are remembered to tell that one is used again.
const RECENT_IDS: usize = 65_536;

/// Seconds after which a publisher that was turned away while draining finds another process here.
const DRAIN_RETRY_SECONDS: u32 = 5;

/// Offers glints: all of them are taken, in this order and without others between, or none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, Refusal>")]
pub struct Offer {
    /// The glints.
    pub drafts: Vec<Draft>,
    /// What makes a repetition of this offer the same offer.
    pub key: Option<Key>,
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

/// Adds a worker that is to be rung from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddBell(pub Bell);

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
    bells: Vec<Bell>,
    memory: Memory,
    recent: RecentIds,
    next_seq: u64,
    topic_seqs: [u64; Topic::ALL.len()],
    closed: bool,
    _tripwire: Tripwire,
}

impl Emitter {
    /// Makes an emitter that appends to `tail`, which must be empty.
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
            bells: Vec::new(),
            memory: Memory::new(window),
            recent: RecentIds::default(),
            next_seq: tail.head().seq + 1,
            topic_seqs: [0; Topic::ALL.len()],
            closed: false,
            tail,
            metrics,
            _tripwire: tripwire,
        }
    }

    /// Returns the counts that this emitter keeps, for readers.
    #[must_use]
    pub fn counts(&self) -> CountsHandle {
        self.counts.clone()
    }

    fn accept(&mut self, offer: Offer) -> Result<Receipt, Refusal> {
        if self.closed {
            let refusal = Refusal::new(
                RefusalKind::Unavailable,
                "draining",
                "this broker is stopping; publish again later",
            );
            return Err(refusal.retry_after(DRAIN_RETRY_SECONDS));
        }
        let now = self.clock.now();
        let content = offer
            .key
            .as_ref()
            .map(|_| idempotency::content(&offer.drafts));
        if let (Some(key), Some(content)) = (&offer.key, content) {
            match self.memory.recall(key, content, now) {
                Recall::New => {}
                Recall::Same(items) => {
                    self.metrics.replayed_receipts.inc();
                    return Ok(Receipt {
                        items,
                        replayed: true,
                    });
                }
                Recall::Other => return Err(idempotency::other_content()),
            }
        }
        let items = self.place(offer.drafts, now);
        if let (Some(key), Some(content)) = (offer.key, content) {
            self.memory.remember(key, content, items.clone(), now);
            self.metrics.idempotency_keys.set(self.memory.len() as i64);
        }
        Ok(Receipt {
            items,
            replayed: false,
        })
    }

    fn place(&mut self, drafts: Vec<Draft>, now: Stamp) -> Arc<[Item]> {
        let mut items = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        self.counts.add(&drafts);
        for draft in drafts {
            let (offset, topic_seq) = self.next(Topic::Glints);
            items.push(Item {
                id: draft.id.clone(),
                offset,
            });
            events.push(Event {
                name: Name::GlintEmission,
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
        self.publish(events);
        items.into()
    }

    fn announce(&mut self, announce: Announce) {
        let (offset, topic_seq) = self.next(announce.name.topic());
        self.publish(vec![Event {
            name: announce.name,
            offset,
            topic_seq,
            stamp: announce.stamp,
            id: None,
            repeats_id: false,
            source: None,
            phase: Some(announce.phase.into()),
            text: announce.text.into(),
        }]);
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

    fn publish(&self, events: Vec<Event>) {
        self.tail.push(events);
        for bell in &self.bells {
            bell.ring();
        }
    }
}

impl Actor for Emitter {
    type Context = Context<Self>;
}

impl Handler<Letter<Offer>> for Emitter {
    type Result = Result<Receipt, Refusal>;

    fn handle(&mut self, letter: Letter<Offer>, _: &mut Self::Context) -> Self::Result {
        self.accept(letter.message)
    }
}

impl Handler<Letter<Announce>> for Emitter {
    type Result = ();

    fn handle(&mut self, letter: Letter<Announce>, _: &mut Self::Context) {
        self.announce(letter.message);
    }
}

impl Handler<Letter<AddBell>> for Emitter {
    type Result = ();

    fn handle(&mut self, letter: Letter<AddBell>, _: &mut Self::Context) {
        letter.message.0.ring();
        self.bells.push(letter.message.0);
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
