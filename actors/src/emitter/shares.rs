//! Fair shares of the way to the emitter: one source that floods it cannot keep the others out.
//!
//! As long as less than half of the emitter's mailbox is taken, anybody may send as much as it likes. Beyond that a
//! source may have an eighth of it in flight and is asked to come back for more. When that makes sense is computed from
//! how many offers are in flight and how fast they are answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use glint::{Refusal, RefusalKind};
use prometheus::IntCounter;
use tokio::time::Instant;

use crate::clock::Clock;

/// Part of the mailbox that may be taken before shares count.
const FREE_PART: usize = 2;
/// Part of the mailbox that one source may take from then on.
const SOURCE_PART: usize = 8;
/// Time over which answers are counted.
const WINDOW: Duration = Duration::from_secs(2);
/// Longest time after which a sender is asked to come back, in seconds.
const MAX_RETRY_SECONDS: u32 = 60;
/// What anonymous senders are counted as, together.
const ANONYMOUS: &str = "";

/// The shares of all sources that have something in flight. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Shares {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bound: usize,
    clock: Clock,
    refused: IntCounter,
    in_flight: AtomicUsize,
    /// Offers in flight by source; a source without any has no entry, so there are never more than offers.
    by_source: DashMap<Box<str>, usize>,
    pace: Mutex<Pace>,
}

/// How fast offers are answered.
#[derive(Debug)]
struct Pace {
    since: Instant,
    answered: u64,
    per_second: f64,
}

/// An offer in flight. Dropping it is its end.
#[derive(Debug)]
pub struct InFlight {
    shares: Shares,
    source: Box<str>,
}

impl Shares {
    /// Makes shares of a mailbox of `bound` offers.
    #[must_use]
    pub fn new(bound: usize, clock: Clock, refused: IntCounter) -> Shares {
        let pace = Pace {
            since: clock.instant(),
            answered: 0,
            per_second: 0.0,
        };
        let inner = Inner {
            bound,
            clock,
            refused,
            in_flight: AtomicUsize::new(0),
            by_source: DashMap::new(),
            pace: Mutex::new(pace),
        };
        Shares {
            inner: Arc::new(inner),
        }
    }

    /// Lets an offer of `source` in.
    ///
    /// # Errors
    /// `source_over_share`, with the time after which there should be room.
    pub fn enter(&self, source: Option<&str>) -> Result<InFlight, Refusal> {
        let source = source.unwrap_or(ANONYMOUS);
        let all = self.inner.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let own = {
            let mut own = self.inner.by_source.entry(source.into()).or_insert(0);
            *own += 1;
            *own
        };
        // Dropped on refusal, it takes back what was counted.
        let ticket = InFlight {
            shares: self.clone(),
            source: source.into(),
        };
        if all > self.inner.bound / FREE_PART && own > (self.inner.bound / SOURCE_PART).max(1) {
            self.inner.refused.inc();
            let detail = format!(
                "the broker is busy and this source has {own} publishes in flight, more than its share; publish again later"
            );
            let refusal = Refusal::new(RefusalKind::Busy, "source_over_share", detail);
            return Err(refusal.retry_after(self.retry_after_seconds()));
        }
        Ok(ticket)
    }

    /// Returns after how many seconds what is in flight now should be answered.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u32 {
        let waiting = self.inner.in_flight.load(Ordering::Relaxed) as f64;
        let pace = self
            .inner
            .pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let seconds = if pace.per_second > 0.0 {
            waiting / pace.per_second
        } else {
            1.0
        };
        (seconds.ceil() as u32).clamp(1, MAX_RETRY_SECONDS)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let inner = &self.shares.inner;
        inner.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut own) = inner.by_source.get_mut(&self.source) {
            *own -= 1;
        }
        inner.by_source.remove_if(&self.source, |_, own| *own == 0);
        let now = self.shares.inner.clock.instant();
        let mut pace = inner.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.answered += 1;
        let passed = now.duration_since(pace.since);
        if passed >= WINDOW {
            pace.per_second = pace.answered as f64 / passed.as_secs_f64();
            pace.answered = 0;
            pace.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(bound: usize) -> Shares {
        let refused = IntCounter::new("refused", "Refused.").expect("a counter");
        Shares::new(bound, Clock::system(), refused)
    }

    #[test]
    fn one_source_that_floods_does_not_keep_the_others_out() {
        let shares = shares(64);
        let enter = |source| shares.enter(Some(source));
        let mut flood = Vec::new();
        let refusal = loop {
            match enter("flood") {
                Ok(ticket) => flood.push(ticket),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(flood.len(), 32, "half of the mailbox is free for all");
        assert_eq!(
            (refusal.kind, refusal.code),
            (RefusalKind::Busy, "source_over_share")
        );
        assert!(refusal.retry_after_seconds.is_some());
        let others: Vec<_> = (0..8)
            .map(|_| enter("quiet").expect("a share of its own"))
            .collect();
        assert!(enter("quiet").is_err(), "a share is an eighth");
        assert!(enter("third").is_ok());
        drop(others);
        drop(flood);
        assert!(enter("flood").is_ok());
        assert!(
            shares.inner.by_source.is_empty(),
            "who has nothing in flight leaves nothing"
        );
        assert_eq!(shares.inner.in_flight.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_come_back_follows_from_the_pace() {
        let shares = shares(1000);
        assert_eq!(shares.retry_after_seconds(), 1);
        for _ in 0..20 {
            let ticket = shares.enter(Some("a")).expect("room");
            tokio::time::advance(Duration::from_millis(100)).await;
            drop(ticket);
        }
        let waiting: Vec<_> = (0..75)
            .map(|_| shares.enter(Some("a")).expect("room"))
            .collect();
        assert_eq!(
            shares.retry_after_seconds(),
            8,
            "75 in flight at 10 a second"
        );
        drop(waiting);
    }
}
