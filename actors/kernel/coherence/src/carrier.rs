//! The carrier: what phases are measured against.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::fmt;
use std::str::FromStr;

use crate::complex::Complex;
use crate::error::CoherenceError;

/// The shortest period: a millisecond. Arrival times in microseconds have nothing to say about less.
pub const MIN_PERIOD_US: i64 = 1_000;
/// The longest period: a week.
pub const MAX_PERIOD_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// The highest harmonic.
const MAX_HARMONIC: u8 = 16;

/// A period that begins at an epoch.
///
/// Angles are computed from integers: a wall-clock time in doubles has lost a microradian already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    period_us: i64,
    epoch_us: i64,
    harmonic: u8,
    /// The epoch, taken apart once: its whole periods, and the rest.
    epoch_cycle: i64,
    epoch_rest: i64,
}

impl Carrier {
    /// Makes a carrier of harmonic 1.
    ///
    /// # Errors
    /// When the period is not from 1 ms to 7 days.
    pub fn new(period_us: i64, epoch_us: i64) -> Result<Carrier, CoherenceError> {
        if !(MIN_PERIOD_US..=MAX_PERIOD_US).contains(&period_us) {
            let range = format!(
                "{MIN_PERIOD_US} (1 ms) to {MAX_PERIOD_US} (7 days) microseconds; arrival times are too coarse for less"
            );
            return Err(CoherenceError::range("period_us", &period_us, range));
        }
        Ok(Carrier {
            period_us,
            epoch_us,
            harmonic: 1,
            epoch_cycle: epoch_us.div_euclid(period_us),
            epoch_rest: epoch_us.rem_euclid(period_us),
        })
    }

    /// Looks at a harmonic: a source that ticks every `P/m` is invisible at harmonic 1 and perfect at harmonic `m`.
    ///
    /// # Errors
    /// When it is not from 1 to 16.
    pub fn at_harmonic(self, harmonic: u8) -> Result<Carrier, CoherenceError> {
        if !(1..=MAX_HARMONIC).contains(&harmonic) {
            let range = format!("1 to {MAX_HARMONIC}");
            return Err(CoherenceError::range("harmonic", &harmonic, range));
        }
        Ok(Carrier { harmonic, ..self })
    }

    /// Returns the period in microseconds.
    #[must_use]
    pub fn period_us(&self) -> i64 {
        self.period_us
    }

    /// Returns the epoch in microseconds.
    #[must_use]
    pub fn epoch_us(&self) -> i64 {
        self.epoch_us
    }

    /// Returns the harmonic.
    #[must_use]
    pub fn harmonic(&self) -> u8 {
        self.harmonic
    }

    /// Returns the cycle that an instant falls into, and the microseconds since that began. Floor, also before the epoch.
    #[must_use]
    pub fn split(&self, at_us: i64) -> (i64, i64) {
        // In two steps, as the distance to the epoch may not fit.
        let cycle = at_us.div_euclid(self.period_us) - self.epoch_cycle;
        let rest = at_us.rem_euclid(self.period_us) - self.epoch_rest;
        if rest < 0 {
            (cycle - 1, rest + self.period_us)
        } else {
            (cycle, rest)
        }
    }

    /// Returns the unit vector of a place within the cycle, at the harmonic of this carrier.
    #[must_use]
    pub fn unit(&self, rest_us: i64) -> Complex {
        let turned = match self.harmonic {
            1 => rest_us,
            harmonic => rest_us * i64::from(harmonic) % self.period_us,
        };
        self.turn(turned)
    }

    /// The unit vector of a place within the cycle. Quarters of it are exact, as two events half a cycle apart cancel.
    fn turn(&self, rest_us: i64) -> Complex {
        let quarters = 4.0 * rest_us as f64 / self.period_us as f64;
        let whole = quarters.floor();
        let Complex { re, im } = Complex::unit(FRAC_PI_2 * (quarters - whole));
        match whole as u8 {
            0 => Complex { re, im },
            1 => Complex { re: -im, im: re },
            2 => Complex { re: -re, im: -im },
            _ => Complex { re: im, im: -re },
        }
    }

