//! The only way to send a message: bounded in count and in bytes, counted, with a time limit.
//!
//! actix mailboxes are fast and nothing else: `do_send` ignores the bound and drops errors, and `try_send` has a bound
//! for each clone of the address. So a message takes a place first, and the place travels with it until it is handled:
//! a sender that gives up does not make room for another.

pub(crate) mod wakes;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use glint::{Refusal, RefusalKind, Topics};
use prometheus::{IntCounter, IntGauge};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// How long an office may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bound of an office's mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Messages that may wait.
    pub count: usize,
    /// Bytes that may wait.
    pub bytes: usize,
}

/// A message with its place in the mailbox, which is free again when the letter is dropped.
///
/// A handler that answers later moves the whole letter into its future, not only the message.
#[derive(Debug)]
pub struct Letter<M> {
    /// The message.
    pub message: M,
    place: Place,
}

impl<M> Letter<M> {
    /// Takes the letter apart: the message, and its place in the mailbox, which is free when that is dropped.
    #[must_use]
    pub fn open(self) -> (M, Place) {
        (self.message, self.place)
    }
}

impl<M: Message> Message for Letter<M> {
    type Result = M::Result;
}

/// A place in a mailbox. Dropping it makes room.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    weight: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.leave(self.weight);
    }
}

/// What there is room for in a mailbox, and what waits there. Nobody ever waits to get in, so counters do.
#[derive(Debug)]
struct Room {
    office: &'static str,
    bound: Bound,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    waiting: IntGauge,
    waiting_bytes: IntGauge,
    refused: IntCounter,
}

impl Room {
    /// Takes a place, if one is left.
    fn enter(self: &Arc<Self>, weight: usize) -> Option<Place> {
        let add = |counter: &AtomicUsize, more: usize, bound: usize| {
            let sum = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= bound);
            counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
        };
        add(&self.messages, 1, self.bound.count).ok()?;
        if add(&self.bytes, weight, self.bound.bytes).is_err() {
            self.messages.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.waiting.inc();
        self.waiting_bytes.add(weight as i64);
        Some(Place {
            room: self.clone(),
            weight,
        })
    }

    fn leave(&self, weight: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
        self.waiting.dec();
        self.waiting_bytes.sub(weight as i64);
    }
}

/// The address of an office. Cloning shares its mailbox.
#[derive(Debug)]
pub struct Post<A: Actor> {
    addr: Addr<A>,
    room: Arc<Room>,
}

impl<A: Actor> Clone for Post<A> {
    fn clone(&self) -> Self {
        Post {
            addr: self.addr.clone(),
            room: self.room.clone(),
        }
    }
}

impl<A: Actor> Post<A> {
    /// Opens the mailbox of `office`. All senders must share this post: the bound is its own.
    #[must_use]
    pub fn new(addr: Addr<A>, office: &'static str, bound: Bound, metrics: &Metrics) -> Post<A> {
        let room = Room {
            office,
            bound,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            waiting: metrics.mail_waiting.with_label_values(&[office]),
            waiting_bytes: metrics.mail_waiting_bytes.with_label_values(&[office]),
            refused: metrics.mail_refused.with_label_values(&[office]),
        };
        Post {
            addr,
            room: Arc::new(room),
        }
    }

    /// Sends a message of `weight` bytes and waits for the answer, in a task of an actix system.
    ///
    /// # Errors
    /// `office_full` when the mailbox is at its bound, `office_late` after ten seconds, `office_gone` when the actor is
    /// no more.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the message back.
    pub async fn ask<M>(&self, message: M, weight: usize) -> Result<M::Result, Refusal>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<Letter<M>>,
        A::Context: ToEnvelope<A, Letter<M>>,
    {
        let letter = self.stamp(message, weight)?;
        self.wait(self.addr.send(letter)).await
    }

