//! What a source is said to be.

use crate::params::Params;
use crate::source::Source;
use crate::sync::{Sync, tolerance};
use crate::words::{Condition, Numbers, Overlay, Verdict};

/// What is remembered of what was said: eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// The Master's coherence at the last aligned close of a cycle. A drift lowers coherence, and must not widen its own
    /// tolerance.
    pub(crate) healthy: f32,
    pub(crate) condition: Condition,
    pub(crate) verdict: Verdict,
    /// Good cycles since the verdict.
    pub(crate) good: u8,
    marks: u8,
}

pub(crate) const COLLAPSED: u8 = 1;
/// It was collapsed, and let go for less than dormancy.
pub(crate) const LAPSED: u8 = 1 << 4;
/// A person put it into quarantine: time does not let it out.
pub(crate) const HELD: u8 = 1 << 5;
/// A person let it out: what it is in breach of now is forgiven.
pub(crate) const PARDONED: u8 = 1 << 6;

impl Standing {
    /// Returns the condition.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Returns what the gate does.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Tells whether the Master is collapsed.
    #[must_use]
    pub fn is_collapsed(&self) -> bool {
        self.is(COLLAPSED)
    }

    /// Tells whether a person put the source into quarantine.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is(HELD)
    }

    /// Tells whether an overlay lies on it.
    #[must_use]
    pub fn has(&self, overlay: Overlay) -> bool {
        self.is(overlay as u8)
    }

    /// Returns the difference of the kernels that is tolerated.
    #[must_use]
    pub fn tolerance(&self, params: &Params) -> f64 {
        tolerance(
            f64::from(self.healthy),
            params.variance_factor,
            params.sync_floor,
        )
    }

    /// Returns everything that a person would want to see.
    #[must_use]
    pub fn numbers(&self, source: &Source, params: &Params, now_us: i64) -> Numbers {
        let (master, emissary) = (
            source.master(params, now_us),
            source.emissary(params, now_us),
        );
        let sync = Sync::of(master.t, emissary.t);
        let (fast, expected) = source.masses(now_us);
        let turned =
            sync.delta_angle / std::f64::consts::TAU / f64::from(params.carrier.harmonic());
        Numbers {
            master,
            emissary,
            sync,
            tolerance: self.tolerance(params),
            moved_us: (turned * params.carrier.period_us() as f64).round() as i64,
            burst: crate::rhythm::burst(fast, expected),
            fast,
            expected,
            phi: source.phi(now_us, false).unwrap_or(0.0),
        }
    }

    /// Puts the source into quarantine for a person, or lets it out.
    pub(crate) fn decide(&mut self, hold: bool) -> Option<(&'static str, &'static str)> {
        let before = self.verdict;
        if hold {
            self.set(HELD, true);
            self.set(PARDONED, false);
            self.verdict = Verdict::Quarantine;
        } else {
            self.set(HELD, false);
            self.set(PARDONED, true);
            self.verdict = Verdict::Pass;
        }
        self.good = 0;
        (before != self.verdict).then(|| (before.as_str(), self.verdict.as_str()))
    }

    /// Tells whether a mark is set.
    pub(crate) fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    pub(crate) fn set(&mut self, mark: u8, on: bool) {
        if on {
            self.marks |= mark;
        } else {
            self.marks &= !mark;
        }
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 8] {
        let [a, b, c, d] = self.healthy.to_be_bytes();
        [
            a,
            b,
            c,
            d,
            self.condition as u8,
            self.verdict as u8,
            self.good,
            self.marks,
        ]
    }

    /// Reads what [`Standing::to_bytes`] wrote; what is unknown reads as new.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Standing {
        let [a, b, c, d, condition, verdict, good, marks] = bytes;
        let verdicts = [
            Verdict::Pass,
            Verdict::Flag,
            Verdict::Quarantine,
            Verdict::Dissipate,
        ];
        let pick = |place: u8| usize::from(place);
        let healthy = f32::from_be_bytes([a, b, c, d]);
        Standing {
            healthy: if healthy.is_finite() { healthy } else { 0.0 },
            condition: Condition::ALL
                .get(pick(condition))
                .copied()
                .unwrap_or_default(),
            verdict: verdicts.get(pick(verdict)).copied().unwrap_or_default(),
            good,
            marks,
        }
    }
}
