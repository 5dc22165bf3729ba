//! Where a stream begins and ends.

use std::sync::Arc;

use glint::{Event, Offset, Refusal, Stamp};
use ledger::LedgerError;
use sieve::View;

use crate::scribe::Archive;
use crate::tail::{History, Tail};

/// Where a subscriber wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// With what comes next.
    #[default]
    Now,
    /// With the oldest that is still here.
    Earliest,
    /// With the last so many events that match.
    Last(u64),
    /// After the event of this offset.
    After(Offset),
    /// With the first event that was taken at this instant or later.
    Since(Stamp),
}

/// Where a bounded read ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// With the event of this offset.
    At(Offset),
    /// With the last event that was taken before this instant.
    Before(Stamp),
}

/// Events of the archive looked at at once, on the way back.
const STRIDE: u64 = 256;

/// Where a stream really begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// The stored event before the first one to come.
    pub(super) seen: u64,
    /// What was asked for and cannot be had: from, to and why.
    pub(super) gap: Option<(Offset, Offset, &'static str)>,
}

/// Finds the beginning. `head` is the newest stored event that the lanes have seen.
pub(super) fn resolve(from: From, view: &View, head: u64, tail: &Tail) -> Start {
    let floor = tail.floor();
    let whole = |seen| Start { seen, gap: None };
    match from {
        From::Now => whole(head),
        From::Earliest => whole(floor.seq),
        From::Last(count) => whole(rewind(count, view, head, tail)),
        From::After(cursor) if cursor.epoch != floor.epoch => Start {
            seen: floor.seq,
            gap: Some((cursor, floor, "unknown_epoch")),
        },
        From::After(cursor) if cursor.seq < floor.seq => Start {
            seen: floor.seq,
            gap: Some((cursor, floor, "evicted")),
        },
        From::After(cursor) if cursor.seq > head => {
            let end = Offset { seq: head, ..floor };
            Start {
                seen: head,
                gap: Some((cursor, end, "unknown_cursor")),
            }
        }
        From::After(cursor) => whole(cursor.seq),
        From::Since(stamp) => {
            let seen = tail.last_before(stamp).min(head);
            let begin = Offset { seq: 0, ..floor };
            // What was evicted may have been taken since as well.
            let is_cut = seen == floor.seq && floor.seq > 0;
            Start {
                seen,
                gap: is_cut.then_some((begin, floor, "evicted")),
            }
        }
    }
}

/// Finds the end of a bounded read.
///
/// # Errors
/// `to_malformed`, when the end is not in the past of this broker.
pub(super) fn resolve_end(to: To, head: u64, tail: &Tail, now: Stamp) -> Result<u64, Refusal> {
    let refuse = |detail: &str| Err(Refusal::invalid("to_malformed", detail).on("to"));
    match to {
        To::At(cursor) if cursor.epoch != tail.epoch() => {
            refuse("to is a cursor of another life of this broker; take one of this epoch")
        }
        To::At(cursor) if cursor.seq > head => {
            refuse("to lies behind the newest event; leave it out and set a limit or a timeout")
        }
        To::At(cursor) => Ok(cursor.seq),
        To::Before(stamp) if stamp > now => {
            refuse("to lies in the future; leave it out and set a timeout")
        }
        To::Before(stamp) => Ok(tail.last_before(stamp).min(head)),
    }
}

/// Walks back from `head` until `count` events matched, or there is no more past.
fn rewind(count: u64, view: &View, head: u64, tail: &Tail) -> u64 {
    let Ok(wanted @ 1..) = usize::try_from(count) else {
        return head;
    };
    let last = tail.newest_that(wanted, |event| {
        event.offset.seq <= head && view.matches(event)
    });
    match last.first() {
        Some(first) if last.len() == wanted => first.offset.seq - 1,
        _ => tail.floor().seq,
    }
}

/// Turns "the last so many" into a place, with the help of the archive where memory does not go back far enough.
///
/// Every other beginning stays as it is. This reads the disk, so it is done before a worker opens the stream.
///
/// # Errors
/// Those of the disk, and damage.
pub async fn settle(from: From, view: &View, tail: &Tail) -> Result<From, LedgerError> {
    let (From::Last(count), Some(archive)) = (from, tail.archive()) else {
        return Ok(from);
    };
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let in_memory = tail.newest_that(wanted, |event| view.matches(event));
    let mut left = wanted - in_memory.len();
    if left == 0 {
        return Ok(from);
    }
    let mut end = tail.memory_floor();
    while left > 0 && end > archive.floor() {
        let begin = end.saturating_sub(STRIDE).max(archive.floor());
        let events = between(archive, begin, end).await?;
        end = begin;
        for event in events.iter().rev().filter(|event| view.matches(event)) {
            end = event.offset.seq - 1;
            left -= 1;
            if left == 0 {
                break;
            }
        }
        end = if left > 0 { begin } else { end };
    }
    let epoch = tail.epoch();
    Ok(From::After(Offset { epoch, seq: end }))
}

/// Reads all events after `after` up to `until`, few as they are.
async fn between(
    archive: &Archive,
    after: u64,
    until: u64,
) -> Result<Vec<Arc<Event>>, LedgerError> {
    let (mut events, mut seen) = (Vec::new(), after);
    while let History::Events(page) = archive.page(seen, until, STRIDE as usize).await? {
        seen = page.last().map_or(until, |event| event.offset.seq);
        events.extend(page);
    }
    Ok(events)
}

/// The part of history that a bounded read covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The stored event before the first one.
    pub seen: u64,
    /// The last stored event.
    pub until: u64,
    /// What was asked for and cannot be had: from, to and why.
    pub gap: Option<(Offset, Offset, &'static str)>,
}

impl Tail {
    /// Finds the part of history from `from` to `to`, at most up to now.
    ///
    /// # Errors
    /// `to_malformed`, when the end is not in the past of this broker.
    pub fn reach(
        &self,
        from: From,
        to: Option<To>,
        view: &View,
        now: Stamp,
    ) -> Result<Reach, Refusal> {
        let head = self.head().seq;
        let until = to
            .map(|to| resolve_end(to, head, self, now))
            .transpose()?
            .unwrap_or(head);
        let Start { seen, gap } = resolve(from, view, head, self);
        Ok(Reach { seen, until, gap })
    }
}
