//! Waiting a little for those who were just answered.
//!
//! Publishers that wait for each acknowledgement all come back right after it. Whoever begins the next group with the
//! first of them lets the others miss it: groups are then half as large as they could be, and each costs a sync. So the
//! scribe sleeps until as many have come as were answered: for a part of the time that the last group took, and for as long
//! as that if they come much faster than others did meanwhile. Where nobody comes back, as with publishers at a steady
//! rate, it soon stops waiting.

use std::time::Duration;

use super::GROUP;
use super::queue::Outlet;

/// Part of the time of the last group that is waited at first.
const PART: u32 = 3;
/// The same, at least: until they have heard, and their next glints have come through two threads.
const AT_FIRST: Duration = Duration::from_micros(250);
/// Longest wait.
const LONGEST: Duration = Duration::from_millis(1);
/// Groups without a wait, after waits for nothing.
const MOST_SKIPPED: u32 = 64;

/// What is known about who comes back.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Waits for nothing in a row, as a power of two.
    skips: u32,
    /// Groups that are not waited for from now on.
    left: u32,
}

impl Gather {
    /// Waits for the `answered` ones of a group that took so long.
    pub(super) fn wait(&mut self, jobs: &Outlet, answered: usize, took: Duration) {
        if self.left > 0 || answered == 0 {
            self.left = self.left.saturating_sub(1);
            return;
        }
        let before = jobs.waiting();
        let expected = (answered + before).min(GROUP.0);
        let longest = took.min(LONGEST);
        let first = (longest / PART).max(AT_FIRST).min(longest);
        let mut waiting = jobs.wait(expected, first);
        if waiting < expected && are_back(answered, (before, took), (waiting, first)) {
            waiting = jobs.wait(expected, longest - first);
        }
        self.note(waiting * 2 >= expected);
    }

    fn note(&mut self, was_worth_it: bool) {
        self.skips = match (was_worth_it, self.skips) {
            (true, _) => 0,
            (false, 0) => 1,
            (false, skips) => (skips * 2).min(MOST_SKIPPED),
        };
        self.left = self.skips;
    }
}

/// Tells whether who was answered is coming back: a good many of them came in the time that was waited, and at more than
/// twice the pace of those who had come before, while the group was written.
fn are_back(
    answered: usize,
    (before, took): (usize, Duration),
    (waiting, waited): (usize, Duration),
) -> bool {
    let came = waiting.saturating_sub(before);
    let pace = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    came * 4 >= answered && pace(came, waited) > pace(before, took) * 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_after_the_answers_is_told_from_a_steady_rate() {
        let [took, waited] = [300, 100].map(Duration::from_micros);
        let is_back =
            |answered, before, waiting| are_back(answered, (before, took), (waiting, waited));
        assert!(is_back(64, 0, 16));
        assert!(is_back(36, 28, 28 + 24));
        assert!(!is_back(64, 0, 2), "a few may be others");
        // A third of the time brings a third of what all of it brought.
        assert!(!is_back(30, 30, 30 + 10));
        assert!(!is_back(64, 0, 0));
    }

    #[test]
    fn who_waits_for_nobody_soon_waits_seldom_and_takes_heart_again() {
        let mut gather = Gather::default();
        gather.note(true);
        assert_eq!(gather.left, 0);
        let skipped: Vec<u32> = (0..9)
            .map(|_| {
                gather.note(false);
                gather.left
            })
            .collect();
        assert_eq!(skipped, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        gather.note(true);
        assert_eq!(gather.left, 0);
    }
}