    /// Returns the unit vector of a place at harmonic 1, given the one at the harmonic of this carrier.
    pub(crate) fn fundamental(&self, rest_us: i64, unit: Complex) -> Complex {
        match self.harmonic {
            1 => unit,
            _ => self.turn(rest_us),
        }
    }

    /// Returns the angle of an instant in radians, from 0 up to 2π.
    #[must_use]
    pub fn angle(&self, at_us: i64) -> f64 {
        TAU * self.split(at_us).1 as f64 / self.period_us as f64
    }

    /// Returns which of `slots` equal parts of the cycle a place is in.
    #[must_use]
    pub fn slot(&self, rest_us: i64, slots: u8) -> u8 {
        (rest_us * i64::from(slots) / self.period_us) as u8
    }

    /// Returns the amplitude that a memoryless stream shows at time constant `tau_us` for no other reason than that the
    /// newest events weigh most: `1/sqrt(1 + (ωτ)²)`.
    #[must_use]
    pub fn leakage(&self, tau_us: i64) -> f64 {
        let turns = tau_us as f64 / self.period_us as f64 * f64::from(self.harmonic);
        1.0 / (TAU * turns).hypot(1.0)
    }
}

/// A scale of oscillation with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Milliseconds.
    Nano,
    /// Seconds.
    Mini,
    /// Minutes.
    Standard,
    /// Hours.
    Macro,
}

/// All presets, from fast to slow.
pub const PRESETS: [Preset; 4] = [Preset::Nano, Preset::Mini, Preset::Standard, Preset::Macro];

impl Preset {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Nano => "nano",
            Preset::Mini => "mini",
            Preset::Standard => "standard",
            Preset::Macro => "macro",
        }
    }

    /// Returns its period in microseconds: 1 ms, 1 s, 1 min, 1 h.
    #[must_use]
    pub fn period_us(self) -> i64 {
        match self {
            Preset::Nano => 1_000,
            Preset::Mini => 1_000_000,
            Preset::Standard => 60_000_000,
            Preset::Macro => 3_600_000_000,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = CoherenceError;

    fn from_str(word: &str) -> Result<Preset, CoherenceError> {
        let named = PRESETS.into_iter().find(|preset| preset.as_str() == word);
        named.ok_or_else(|| {
            let range = match word {
                "micro" => "\"nano\" (1 ms) or slower, as arrival times have no nanoseconds",
                _ => "\"nano\", \"mini\", \"standard\" or \"macro\"",
            };
            CoherenceError::range("period", &format!("{word:?}"), range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_floors_also_before_the_epoch_and_at_the_ends_of_time() {
        let carrier = Carrier::new(1_000_000, 250_000).expect("carrier");
        assert_eq!(carrier.split(250_000), (0, 0));
        assert_eq!(carrier.split(249_999), (-1, 999_999));
        assert_eq!(carrier.split(-750_001), (-2, 999_999));
        for at in [i64::MIN, i64::MAX] {
            let (_, rest) = carrier.split(at);
            assert!((0..1_000_000).contains(&rest));
        }
    }

    #[test]
    fn what_cannot_be_resolved_is_refused_with_the_range() {
        let err = Carrier::new(999, 0).expect_err("too short");
        assert_eq!(
            (err.code(), err.field()),
            ("out_of_range", Some("period_us"))
        );
        assert!(Carrier::new(MAX_PERIOD_US + 1, 0).is_err());
        let err = "micro".parse::<Preset>().expect_err("nanoseconds");
        assert!(err.to_string().contains("no nanoseconds"), "{err}");
        assert_eq!("macro".parse(), Ok(Preset::Macro));
    }

    #[test]
    fn slots_cut_the_cycle_evenly() {
        let carrier = Carrier::new(64_000, 0).expect("carrier");
        assert_eq!(carrier.slot(0, 64), 0);
        assert_eq!(carrier.slot(999, 64), 0);
        assert_eq!(carrier.slot(1_000, 64), 1);
        assert_eq!(carrier.slot(63_999, 64), 63);
    }
}
