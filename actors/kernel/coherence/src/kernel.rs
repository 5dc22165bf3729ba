//! The accumulators of one time constant, and what they say.

use crate::complex::Complex;
use crate::error::CoherenceError;

/// Below this mass nothing is left to divide by.
const EMPTY: f64 = 1e-12;
/// What rounding may add to a bound that holds exactly in theory.
const SLACK: f64 = 1e-9;

/// A weighted sum of unit vectors, and the sum of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    /// The sum of weighted unit vectors.
    pub vector: Complex,
    /// The sum of weights.
    pub mass: f64,
}

impl Pair {
    fn decay(&mut self, by: f64) {
        self.vector = self.vector * by;
        self.mass *= by;
    }

    fn add(&mut self, weight: f64, unit: Complex) {
        self.vector += unit * weight;
        self.mass += weight;
    }
}

/// The accumulators of one kernel, referred to the time of the newest counted event.
///
/// `A` and `B` decay with the time constant. `V` and `U` are sums over cycles of squares, so they decay with its square;
/// the open cycle and the one before, into which late events may still fall, are kept apart until they close.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kernel {
    /// `A` and `B`.
    pub whole: Pair,
    /// The same sums over the open cycle.
    pub open: Pair,
    /// The same sums over the cycle before it.
    pub previous: Pair,
    /// `V`: the sum over closed cycles of the square of their vector.
    pub closed_power: f64,
    /// `U`: the sum over closed cycles of the square of their mass.
    pub closed_mass: f64,
}

/// How many cycles time has moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The same cycle.
    None,
    /// The next one.
    One,
    /// Further.
    Many,
}

impl Kernel {
    /// Moves the reference time on: everything weighs `by` of what it did, and cycles close.
    pub(crate) fn advance(&mut self, by: f64, turn: Turn) {
        self.whole.decay(by);
        if self.whole.mass < EMPTY {
            *self = Kernel::default();
            return;
        }
        self.open.decay(by);
        self.previous.decay(by);
        self.closed_power *= by * by;
        self.closed_mass *= by * by;
        match turn {
            Turn::None => {}
            Turn::One => {
                self.close(self.previous);
                self.previous = std::mem::take(&mut self.open);
            }
            Turn::Many => {
                self.close(self.previous);
                self.close(self.open);
                self.previous = Pair::default();
                self.open = Pair::default();
            }
        }
    }

    fn close(&mut self, cycle: Pair) {
        self.closed_power += cycle.vector.norm();
        self.closed_mass += cycle.mass * cycle.mass;
    }

    /// Adds an event of the open cycle that weighs `weight` at the reference time.
    pub(crate) fn add(&mut self, weight: f64, unit: Complex) {
        self.whole.add(weight, unit);
        self.open.add(weight, unit);
    }

    /// Adds an event of the cycle before.
    pub(crate) fn add_to_previous(&mut self, weight: f64, unit: Complex) {
        self.whole.add(weight, unit);
        self.previous.add(weight, unit);
    }

    /// Says what the accumulators say once everything weighs `by` of what it did at the reference time.
    #[must_use]
    pub fn read(&self, by: f64) -> Reading {
        let (a, b) = (self.whole.vector, self.whole.mass);
        let open = [self.open, self.previous];
        let power = self.closed_power + open.iter().map(|cycle| cycle.vector.norm()).sum::<f64>();
        let squares = self.closed_mass
            + open
                .iter()
                .map(|cycle| cycle.mass * cycle.mass)
                .sum::<f64>();
        let mut reading = Reading {
            vector: a * by,
            mass: b * by,
            power: power * by * by,
            squares: squares * by * by,
            ..Reading::default()
        };
        if b < EMPTY {
            return reading;
        }
        // Ratios are taken before the decay, which they do not depend on and which may leave nothing to divide by.
        reading.t = a * (1.0 / b);
        reading.coherence = reading.t.norm().min(1.0);
        reading.cycles = (b * b / squares).max(1.0);
        reading.evidence = if power > 0.0 { a.norm() / power } else { 0.0 };
        let pairs = b * b - squares;
        if pairs > SLACK * b * b {
            reading.debiased = ((a.norm() - power) / pairs).clamp(0.0, 1.0);
        }
        reading
    }

    /// Checks what holds for every sequence of events: `|A| <= B`, `V <= U <= B²`, all finite and none negative.
    ///
    /// # Errors
    /// `impossible_state`.
    pub fn check(&self, what: &'static str) -> Result<(), CoherenceError> {
        let impossible = |why| Err(CoherenceError::Impossible { what, why });
        let pairs = [self.whole, self.open, self.previous];
        let sums = [self.closed_power, self.closed_mass];
        if pairs
            .iter()
            .any(|pair| !pair.vector.is_finite() || !pair.mass.is_finite())
            || sums.iter().any(|sum| !sum.is_finite())
        {
            return impossible("not all of them are finite");
        }
        if pairs.iter().any(|pair| pair.mass < 0.0) || sums.iter().any(|sum| *sum < 0.0) {
            return impossible("a sum of weights or of squares is negative");
        }
        let within = |small: f64, large: f64| small <= large * (1.0 + SLACK) + f64::MIN_POSITIVE;
        if pairs
            .iter()
            .any(|pair| !within(pair.vector.abs(), pair.mass))
        {
            return impossible("a sum of unit vectors is longer than their weights");
        }
        let reading = self.read(1.0);
        if !within(reading.power, reading.squares) {
            return impossible("the cycles are longer than their weights");
        }
        if !within(reading.squares, self.whole.mass * self.whole.mass) {
            return impossible("the cycles weigh more than the whole");
        }
        Ok(())
    }
}

/// What a kernel says at a time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// `A`.
    pub vector: Complex,
    /// `B`, in events. The only one that decays in silence.
    pub mass: f64,
    /// `V`, the open cycles included.
    pub power: f64,
    /// `U`, the open cycles included.
    pub squares: f64,
    /// `T = A/B`, in the unit disc; 0 where there is nothing.
    pub t: Complex,
    /// `|T|²`, from 0 to 1.
    pub coherence: f64,
    /// The effective number of cycles `B²/U`; at least 1, or 0 where there is nothing.
    pub cycles: f64,
    /// `Z = |A|²/V`, from 0 to the number of cycles.
    pub evidence: f64,
    /// `|T|²` without what few cycles add to it (pairwise phase consistency, Vinck et al. 2010, with weights and
    /// clustered by cycle); 0 with one cycle.
    pub debiased: f64,
}

impl Reading {
    /// Returns the preferred place in the cycle, in turns from 0 up to 1; nothing where there is no direction.
    #[must_use]
    pub fn turns(&self) -> Option<f64> {
        (self.t != Complex::ZERO).then(|| {
            let turns = self.t.arg() / std::f64::consts::TAU;
            // Slightly less than none rounds to a whole turn, which is none.
            let turns = turns.rem_euclid(1.0);
            if turns < 1.0 { turns } else { 0.0 }
        })
    }
}
