//! How likely evidence is by chance.

/// Returns the nominal probability of evidence `z` or more without a rhythm: `e^-z` (Rayleigh).
#[must_use]
pub fn by_chance(z: f64) -> f64 {
    (-z).exp().clamp(0.0, 1.0)
}

/// Returns the bound that holds for any weights and any number of cycles: `min(1, e^z / I0(2z))`.
#[must_use]
pub fn bound(z: f64) -> f64 {
    if z <= 0.0 {
        return 1.0;
    }
    // Both sides grow beyond a double: divide the logarithms.
    (z - ln_bessel_i0(2.0 * z)).exp().min(1.0)
}

/// Returns Wilkie's approximation for `n` equal weights with mean resultant length `mean` (Applied Statistics 32, 1983).
#[must_use]
pub fn wilkie(n: f64, mean: f64) -> f64 {
    let resultant = n * mean;
    let root = (1.0 + 4.0 * n + 4.0 * (n * n - resultant * resultant)).sqrt();
    (root - (1.0 + 2.0 * n)).exp().clamp(0.0, 1.0)
}

/// `ln I0(x)` for `x >= 0`, by its power series, every term scaled by the largest.
fn ln_bessel_i0(x: f64) -> f64 {
    // Beyond this the first terms of the asymptotic series are exact in a double.
    if x > 700.0 {
        return x - (std::f64::consts::TAU * x).ln() / 2.0 + (1.0 / (8.0 * x)).ln_1p();
    }
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0_f64, 1.0_f64, 1.0_f64);
    loop {
        term *= quarter / (k * k);
        sum += term;
        if term < sum * 1e-17 {
            return sum.ln();
        }
        k += 1.0;
    }
}
