//! Lists that stay while somebody pages through them: a page that names the seal it began with gets the list of then.
//!
//! Snapshots share all that did not change, so one that is held costs what changed since.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use glint::{Refusal, RefusalKind};
use prometheus::IntGauge;
use registry::{Seal, Snapshot};
use tokio::time::Instant;

/// Snapshots by seal, the one that was asked for last at the end.
#[derive(Debug)]
pub struct Pins {
    held: Mutex<VecDeque<Pin>>,
    max: usize,
    hold: Duration,
    gauge: IntGauge,
}

#[derive(Debug)]
struct Pin {
    seal: Seal,
    snapshot: Snapshot,
    until: Instant,
}

impl Pins {
    /// Makes a place for `max` snapshots, each for `hold` after it was last asked for.
    #[must_use]
    pub fn new(max: usize, hold: Duration, gauge: IntGauge) -> Pins {
        Pins {
            held: Mutex::default(),
            max,
            hold,
            gauge,
        }
    }

    /// Holds a snapshot that a page was served from.
    pub(super) fn hold(&self, seal: Seal, snapshot: &Snapshot, now: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|pin| pin.until > now && pin.seal != seal);
        if held.len() >= self.max {
            held.pop_front();
        }
        let until = now + self.hold;
        let snapshot = snapshot.clone();
        held.push_back(Pin {
            seal,
            snapshot,
            until,
        });
        self.gauge.set(held.len() as i64);
    }

    /// Finds the snapshot with a seal: the one of now, or one that is held.
    ///
    /// # Errors
    /// `seal_malformed`; `seal_gone`, when it is held no longer or never was one.
    pub(super) fn find(
        &self,
        wanted: &str,
        current: &Snapshot,
        now: Instant,
    ) -> Result<Snapshot, Refusal> {
        let seal: Seal = wanted.parse().map_err(|err: registry::seal::SealError| {
            Refusal::invalid(err.code(), err).on("seal")
        })?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = held.iter().find(|pin| pin.seal == seal && pin.until > now) {
            return Ok(pin.snapshot.clone());
        }
        drop(held);
        if current.known_seal() == Some(seal) {
            return Ok(current.clone());
        }
        let detail = "the list with this seal is not held any more; begin again without seal";
        Err(Refusal::new(RefusalKind::Gone, "seal_gone", detail).on("seal"))
    }
}
