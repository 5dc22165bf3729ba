//! Reading the one order by cursor, for offices: from memory, or from the archive where memory does not go back so far.
//!
//! An office is rung, lifts its clapper, and pulls until there is nothing more. The archive is read on the office's own
//! thread: offices that pull live where nobody waits for them.

use std::sync::Arc;

use glint::Event;
use ledger::LedgerError;

use crate::tail::{History, Tail};

/// A page of the order.
#[derive(Debug)]
pub enum Pull {
    /// Stored events in order, at least one.
    Events(Vec<Arc<Event>>),
    /// Events that are no longer there; the next pull goes on after them.
    Gone {
        /// The last event before them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// There is nothing more yet.
    Head,
}

/// A cursor into the stored events of the order.
#[derive(Debug, Clone)]
pub struct Puller {
    tail: Tail,
    after: u64,
}

impl Puller {
    /// Makes a puller that reads on after event number `after`.
    #[must_use]
    pub fn new(tail: Tail, after: u64) -> Puller {
        Puller { tail, after }
    }

    /// Returns the number of the last event that was pulled.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.after
    }

    /// Pulls up to `max_events` events.
    ///
    /// # Errors
    /// Those of the disk, and damage. The place stays where it was.
    pub fn pull(&mut self, max_events: usize) -> Result<Pull, LedgerError> {
        let head = self.tail.head().seq;
        let page = match (
            self.tail.history(self.after, head, max_events),
            self.tail.archive(),
        ) {
            (History::Archived, Some(archive)) => archive.page_now(self.after, head, max_events)?,
            (page, _) => page,
        };
        Ok(match page {
            History::Events(events) => match events.last() {
                Some(last) => {
                    self.after = last.offset.seq;
                    Pull::Events(events)
                }
                // Records of a later version: there is nothing in them for this one.
                None => self.skip(self.after + 1),
            },
            History::Gone { floor } => self.skip(floor),
            History::Head | History::Archived => Pull::Head,
        })
    }

    fn skip(&mut self, to: u64) -> Pull {
        let from = std::mem::replace(&mut self.after, to);
        Pull::Gone { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::tests;
    use glint::Name;

    fn tail(events: usize, last: u64) -> Tail {
        let tail = tests::tail(events);
        let glint = |seq| tests::event(Name::GlintEmission, seq);
        tail.push((1..=last).map(glint).collect());
        tail
    }

    fn seqs(pull: &Pull) -> Vec<u64> {
        match pull {
            Pull::Events(events) => events.iter().map(|event| event.offset.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_event_is_pulled_once_and_in_order() {
        let mut puller = Puller::new(tail(10, 5), 1);
        assert_eq!(seqs(&puller.pull(3).unwrap()), [2, 3, 4]);
        assert_eq!(seqs(&puller.pull(3).unwrap()), [5]);
        assert!(matches!(puller.pull(3).unwrap(), Pull::Head));
        assert_eq!(puller.position(), 5);
    }

    #[test]
    fn what_is_gone_is_told_once() {
        let mut puller = Puller::new(tail(2, 5), 1);
        assert!(matches!(
            puller.pull(9).unwrap(),
            Pull::Gone { from: 1, to: 3 }
        ));
        assert_eq!(seqs(&puller.pull(9).unwrap()), [4, 5]);
    }
}
