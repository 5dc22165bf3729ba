//! A plane vector, as far as it is needed here.

use std::ops::{Add, AddAssign, Mul, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

impl Complex {
    /// Zero.
    pub const ZERO: Complex = Complex { re: 0.0, im: 0.0 };

    /// Returns the unit vector at an angle in radians.
    #[must_use]
    pub fn unit(angle: f64) -> Complex {
        let (im, re) = angle.sin_cos();
        Complex { re, im }
    }

    /// Returns the square of its length.
    #[must_use]
    pub fn norm(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// Returns its length.
    #[must_use]
    pub fn abs(self) -> f64 {
        self.norm().sqrt()
    }

    /// Returns its angle in radians, from -π to π; 0 for zero.
    #[must_use]
    pub fn arg(self) -> f64 {
        self.im.atan2(self.re)
    }

    /// Returns its mirror image.
    #[must_use]
    pub fn conj(self) -> Complex {
        Complex {
            re: self.re,
            im: -self.im,
        }
    }

    /// Tells whether both parts are numbers.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite()
    }
}

impl Add for Complex {
    type Output = Complex;

    fn add(self, other: Complex) -> Complex {
        Complex {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, other: Complex) {
        *self = *self + other;
    }
}

impl Sub for Complex {
    type Output = Complex;

    fn sub(self, other: Complex) -> Complex {
        Complex {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }
}

impl Mul for Complex {
    type Output = Complex;

    fn mul(self, other: Complex) -> Complex {
        Complex {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

impl Mul<f64> for Complex {
    type Output = Complex;

    fn mul(self, by: f64) -> Complex {
        Complex {
            re: self.re * by,
            im: self.im * by,
        }
    }
}
