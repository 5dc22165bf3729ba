//! Time, for verbs: they run in a process of their own and may wait with a whole thread.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// Holds work to a number of items per second.
pub(super) struct Pace {
    start: Instant,
    per_second: f64,
}

impl Pace {
    /// Starts counting now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a verb has no cast and no clock of it"
    )]
    pub(super) fn new(per_second: f64) -> Pace {
        Pace {
            start: Instant::now(),
            per_second,
        }
    }

    /// Waits until item number `count` is due, counted from 0.
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody publishes 2^53 lines in one run"
    )]
    pub(super) fn until_due(&self, count: u64) {
        // A rate of one in years is more than a duration holds: wait for as long as it does hold.
        let due = Duration::try_from_secs_f64(count as f64 / self.per_second);
        wait(
            due.unwrap_or(Duration::MAX)
                .saturating_sub(self.start.elapsed()),
        );
    }
}

/// Waits.
#[expect(
    clippy::disallowed_methods,
    reason = "a verb has its thread to itself and no worker to stall"
)]
pub(super) fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Returns the pause before try number `attempt` (from 0): doubling from `first` up to `longest`, and of that a random
/// half to whole, so that many who lost the same broker do not come back at once.
pub(super) fn backoff(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
    doubled.min(longest).mul_f64(0.5 + 0.5 * random_share())
}

/// A random number in `[0, 1)`.
fn random_share() -> f64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    f64::from(low as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_overflow() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(30));
        for (attempt, whole) in [(0, 250), (1, 500), (6, 16_000), (7, 30_000), (99, 30_000)] {
            let pause = backoff(attempt, first, longest);
            let whole = Duration::from_millis(whole);
            assert!(pause >= whole / 2 && pause <= whole, "{attempt}: {pause:?}");
        }
    }
}
