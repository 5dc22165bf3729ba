//! When a source counts as collapsed.

use crate::error::CoherenceError;
use crate::kernel::Reading;

/// Evidence that a source without a rhythm shows with probability 1e-4: `-ln(1e-4)`.
pub(crate) const EVIDENCE: f64 = 9.210340371976182;

/// The rule of collapse and release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// `I_c`: coherence from which a source collapses, inclusive.
    pub coherence: f64,
    /// Coherence below which it is released.
    pub release: f64,
    /// `z_min`: evidence from which it collapses, inclusive. Below half of it, it is released.
    pub evidence: f64,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            coherence: 0.80,
            release: 0.70,
            evidence: EVIDENCE,
        }
    }
}

impl Rule {
    /// Makes a rule that releases 0.1 below `I_c`, rounded to six decimals: `0.8 - 0.1` in binary is more than `0.7`,
    /// and would release at 0.7 exactly.
    ///
    /// # Errors
    /// When `coherence` is not above 0 and at most 1, or `evidence` is not above 0.
    pub fn new(coherence: f64, evidence: f64) -> Result<Rule, CoherenceError> {
        let release = ((coherence - 0.1) * 1e6).round() / 1e6;
        Rule {
            coherence,
            release: release.max(0.0),
            evidence,
        }
        .checked()
    }

    /// Checks the rule.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn checked(self) -> Result<Rule, CoherenceError> {
        if !(self.coherence > 0.0 && self.coherence <= 1.0) {
            return Err(CoherenceError::range(
                "I_c",
                &self.coherence,
                "above 0 and at most 1",
            ));
        }
        if !(self.release >= 0.0 && self.release <= self.coherence) {
            let range = format!("0 to I_c ({})", self.coherence);
            return Err(CoherenceError::range("I_rel", &self.release, range));
        }
        if !(self.evidence > 0.0 && self.evidence.is_finite()) {
            return Err(CoherenceError::range("z_min", &self.evidence, "above 0"));
        }
        Ok(self)
    }

    /// Tells whether a source is collapsed after `reading`, having been so or not before.
    #[must_use]
    pub fn decide(&self, collapsed: bool, reading: &Reading) -> bool {
        if dormant(reading) {
            return false;
        }
        if collapsed {
            reading.coherence >= self.release && reading.evidence >= self.evidence / 2.0
        } else {
            reading.coherence >= self.coherence && reading.evidence >= self.evidence
        }
    }
}

/// Tells whether less than one event is left. Time alone brings that about.
pub(crate) fn dormant(reading: &Reading) -> bool {
    reading.mass < 1.0
}
