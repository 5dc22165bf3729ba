//! Intervals, silence and bursts: what a mean of angles cannot see.

use std::f64::consts::FRAC_1_SQRT_2;

/// The largest `phi`: beyond it the tail of the normal distribution has no double.
pub const PHI_MAX: f64 = 300.0;

/// Weight of the newest interval.
const ALPHA: f64 = 0.1;

/// Mean and variance of intervals, the newer ones weighing more (Finch 2009).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Intervals {
    /// The mean, in the unit of what was noted.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
}

impl Intervals {
    /// Notes an interval; the first is the mean.
    pub fn note(&mut self, interval: f64, first: bool) {
        if first {
            *self = Intervals {
                mean: interval,
                variance: 0.0,
            };
            return;
        }
        let off = interval - self.mean;
        self.mean += ALPHA * off;
        self.variance = (1.0 - ALPHA) * (self.variance + ALPHA * off * off);
    }

    /// Returns the coefficient of variation: standard deviation over mean; 0 without a mean.
    #[must_use]
    pub fn variation(&self) -> f64 {
        if self.mean > 0.0 {
            self.variance.sqrt() / self.mean
        } else {
            0.0
        }
    }
}

/// Returns the suspicion that a source is gone (Hayashibara et al. 2004): `-log10` of the probability that an interval is
/// longer than `elapsed`, normal with `mean` and `deviation`. All in one unit; at most [`PHI_MAX`].
#[must_use]
pub fn phi(elapsed: f64, mean: f64, deviation: f64) -> f64 {
    let late = (elapsed - mean) / deviation;
    // 0/0: as late as expected, and nothing is known of the spread.
    if late.is_nan() {
        return 0.5_f64.log10().abs();
    }
    let longer = 0.5 * libm::erfc(late * FRAC_1_SQRT_2);
    // Adding zero turns the -0 of a certainty into 0.
    (-longer.log10()).min(PHI_MAX) + 0.0
}

/// Returns how far the mass of the last seconds is above the expected one, in standard deviations (Anscombe 1948, on
/// twice the mass, whose mean and variance agree for an exponential kernel).
#[must_use]
pub fn burst(fast_mass: f64, expected_mass: f64) -> f64 {
    2.0 * ((2.0 * fast_mass + 0.375).sqrt() - (2.0 * expected_mass + 0.375).sqrt())
}
