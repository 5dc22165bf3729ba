//! The breath: five phases, a climate, a usage.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::stamp::{Stamp, Zone};

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;

/// A phase of the broker's own breath. Glints may name any phase they like; those stay text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Taking in.
    Inhale,
    /// Keeping.
    Hold,
    /// Letting go.
    Exhale,
    /// Coming back.
    Return,
    /// Rest.
    NightHold,
}

/// How the broker's surroundings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Climate {
    /// All is well.
    #[default]
    Clear,
    /// Something asks for attention.
    Suspicious,
    /// Caution rules.
    Restricted,
}

/// A word that names no phase or climate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{word:?} is not a {what}; one of: {known}")]
pub struct UnknownWord {
    what: &'static str,
    word: String,
    known: &'static str,
}

impl Phase {
    /// All phases in the order of a breath.
    pub const ALL: [Phase; 5] = [
        Phase::Inhale,
        Phase::Hold,
        Phase::Exhale,
        Phase::Return,
        Phase::NightHold,
    ];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Inhale => "inhale",
            Phase::Hold => "hold",
            Phase::Exhale => "exhale",
            Phase::Return => "return",
            Phase::NightHold => "night_hold",
        }
    }
}

impl Climate {
    /// All climates, from good to bad.
    pub const ALL: [Climate; 3] = [Climate::Clear, Climate::Suspicious, Climate::Restricted];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Climate::Clear => "clear",
            Climate::Suspicious => "suspicious",
            Climate::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Climate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == word);
        let known = "inhale, hold, exhale, return, night_hold";
        found.ok_or_else(|| UnknownWord {
            what: "phase",
            word: word.into(),
            known,
        })
    }
}

impl FromStr for Climate {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Climate::ALL
            .into_iter()
            .find(|climate| climate.as_str() == word);
        let known = "clear, suspicious, restricted";
        found.ok_or_else(|| UnknownWord {
            what: "climate",
            word: word.into(),
            known,
        })
    }
}

/// What the breath counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The start of the process, cut down to the hour: what existing installations do.
    StartHour,
    /// The last midnight before the start.
    Midnight,
    /// A given instant, before or after the start.
    Fixed(Stamp),
}

/// A breath to be: how long each phase is and what the first is counted from.
#[derive(Debug, Clone, PartialEq)]
pub struct Breath {
    lengths: [f64; 5],
    anchor: Stamp,
    speed: f64,
}

/// A length or speed that makes no breath.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum BadBreath {
    /// A phase has no length.
    #[error("phase {phase} lasts {hours} h; give it more than 0")]
    Length {
        /// The phase.
        phase: Phase,
        /// Its length in hours.
        hours: f64,
    },
    /// Time would stand or run backwards.
    #[error("speed is {0}; give a number above 0, 1 is real time")]
    Speed(f64),
}

/// Where the breath is at some instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The phase.
    pub phase: Phase,
    /// How much of it has passed, in `[0, 1)`.
    pub progress: f64,
}

impl Breath {
    /// The usual lengths in hours, in the order of [`Phase::ALL`].
    pub const USUAL_HOURS: [f64; 5] = [2.0, 4.0, 4.0, 4.0, 10.0];

    /// Makes a breath of phases `hours` long that began at `anchor`, `speed` times as fast as the clock.
    ///
    /// # Errors
    /// When a length or the speed is not a finite number above zero.
    pub fn new(
        hours: [f64; 5],
        anchor: Anchor,
        start: Stamp,
        zone: Zone,
        speed: f64,
    ) -> Result<Breath, BadBreath> {
        for (phase, hours) in Phase::ALL.into_iter().zip(hours) {
            if !(hours.is_finite() && hours > 0.0) {
                return Err(BadBreath::Length { phase, hours });
            }
        }
        if !(speed.is_finite() && speed > 0.0) {
            return Err(BadBreath::Speed(speed));
        }
        let anchor = match anchor {
            Anchor::StartHour => start.floor_to(HOUR_SECONDS, zone),
            Anchor::Midnight => start.floor_to(DAY_SECONDS, zone),
            Anchor::Fixed(stamp) => stamp,
        };
        Ok(Breath {
            lengths: hours.map(|hours| hours * 3600.0e6),
            anchor,
            speed,
        })
    }

