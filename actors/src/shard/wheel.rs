//! When to look at which stream: one wheel for a worker, with a bucket for each second.
//!
//! Looking at everybody every second would touch tens of thousands of streams to find a few that are due. An entry is only a
//! reason to look: what a stream needs is decided then, and when to look again.

/// Seconds that the wheel goes ahead; what is due later is looked at meanwhile.
const BUCKETS: u64 = 32;

/// A stream: its slot and its serial.
type Entry = (usize, u64);

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    buckets: Vec<Vec<Entry>>,
    /// The last second that was taken.
    now: u64,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel {
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            now: 0,
        }
    }
}

impl Wheel {
    /// Has a stream looked at in second `at`, or in the next one when that is past.
    pub(super) fn put(&mut self, at: u64, id: usize, serial: u64) {
        let at = at.clamp(self.now + 1, self.now + BUCKETS - 1);
        self.buckets[(at % BUCKETS) as usize].push((id, serial));
    }

    /// Takes everybody who is to be looked at up to `second`.
    pub(super) fn take(&mut self, second: u64) -> Vec<Entry> {
        let mut due = Vec::new();
        let until = second.min(self.now + BUCKETS);
        while self.now < until {
            self.now += 1;
            let bucket = &mut self.buckets[(self.now % BUCKETS) as usize];
            match due.is_empty() {
                true => due = std::mem::take(bucket),
                false => due.append(bucket),
            }
        }
        self.now = self.now.max(second);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_comes_once_and_not_before_the_time() {
        let mut wheel = Wheel::default();
        for at in 0..40 {
            wheel.put(at, at as usize, at);
        }
        let mut seen = Vec::new();
        for second in 1..=40 {
            for (id, serial) in wheel.take(second) {
                assert_eq!(id as u64, serial);
                // What lies too far ahead comes early, and is put again.
                assert!(
                    serial <= second || serial >= BUCKETS,
                    "{serial} in {second}"
                );
                seen.push(serial);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_was_held_up_forgets_nobody() {
        let mut wheel = Wheel::default();
        wheel.put(5, 1, 1);
        wheel.put(20, 2, 2);
        let mut due = wheel.take(1000);
        due.sort_unstable();
        assert_eq!(due, [(1, 1), (2, 2)]);
        wheel.put(7, 3, 3);
        assert_eq!(wheel.take(1001), [(3, 3)]);
        assert_eq!(wheel.take(2000), []);
    }
}
