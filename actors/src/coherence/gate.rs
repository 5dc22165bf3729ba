//! The gate: what the emitter does with the glints of a source, as the office that judges them left it.
//!
//! The office writes, the emitter reads; neither waits for the other. The gate holds only sources with a contract other
//! than `observe`, and those that a person put into quarantine, so that for everybody else it costs one load. It fails
//! open: where it was not written for long, or the office gave up, everything passes, and the metrics and
//! `GET /coherence` say so.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coherence::{Condition, Verdict};
use dashmap::DashMap;
use glint::{Refusal, RefusalKind, Stamp};

/// How old a verdict may be, in microseconds of the wall clock: the office writes the time once a second.
const STALE_US: i64 = 30_000_000;

/// What stands about a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What it is.
    pub condition: Condition,
    /// What is done with its glints.
    pub verdict: Verdict,
    /// Until when its glints are refused, as it floods; the past, if they are not.
    pub held_until: Stamp,
}

/// The gate. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: DashMap<Box<str>, Judged>,
    /// Entries of the table, since counting them takes locks.
    entries: AtomicUsize,
    written_us: AtomicI64,
    failed: AtomicBool,
    why: Mutex<Option<String>>,
}

impl Gate {
    /// Returns what stands about a source; nothing, where everything passes.
    #[must_use]
    pub fn judge(&self, source: Option<&str>, now: Stamp) -> Option<Judged> {
        if self.shared.entries.load(Ordering::Relaxed) == 0 || self.is_open(now) {
            return None;
        }
        self.shared.table.get(source?).map(|judged| *judged)
    }

    /// Refuses a source that floods, if its contract holds it back.
    ///
    /// # Errors
    /// `source_bursting`, with the time to come back.
    pub fn admit(&self, source: Option<&str>, now: Stamp) -> Result<(), Refusal> {
        let Some(judged) = self.judge(source, now) else {
            return Ok(());
        };
        let wait = judged.held_until.micros_since(now);
        if wait <= 0 {
            return Ok(());
        }
        let seconds = u32::try_from(wait.saturating_add(999_999) / 1_000_000).unwrap_or(u32::MAX);
        let detail = "this source sends far more than it used to, and its contract holds back floods; slow down, or ask for another contract";
        let refusal = Refusal::new(RefusalKind::Busy, "source_bursting", detail);
        Err(refusal.on("source").retry_after(seconds))
    }

    /// Tells why the gate lets everything pass, if it does.
    #[must_use]
    pub fn open_since(&self, now: Stamp) -> Option<String> {
        if self.shared.failed.load(Ordering::Acquire) {
            let why = self
                .shared
                .why
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            return Some(why.clone().unwrap_or_default());
        }
        self.is_open(now)
            .then(|| "nobody has judged for long".to_owned())
    }

    fn is_open(&self, now: Stamp) -> bool {
        let written = Stamp(self.shared.written_us.load(Ordering::Relaxed));
        self.shared.failed.load(Ordering::Acquire) || now.micros_since(written) > STALE_US
    }

    /// Says that what stands was looked at now.
    pub fn touch(&self, now: Stamp) {
        self.shared.written_us.store(now.0, Ordering::Relaxed);
    }

    /// Puts in place what stands about a source, or takes it away.
    pub fn set(&self, source: &str, judged: Option<Judged>) {
        match judged {
            Some(judged) => {
                if self.shared.table.insert(source.into(), judged).is_none() {
                    self.shared.entries.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => {
                if self.shared.table.remove(source).is_some() {
                    self.shared.entries.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Lets everything pass from now on, and remembers why.
    pub fn fail(&self, why: impl Into<String>) {
        let mut place = self
            .shared
            .why
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(why.into());
        self.shared.failed.store(true, Ordering::Release);
    }

    /// Returns the number of sources that something stands about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.entries.load(Ordering::Relaxed)
    }

    /// Tells whether nothing stands about anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(held_until: i64) -> Judged {
        Judged {
            condition: Condition::Incoherent,
            verdict: Verdict::Quarantine,
            held_until: Stamp(held_until),
        }
    }

    #[test]
    fn a_source_is_judged_by_what_stands_about_it_and_others_pass() {
        let gate = Gate::default();
        gate.touch(Stamp(0));
        gate.set("a", Some(judged(0)));
        assert_eq!(gate.judge(Some("a"), Stamp(1)), Some(judged(0)));
        assert_eq!(gate.judge(Some("b"), Stamp(1)), None);
        assert_eq!(gate.judge(None, Stamp(1)), None);
        gate.set("a", None);
        assert!(gate.is_empty() && gate.judge(Some("a"), Stamp(1)).is_none());
    }

    #[test]
    fn a_flood_is_held_back_for_as_long_as_was_said() {
        let gate = Gate::default();
        gate.touch(Stamp(0));
        gate.set("a", Some(judged(2_500_000)));
        let refusal = gate.admit(Some("a"), Stamp(1)).expect_err("held back");
        assert_eq!(
            (refusal.code, refusal.retry_after_seconds),
            ("source_bursting", Some(3))
        );
        assert!(gate.admit(Some("a"), Stamp(2_500_000)).is_ok());
        assert!(gate.admit(Some("b"), Stamp(1)).is_ok());
    }

    #[test]
    fn a_gate_that_nobody_keeps_is_open_and_says_so() {
        let gate = Gate::default();
        gate.touch(Stamp(0));
        gate.set("a", Some(judged(i64::MAX)));
        assert_eq!(gate.open_since(Stamp(STALE_US)), None);
        assert!(gate.open_since(Stamp(STALE_US + 1)).is_some());
        assert!(gate.admit(Some("a"), Stamp(STALE_US + 1)).is_ok());
        gate.touch(Stamp(STALE_US));
        assert!(gate.admit(Some("a"), Stamp(STALE_US + 1)).is_err());
        gate.fail("the engine gave up");
        assert_eq!(
            gate.open_since(Stamp(STALE_US)).as_deref(),
            Some("the engine gave up")
        );
        assert!(gate.admit(Some("a"), Stamp(STALE_US + 1)).is_ok());
    }
}
