//! Chance with a seed, and parameters that most tests share.

#![allow(dead_code, reason = "each test file uses its part of it")]

use coherence::{Carrier, Params, Rule};

/// A minute.
pub(crate) const MINUTE: i64 = 60_000_000;

/// A carrier of a minute that begins at 0.
pub(crate) fn minute() -> Carrier {
    Carrier::new(MINUTE, 0).expect("carrier")
}

/// The default parameters over a minute, with as many slots as the caller wants.
pub(crate) fn params(slots: u8) -> Params {
    Params::new(minute(), 16 * MINUTE, 4 * MINUTE, slots, Rule::default()).expect("params")
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, never 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// With mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// With mean 0 and deviation 1 (Box, Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}
