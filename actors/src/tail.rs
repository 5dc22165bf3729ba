//! The recent past, in memory: what was given its place last, for everybody who reads by cursor.
//!
//! Not an actor: one office appends, many threads read, and each holds the lock only to copy a few pointers.
//!
//! Two windows on the same events:
//! - *history*, the stored events, by offset: for replay;
//! - the *feed*, all events in order of arrival, by a running number: for the workers, which are rung and read on. It is
//!   short, as a worker that is this late has its lanes begin anew and lets its streams replay.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glint::{Event, Name, Offset, Stamp, Topic};
use wire::{Change, Standings};

use crate::mail::News;
use crate::metrics::Metrics;
use crate::scribe::Archive;

/// Events that the feed holds.
const FEED_EVENTS: usize = 8192;
/// Bytes that the feed holds beyond its newest event.
const FEED_BYTES: usize = 16 << 20;

/// Events looked at under one lock on the way back.
const STRIDE: u64 = 512;

/// How much past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Stored events.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A page of history.
#[derive(Debug)]
pub enum History {
    /// Events in order, at least one.
    Events(Vec<Arc<Event>>),
    /// Nothing comes after the place that was asked for.
    Head,
    /// What comes next is in the archive.
    Archived,
    /// What comes next is no longer here.
    Gone {
        /// The newest event that is gone: reading goes on after it.
        floor: u64,
    },
}

/// A page of the feed.
#[derive(Debug)]
pub struct Feed {
    /// Events in order of arrival.
    pub events: Vec<Arc<Event>>,
    /// What each of them changed in the document that its topic is.
    pub changes: Vec<Option<Arc<Change>>>,
    /// Where to read on.
    pub next: u64,
    /// The newest stored event when this page was made.
    pub head: u64,
    /// Whether events were missed before this page.
    pub fell: bool,
}

/// The recent past. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Tail {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: u64,
    limits: Limits,
    metrics: Metrics,
    /// When the last glint was taken, in microseconds; `i64::MIN` before the first.
    last_glint: AtomicI64,
    archive: Option<Archive>,
    past: Mutex<Past>,
    /// Apart from the past: the emitter folds documents while others read.
    standings: Mutex<Standings>,
}

#[derive(Debug)]
struct Past {
    /// Stored events without a hole; the first has seq `floor + 1`.
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    floor: u64,
    feed: VecDeque<Fed>,
    feed_bytes: usize,
    feed_from: u64,
}

#[derive(Debug)]
struct Fed {
    event: Arc<Event>,
    change: Option<Arc<Change>>,
}

impl Fed {
    fn weight_bytes(&self) -> usize {
        let change = self
            .change
            .as_ref()
            .map_or(0, |change| change.weight_bytes());
        self.event.weight_bytes() + change
    }
}

impl Past {
    fn head(&self) -> u64 {
        self.floor + self.history.len() as u64
    }
}

impl Tail {
    /// Makes an empty past in `epoch`.
    #[must_use]
    pub fn new(epoch: u64, limits: Limits, metrics: Metrics) -> Tail {
        Tail::over(None, epoch, 0, limits, metrics)
    }

    /// Makes a past of which memory holds nothing yet, and `archive` everything up to `floor`.
    #[must_use]
    pub fn over(
        archive: Option<Archive>,
        epoch: u64,
        floor: u64,
        limits: Limits,
        metrics: Metrics,
    ) -> Tail {
        let past = Past {
            history: VecDeque::new(),
            history_bytes: 0,
            floor,
            feed: VecDeque::new(),
            feed_bytes: 0,
            feed_from: 0,
        };
        let last_glint = AtomicI64::new(i64::MIN);
        Tail {
            shared: Arc::new(Shared {
                epoch,
                limits,
                metrics,
                last_glint,
                archive,
                past: Mutex::new(past),
                standings: Mutex::default(),
            }),
        }
    }