    /// Waits for an answer of the office, as [`Post::ask`] does.
    pub(crate) async fn wait<T, E>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Refusal> {
        match wakes::together(timeout(PATIENCE, answer)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.refusal(RefusalKind::Internal, "office_gone")),
            Err(_) => {
                let refusal = self.refusal(RefusalKind::Busy, "office_late");
                Err(refusal.retry_after(1))
            }
        }
    }

    /// Sends a message of `weight` bytes and does not wait.
    ///
    /// # Errors
    /// `office_full` when the mailbox is at its bound. A dead office shows through its tripwire, not here.
    pub fn tell<M>(&self, message: M, weight: usize) -> Result<(), Refusal>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<Letter<M>>,
        A::Context: ToEnvelope<A, Letter<M>>,
    {
        let letter = self.stamp(message, weight)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the place in the letter is the bound"
        )]
        self.addr.do_send(letter);
        Ok(())
    }

    fn stamp<M>(&self, message: M, weight: usize) -> Result<Letter<M>, Refusal> {
        let place = self.enter(weight)?;
        Ok(Letter { message, place })
    }

    /// Takes a place for something of `weight` bytes.
    pub(crate) fn enter(&self, weight: usize) -> Result<Place, Refusal> {
        // Heavier than the whole mailbox: it gets in alone.
        let weight = weight.min(self.room.bound.bytes);
        self.room.enter(weight).ok_or_else(|| {
            self.room.refused.inc();
            let refusal = self.refusal(RefusalKind::Busy, "office_full");
            refusal.retry_after(1)
        })
    }

    fn refusal(&self, kind: RefusalKind, code: &'static str) -> Refusal {
        let (office, bound) = (self.room.office, self.room.bound);
        let detail = match code {
            "office_full" => format!(
                "the {office} is at its bound of {} messages or {} bytes; try again later",
                bound.count, bound.bytes
            ),
            "office_late" => format!(
                "the {office} took longer than {} s; try again later",
                PATIENCE.as_secs()
            ),
            _ => format!("the {office} is gone; the broker is about to stop"),
        };
        Refusal::new(kind, code, detail)
    }
}

/// "Look at your source again." Carries nothing: whoever is rung reads on from its own cursor.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ring;

/// Rings one office. However often it is rung, at most one [`Ring`] waits in its mailbox.
#[derive(Debug, Clone)]
pub struct Bell {
    tongue: Arc<Tongue>,
    recipient: Recipient<Ring>,
}

#[derive(Debug, Default)]
struct Tongue {
    /// A ring is on its way.
    rung: AtomicBool,
    /// The place of the event from which on it rings.
    from: AtomicU64,
}

impl Bell {
    /// Makes a bell and the clapper that the office must lift before it looks.
    #[must_use]
    pub fn new(recipient: Recipient<Ring>) -> (Bell, Clapper) {
        let tongue = Arc::new(Tongue::default());
        let clapper = Clapper {
            tongue: tongue.clone(),
        };
        (Bell { tongue, recipient }, clapper)
    }

    /// Rings, unless a ring is on its way already.
    pub fn ring(&self) {
        if !self.tongue.rung.swap(true, Ordering::AcqRel) {
            #[expect(clippy::disallowed_methods, reason = "one ring at most is under way")]
            self.recipient.do_send(Ring);
        }
    }

    fn ring_for(&self, head: u64) {
        // Who lifts the clapper looks at the tail afterwards, and the lock of the tail lies between: nothing is missed.
        if head >= self.tongue.from.load(Ordering::Relaxed) {
            self.ring();
        }
    }
}

/// The office's side of a [`Bell`].
#[derive(Debug)]
pub struct Clapper {
    tongue: Arc<Tongue>,
}

impl Clapper {
    /// Makes the bell ring again. Call this before looking: what comes after the look then rings anew.
    pub fn lift(&self) {
        self.tongue.rung.store(false, Ordering::Release);
    }

    /// The same, but it rings only once the event at place `from` is there.
    pub fn lift_from(&self, from: u64) {
        self.tongue.from.store(from, Ordering::Relaxed);
        self.lift();
    }
}

/// What bells are rung for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The topics of the events.
    pub topics: Topics,
    /// The newest stored event.
    pub head: u64,
}

/// Who is to be rung, and for which topics; shared by who rings.
#[derive(Debug, Clone, Default)]
pub struct Bells {
    bells: Arc<Mutex<Vec<(Bell, Topics)>>>,
}

impl Bells {
    /// Adds a bell, and then rings it: what came before may have been missed.
    pub fn add(&self, bell: Bell, topics: Topics) {
        let added = bell.clone();
        self.lock().push((bell, topics));
        added.ring();
    }

    /// Rings those who want to know. To wake a thread that has no use for the news costs more than they do.
    pub fn ring(&self, news: News) {
        for (bell, topics) in self.lock().iter() {
            if topics.overlaps(news.topics) {
                bell.ring_for(news.head);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Bell, Topics)>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
