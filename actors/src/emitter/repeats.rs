//! Glints that come twice: whole, with an id of their own.
//!
//! A publisher that did not hear the answer publishes again. What it published the first time has its place then, and the
//! second time gets the same one. An id alone says nothing: many agents count anew after each start.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};

use glint::{Offset, Stamp};

use super::Window;
use crate::scribe::Print;

/// The glints of late.
#[derive(Debug)]
pub(super) struct Repeats {
    window: Window,
    known: HashMap<Print, Offset>,
    order: VecDeque<(Stamp, Print)>,
}

impl Repeats {
    /// Remembers within `window`; with a window of no seconds, nothing.
    pub(super) fn new(window: Window) -> Repeats {
        Repeats {
            window,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.window.seconds > 0
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the place that a glint got when it came first.
    pub(super) fn recall(&mut self, print: Print, now: Stamp) -> Option<Offset> {
        self.forget(now);
        self.known.get(&print).copied()
    }

    /// Remembers the place of a glint. One that came under another key in between keeps its first.
    pub(super) fn remember(&mut self, print: Print, offset: Offset, now: Stamp) {
        if let Entry::Vacant(place) = self.known.entry(print) {
            place.insert(offset);
            self.order.push_back((now, print));
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Stamp) {
        let oldest = now.plus_micros(-i64::from(self.window.seconds) * 1_000_000);
        while let Some((stamp, print)) = self.order.front() {
            if self.order.len() <= self.window.keys && *stamp > oldest {
                return;
            }
            self.known.remove(print);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glints_are_forgotten_by_age_and_by_number() {
        let mut repeats = Repeats::new(Window {
            keys: 2,
            seconds: 10,
        });
        let at = |seconds: i64| Stamp(seconds * 1_000_000);
        let place = |seq| Offset { epoch: 1, seq };
        let [a, b, c] = ["a", "b", "c"].map(Print::of);
        repeats.remember(a, place(1), at(0));
        repeats.remember(a, place(2), at(5));
        assert_eq!(repeats.recall(a, at(9)), Some(place(1)));
        assert_eq!(repeats.recall(a, at(10)), None);
        repeats.remember(a, place(3), at(10));
        repeats.remember(b, place(4), at(11));
        repeats.remember(c, place(5), at(11));
        assert_eq!(repeats.recall(a, at(11)), None);
        assert_eq!(repeats.recall(c, at(11)), Some(place(5)));
        assert_eq!(repeats.len(), 2);
    }
}
