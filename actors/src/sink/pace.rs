//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Doubles from the shortest time to the longest, and takes a random half off, so that brokers do not come back to a
/// store all at once.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    attempts: u32,
    random: RandomState,
}

impl Pace {
    pub(super) fn new((shortest, longest): (Duration, Duration)) -> Pace {
        Pace {
            shortest,
            longest,
            attempts: 0,
            random: RandomState::new(),
        }
    }

    /// The time to wait now; the next one is longer.
    pub(super) fn wait(&mut self) -> Duration {
        let doubled = self.shortest.saturating_mul(1 << self.attempts.min(20));
        let share = self.random.hash_one(self.attempts) as f64 / u64::MAX as f64;
        self.attempts = self.attempts.saturating_add(1);
        doubled.min(self.longest).mul_f64(0.5 + share / 2.0)
    }

    /// It went well: the next wait is a short one again.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_start_small_again() {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut pace = Pace::new((shortest, longest));
        for attempt in 0..40_u32 {
            let full = shortest.saturating_mul(1 << attempt.min(20)).min(longest);
            let wait = pace.wait();
            assert!(
                wait >= full / 2 && wait <= full,
                "{wait:?} at attempt {attempt}"
            );
        }
        pace.reset();
        assert!(pace.wait() <= shortest);
    }

    #[test]
    fn two_brokers_do_not_come_back_together() {
        let waits = || {
            let mut pace = Pace::new((Duration::from_secs(1), Duration::from_secs(60)));
            (0..8).map(|_| pace.wait()).collect::<Vec<_>>()
        };
        assert_ne!(waits(), waits());
    }
}
