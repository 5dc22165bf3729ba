//! What a source has promised, and what happens when it does not keep it.

use crate::carrier::Carrier;
use crate::error::CoherenceError;

/// What a source is expected to do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Expect {
    /// Anything: most sources keep no time, and need not.
    #[default]
    Any,
    /// A rhythm of its own, whatever its phase.
    Periodic {
        /// Its period in microseconds.
        period_us: i64,
        /// By which part of the period its mean may be off, above 0 and at most 0.25.
        tolerance: f64,
    },
    /// A phase of the carrier.
    Locked {
        /// A carrier of its own; none takes the one of the engine.
        carrier: Option<Carrier>,
        /// The part of the cycle to keep to, in turns, from and to; it may pass through 0. None takes any.
        arc: Option<(f64, f64)>,
    },
}

/// What is done with the events of a source that breaks its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing.
    #[default]
    Observe,
    /// They are delivered, and it is said.
    Flag,
    /// They are kept, and delivered to those who look into the quarantine.
    Quarantine,
    /// They are not delivered.
    Dissipate,
}

impl Mode {
    /// All modes, from mild to strict.
    pub const ALL: [Mode; 4] = [Mode::Observe, Mode::Flag, Mode::Quarantine, Mode::Dissipate];

    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Flag => "flag",
            Mode::Quarantine => "quarantine",
            Mode::Dissipate => "dissipate",
        }
    }

    /// Finds a mode by its word.
    #[must_use]
    pub fn of(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// What is expected of a source, and how strictly.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Contract {
    /// What it is to do.
    pub expect: Expect,
    /// What happens when it does not. Anything but `observe` also holds back its floods.
    pub mode: Mode,
}

impl Contract {
    /// Checks the numbers of the contract.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn checked(self) -> Result<Contract, CoherenceError> {
        match self.expect {
            Expect::Any => {}
            Expect::Periodic {
                period_us,
                tolerance,
            } => {
                Carrier::new(period_us, 0)?;
                if !(tolerance > 0.0 && tolerance <= 0.25) {
                    let range = "above 0 and at most 0.25 of the period";
                    return Err(CoherenceError::range("tolerance", &tolerance, range));
                }
            }
            Expect::Locked {
                arc: Some((from, to)),
                ..
            } => {
                for (field, turns) in [("arc.from", from), ("arc.to", to)] {
                    if !(0.0..=1.0).contains(&turns) {
                        return Err(CoherenceError::range(field, &turns, "0 to 1 turns"));
                    }
                }
            }
            Expect::Locked { arc: None, .. } => {}
        }
        Ok(self)
    }

    /// Returns the carrier that the source is to be measured against, if it is not `house`.
    ///
    /// # Errors
    /// When the period is out of range.
    pub fn carrier(&self, house: Carrier) -> Result<Option<Carrier>, CoherenceError> {
        Ok(match self.expect {
            Expect::Any => None,
            Expect::Periodic { period_us, .. } => Some(Carrier::new(period_us, house.epoch_us())?),
            Expect::Locked { carrier, .. } => carrier,
        }
        .filter(|carrier| *carrier != house))
    }

    /// Tells whether the source promised to come regularly.
    #[must_use]
    pub fn is_periodic(&self) -> bool {
        matches!(self.expect, Expect::Periodic { .. })
    }
}

/// Tells whether `turns` lies on the arc.
pub(crate) fn on_arc(turns: f64, (from, to): (f64, f64)) -> bool {
    if from <= to {
        (from..=to).contains(&turns)
    } else {
        turns >= from || turns <= to
    }
}
