//! The two kernels compared.

use crate::complex::Complex;

/// How far the fast kernel is from the slow one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// Within the tolerance.
    Aligned,
    /// Within twice the tolerance.
    Realign,
    /// Further.
    Dissipate,
}

impl Alignment {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Alignment::Aligned => "aligned",
            Alignment::Realign => "realign",
            Alignment::Dissipate => "dissipate",
        }
    }

    /// Judges a difference against a tolerance.
    #[must_use]
    pub fn of(delta: f64, tolerance: f64) -> Alignment {
        if delta <= tolerance {
            Alignment::Aligned
        } else if delta <= 2.0 * tolerance {
            Alignment::Realign
        } else {
            Alignment::Dissipate
        }
    }
}

/// Master and Emissary together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sync {
    /// `T_sync = (T_m + T_e)/2`.
    pub t: Complex,
    /// `|T_sync|²`.
    pub coherence: f64,
    /// `(|T_m|² + |T_e|²)/2`, which is `coherence + delta_vector²/4`.
    pub power: f64,
    /// `||T_m| - |T_e||`: blind to a source that moved to the opposite phase. Shown, not judged by.
    pub delta_magnitude: f64,
    /// `|T_m - T_e|`: the one that is judged by.
    pub delta_vector: f64,
    /// `arg(T_e conj T_m)` in radians: how far the source has moved, later being positive.
    pub delta_angle: f64,
}

impl Sync {
    /// Compares.
    #[must_use]
    pub fn of(master: Complex, emissary: Complex) -> Sync {
        let t = (master + emissary) * 0.5;
        Sync {
            t,
            coherence: t.norm(),
            power: (master.norm() + emissary.norm()) / 2.0,
            delta_magnitude: (master.abs() - emissary.abs()).abs(),
            delta_vector: (master - emissary).abs(),
            delta_angle: (emissary * master.conj()).arg(),
        }
    }
}

/// `S`: the variance of `T_m - T_e` for a source of one event a cycle with resultant ρ is `(1 - ρ²) S`; time constants in
/// periods.
#[must_use]
pub fn variance_factor(tau_e: f64, tau_m: f64) -> f64 {
    let (fast, slow) = ((-1.0 / tau_e).exp(), (-1.0 / tau_m).exp());
    let own = |g: f64| (1.0 - g) / (1.0 + g);
    own(fast) + own(slow) - 2.0 * (1.0 - fast) * (1.0 - slow) / (1.0 - fast * slow)
}

/// `δ*`: three standard deviations of a healthy source of that coherence, and no less than `floor`.
#[must_use]
pub fn tolerance(coherence: f64, variance_factor: f64, floor: f64) -> f64 {
    let healthy = ((1.0 - coherence).max(0.0) * variance_factor).sqrt();
    (3.0 * healthy).max(floor)
}