    /// Returns the epoch of all offsets in here.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// Returns about how many events memory holds, of the size of those that are there.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let Limits { events, bytes } = self.shared.limits;
        let past = self.lock();
        match past.history_bytes / past.history.len().max(1) {
            0 => events,
            each => events.min(bytes / each),
        }
    }

    /// Returns the place of the newest stored event.
    #[must_use]
    pub fn head(&self) -> Offset {
        Offset {
            epoch: self.shared.epoch,
            seq: self.lock().head(),
        }
    }

    /// Returns the place before the oldest stored event that can still be read, from memory or from the archive.
    #[must_use]
    pub fn floor(&self) -> Offset {
        let in_memory = self.memory_floor();
        let archived = self.shared.archive.as_ref().map(Archive::floor);
        Offset {
            epoch: self.shared.epoch,
            seq: archived.map_or(in_memory, |floor| floor.min(in_memory)),
        }
    }

    /// Returns the newest stored event that memory does not hold.
    #[must_use]
    pub fn memory_floor(&self) -> u64 {
        self.lock().floor
    }

    /// Returns where events are read that memory does not hold.
    #[must_use]
    pub fn archive(&self) -> Option<&Archive> {
        self.shared.archive.as_ref()
    }

    /// Takes what the life before left, for readers that come back.
    pub fn restore(&self, events: Vec<Event>) {
        let mut past = self.lock();
        for event in events {
            past.history_bytes += event.weight_bytes();
            past.history.push_back(Arc::new(event));
        }
        trim(&mut past, self.shared.limits);
    }

    /// Returns the running number that the feed will give its next event.
    #[must_use]
    pub fn feed_head(&self) -> u64 {
        let past = self.lock();
        past.feed_from + past.feed.len() as u64
    }

    /// Returns when the last glint was taken.
    #[must_use]
    pub fn last_glint(&self) -> Option<Stamp> {
        let micros = self.shared.last_glint.load(Ordering::Relaxed);
        (micros != i64::MIN).then_some(Stamp(micros))
    }

    /// Appends events; stored ones must follow each other in their offsets. Returns what is to be rung for. Only the
    /// emitter calls this.
    pub(crate) fn push(&self, events: Vec<Event>) -> News {
        let metrics = &self.shared.metrics;
        let topics = events.iter().map(Event::topic).collect();
        let mut standings = self.lock_standings();
        let changes: Vec<_> = events.iter().map(|event| standings.fold(event)).collect();
        drop(standings);
        let mut past = self.lock();
        for (event, change) in events.into_iter().zip(changes) {
            let weight = event.weight_bytes();
            if event.name == Name::GlintEmission {
                self.shared
                    .last_glint
                    .store(event.stamp.0, Ordering::Relaxed);
            }
            let event = Arc::new(event);
            if event.topic().is_stored() {
                debug_assert_eq!(event.offset.seq, past.head() + 1, "history has no holes");
                past.history_bytes += weight;
                past.history.push_back(event.clone());
            }
            let fed = Fed { event, change };
            past.feed_bytes += fed.weight_bytes();
            past.feed.push_back(fed);
        }
        let evicted = trim(&mut past, self.shared.limits);
        metrics.tail_evicted.inc_by(evicted);
        metrics.tail_events.set(past.history.len() as i64);
        metrics.tail_bytes.set(past.history_bytes as i64);
        News {
            topics,
            head: past.head(),
        }
    }

    /// Returns up to `max_events` stored events after `after`, none of them after `until`.
    #[must_use]
    pub fn history(&self, after: u64, until: u64, max_events: usize) -> History {
        let past = self.lock();
        if after < past.floor {
            let floor = past.floor;
            drop(past);
            let archived = self.shared.archive.as_ref().map(Archive::floor);
            return match archived {
                Some(gone) if after >= gone && after >= until => History::Head,
                Some(gone) if after >= gone => History::Archived,
                Some(gone) => History::Gone {
                    floor: gone.min(floor),
                },
                None => History::Gone { floor },
            };
        }
        let last = past.head().min(until);
        if after >= last {
            return History::Head;
        }
        let from = (after - past.floor) as usize;
        let count = ((last - after) as usize).min(max_events);
        History::Events(past.history.range(from..from + count).cloned().collect())
    }

    /// Returns the place of the last stored event that was taken before `stamp`: the floor, if all were taken later.
    ///
    /// Where the clock was set back, an event counts as taken when it or a later one says so.
    #[must_use]
    pub fn last_before(&self, stamp: Stamp) -> u64 {
        let past = self.lock();
        let floor = past.floor;
        let found = floor + past.history.partition_point(|event| event.stamp < stamp) as u64;
        drop(past);
        let Some(archive) = self.archive().filter(|_| found == floor) else {
            return found;
        };
        match archive.last_before(stamp) {
            Ok(archived) => archived.min(floor),
            Err(err) => {
                tracing::error!(%err, "the log cannot be searched by time");
                floor
            }
        }
    }

    /// Returns the newest stored events that `keep` wants, `max_events` at most, oldest first.
    ///
    /// The lock is taken for some hundred events at a time, so that a long search does not hold up the emitter.
    #[must_use]
    pub fn newest_that(&self, max_events: usize, keep: impl Fn(&Event) -> bool) -> Vec<Arc<Event>> {
        let mut found = Vec::new();
        let mut end = self.head().seq;
        while found.len() < max_events {
            let begin = end.saturating_sub(STRIDE).max(self.memory_floor());
            let History::Events(events) = self.history(begin, end, STRIDE as usize) else {
                break;
            };
            let wanted = events.into_iter().rev().filter(|event| keep(event));
            found.extend(wanted.take(max_events - found.len()));
            end = begin;
        }
        found.reverse();
        found
    }

    /// Returns up to `max_events` of the feed from running number `from`.
    #[must_use]
    pub fn feed(&self, from: u64, max_events: usize) -> Feed {
        let past = self.lock();
        let fell = from < past.feed_from;
        let start = (from.max(past.feed_from) - past.feed_from) as usize;
        let end = past.feed.len().min(start.saturating_add(max_events));
        let page = past.feed.range(start.min(end)..end);
        let page = page.map(|fed| (fed.event.clone(), fed.change.clone()));
        let (events, changes) = page.unzip();
        Feed {
            events,
            changes,
            next: past.feed_from + end as u64,
            head: past.head(),
            fell,
        }
    }

    /// Returns how the topics stand that are documents, with the newest event.
    #[must_use]
    pub fn standings(&self) -> Standings {
        self.lock_standings().clone()
    }

    /// Says how a topic stands before its first event. `text` is what its subscribers are greeted with.
    pub fn begin(&self, topic: Topic, text: &str) {
        self.lock_standings().begin(topic, text);
    }

    fn lock_standings(&self) -> MutexGuard<'_, Standings> {
        let standings = self.shared.standings.lock();
        standings.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        // Nothing in here panics half way through a change.
        self.shared
            .past
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn trim(past: &mut Past, limits: Limits) -> u64 {
    let mut evicted = 0;
    while past.history.len() > limits.events.max(1)
        || (past.history_bytes > limits.bytes && past.history.len() > 1)
    {
        let Some(event) = past.history.pop_front() else {
            break;
        };
        past.history_bytes -= event.weight_bytes();
        past.floor += 1;
        evicted += 1;
    }
    while past.feed.len() > FEED_EVENTS || (past.feed_bytes > FEED_BYTES && past.feed.len() > 1) {
        let Some(fed) = past.feed.pop_front() else {
            break;
        };
        past.feed_bytes -= fed.weight_bytes();
        past.feed_from += 1;
    }
    evicted
}

#[cfg(test)]
pub(crate) mod tests;