    /// Returns the length of a whole breath in microseconds of the clock, and when the first began.
    #[must_use]
    pub fn cycle(&self) -> (i64, Stamp) {
        let total: f64 = self.lengths.iter().sum();
        ((total / self.speed).round() as i64, self.anchor)
    }

    /// Returns phase and progress at `now`. The breath begins anew after its last phase, for ever.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of 285 years fit a double exactly"
    )]
    pub fn at(&self, now: Stamp) -> Moment {
        let total: f64 = self.lengths.iter().sum();
        let mut left = (now.micros_since(self.anchor) as f64 * self.speed).rem_euclid(total);
        for (phase, length) in Phase::ALL.into_iter().zip(self.lengths) {
            if left < length {
                return Moment {
                    phase,
                    progress: left / length,
                };
            }
            left -= length;
        }
        // Rounding left a hair beyond the last phase: the next breath begins.
        Moment {
            phase: Phase::Inhale,
            progress: 0.0,
        }
    }
}

/// The whole state that dashboards show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// The phase.
    pub phase: Phase,
    /// How much of the phase has passed, in `[0, 1)`.
    pub progress: f64,
    /// Share of the capacity in use, in `[0, 1]`.
    pub usage: f64,
    /// The climate.
    pub climate: Climate,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn usual(start: Stamp) -> Breath {
        Breath::new(
            Breath::USUAL_HOURS,
            Anchor::StartHour,
            start,
            Zone::default(),
            1.0,
        )
        .unwrap()
    }

    #[test]
    fn phases_follow_each_other_and_wrap_after_a_day() {
        let breath = usual(Stamp(0));
        let at = |hours: i64| breath.at(Stamp(hours * HOUR));
        let expected = [
            (0, Phase::Inhale, 0.0),
            (1, Phase::Inhale, 0.5),
            (2, Phase::Hold, 0.0),
            (6, Phase::Exhale, 0.0),
            (9, Phase::Exhale, 0.75),
            (10, Phase::Return, 0.0),
            (14, Phase::NightHold, 0.0),
            (19, Phase::NightHold, 0.5),
            (24, Phase::Inhale, 0.0),
            (24 * 400 + 3, Phase::Hold, 0.25),
            (-1, Phase::NightHold, 0.9),
        ];
        for (hours, phase, progress) in expected {
            assert_eq!(at(hours), Moment { phase, progress }, "{hours} h");
        }
    }

    #[test]
    fn a_breath_starts_at_the_hour_of_the_start() {
        // Started nine minutes and 59 seconds past the hour: 599 s of the 7200 of inhale.
        let start = Stamp(HOUR + 599_000_000);
        let moment = usual(start).at(start);
        assert_eq!(moment.phase, Phase::Inhale);
        assert!((moment.progress - 599.0 / 7200.0).abs() < 1e-12);
    }

    #[test]
    fn anchors_and_speed_move_the_breath() {
        let start = Stamp(30 * HOUR);
        let zone = Zone::default();
        let midnight =
            Breath::new(Breath::USUAL_HOURS, Anchor::Midnight, start, zone, 1.0).unwrap();
        assert_eq!(midnight.at(start).phase, Phase::Exhale);
        let fast = Breath::new(
            Breath::USUAL_HOURS,
            Anchor::Fixed(start),
            start,
            zone,
            3600.0,
        )
        .unwrap();
        assert_eq!(fast.at(start.plus_micros(7_000_000)).phase, Phase::Exhale);
    }

    #[test]
    fn a_breath_that_never_moves_is_refused() {
        let make =
            |hours, speed| Breath::new(hours, Anchor::StartHour, Stamp(0), Zone::default(), speed);
        assert!(matches!(
            make([2.0, 0.0, 4.0, 4.0, 10.0], 1.0),
            Err(BadBreath::Length {
                phase: Phase::Hold,
                ..
            })
        ));
        assert!(matches!(
            make(Breath::USUAL_HOURS, 0.0),
            Err(BadBreath::Speed(_))
        ));
        assert!(matches!(
            make(Breath::USUAL_HOURS, f64::NAN),
            Err(BadBreath::Speed(_))
        ));
    }
}
