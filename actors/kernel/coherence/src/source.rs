//! Both kernels and the companions of one source.

use crate::complex::Complex;
use crate::error::CoherenceError;
use crate::kernel::{Kernel, Pair, Reading, Turn};
use crate::params::Params;
use crate::rhythm::{Intervals, burst, phi};
use crate::sync::Sync;

/// Time constant of the fast mass of events, in microseconds.
const FAST_US: f64 = 2e6;
/// Time constant of the slow one.
const SLOW_US: f64 = 600e6;
/// How long a source is new: its own rate says little about it yet.
const NEW_US: f64 = 10e6;
/// Events a second that a new source may come with; more is a burst, though there is nothing to compare it with.
const NEW_RATE: f64 = 128.0;
/// Intervals without which nothing is said about silence.
const RHYTHM: u64 = 8;
/// Variation from which a source has no rhythm to be late for.
const IRREGULAR: f64 = 0.5;
/// The smallest deviation of an interval, as a part of the mean: timers are never better, and a few are not yet a sample.
const DEVIATION: f64 = 0.1;
/// Numbers of a source as bytes.
const WORDS: usize = 39;
/// Length of [`Source::to_bytes`].
pub const STATE_BYTES: usize = WORDS * 8;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Counted,
    /// It came before the newest one, and counts.
    CountedLate,
    /// Another had its slot.
    Slot,
    /// Its cycle is closed.
    TooLate,
    /// Its weight is no number above 0.
    Refused,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Outcome; 5] = [
        Outcome::Counted,
        Outcome::CountedLate,
        Outcome::Slot,
        Outcome::TooLate,
        Outcome::Refused,
    ];

    /// Tells whether the event changed the kernels.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Outcome::Counted | Outcome::CountedLate)
    }

    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Counted => "counted",
            Outcome::CountedLate => "counted_late",
            Outcome::Slot => "slot",
            Outcome::TooLate => "late",
            Outcome::Refused => "refused",
        }
    }
}

/// One source. Times are microseconds; everything decayed refers to the newest counted event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Source {
    pub(crate) master: Kernel,
    pub(crate) emissary: Kernel,
    /// When the newest event was counted.
    at_us: i64,
    /// The cycle that this is in.
    cycle: i64,
    /// Slots taken in that cycle, and in the one before.
    taken: u64,
    taken_before: u64,
    /// Unit vectors of the steps from one counted event to the next, decayed as the Master.
    lag: Pair,
    /// The unit vector of the newest counted event, at harmonic 1.
    unit: Complex,
    /// The first event and the newest, counted or not.
    first_us: i64,
    heard_us: i64,
    /// Events of late, decayed to the newest.
    fast: f64,
    slow: f64,
    intervals: Intervals,
    events: u64,
    slot_dropped: u32,
    late_dropped: u32,
}

impl Source {
    /// Reads words from all over the source, so that most of it is on its way from memory. Whoever knows whom the next event
    /// is from calls this before [`Source::observe`] of the event at hand, and keeps the result from being optimised away.
    #[must_use]
    pub fn touch(&self) -> u64 {
        self.master.whole.mass.to_bits()
            ^ self.emissary.whole.mass.to_bits()
            ^ self.taken
            ^ self.slow.to_bits()
            ^ self.events
    }

    /// Takes in an event. Weights are 1, except in questions.
    pub fn observe(&mut self, params: &Params, at_us: i64, weight: f64) -> Outcome {
        if !(weight > 0.0 && weight.is_finite()) {
            return Outcome::Refused;
        }
        self.hear(at_us);
        let (cycle, rest) = params.carrier.split(at_us);
        let bit = match params.slots {
            0 => 0,
            slots => 1_u64 << params.carrier.slot(rest, slots),
        };
        if self.is_blank() {
            (self.at_us, self.cycle) = (at_us, cycle);
        } else if at_us < self.at_us {
            return self.count_late(params, (at_us, cycle, rest), bit, weight);
        }
        let turn = match cycle - self.cycle {
            0 => Turn::None,
            1 => Turn::One,
            _ => Turn::Many,
        };
        if turn == Turn::None && self.taken & bit != 0 {
            self.slot_dropped = self.slot_dropped.saturating_add(1);
            return Outcome::Slot;
        }
        let passed = at_us.saturating_sub(self.at_us) as f64;
        let slower = (passed * params.master_rate).exp();
        let first = self.master.whole.mass == 0.0;
        self.master.advance(slower, turn);
        self.emissary
            .advance((passed * params.emissary_rate).exp(), turn);
        match turn {
            Turn::None => {}
            Turn::One => self.taken_before = std::mem::take(&mut self.taken),
            Turn::Many => (self.taken, self.taken_before) = (0, 0),
        }
        let unit = params.carrier.unit(rest);
        self.master.add(weight, unit);
        self.emissary.add(weight, unit);
        let step = params.carrier.fundamental(rest, unit);
        if !first {
            self.lag.vector = self.lag.vector * slower + step * self.unit.conj();
            self.lag.mass = self.lag.mass * slower + 1.0;
        }
        self.taken |= bit;
        (self.at_us, self.cycle, self.unit) = (at_us, cycle, step);
        Outcome::Counted
    }

    /// Counts an event from before the newest one, if its cycle has not closed: the sums do not depend on the order.
    fn count_late(
        &mut self,
        params: &Params,
        (at_us, cycle, rest): (i64, i64, i64),
        bit: u64,
        weight: f64,
    ) -> Outcome {
        let before = match self.cycle - cycle {
            0 => false,
            1 => true,
            _ => {
                self.late_dropped = self.late_dropped.saturating_add(1);
                return Outcome::TooLate;
            }
        };
        let taken = if before {
            &mut self.taken_before
        } else {
            &mut self.taken
        };
        if *taken & bit != 0 {
            self.slot_dropped = self.slot_dropped.saturating_add(1);
            return Outcome::Slot;
        }
        *taken |= bit;
        let age = self.at_us.saturating_sub(at_us) as f64;
        let unit = params.carrier.unit(rest);
        for (kernel, rate) in [
            (&mut self.master, params.master_rate),
            (&mut self.emissary, params.emissary_rate),
        ] {
            let weight = weight * (age * rate).exp();
            if before {
                kernel.add_to_previous(weight, unit);
            } else {
                kernel.add(weight, unit);
            }
        }
        Outcome::CountedLate
    }

    /// Notes when an event came, whether or not it will count.
    fn hear(&mut self, at_us: i64) {
        self.events += 1;
        if self.events == 1 {
            (self.first_us, self.heard_us) = (at_us, at_us);
            (self.fast, self.slow) = (1.0, 1.0);
            return;
        }
        let passed = at_us.saturating_sub(self.heard_us) as f64;
        if passed < 0.0 {
            self.fast += (passed / FAST_US).exp();
            self.slow += (passed / SLOW_US).exp();
            return;
        }
        self.fast = self.fast * (-passed / FAST_US).exp() + 1.0;
        self.slow = self.slow * (-passed / SLOW_US).exp() + 1.0;
        self.intervals.note(passed, self.events == 2);
        self.heard_us = at_us;
    }

    /// Tells whether nothing has been counted.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.master.whole.mass == 0.0
    }

    /// Returns when the newest event was counted.
    #[must_use]
    pub fn at_us(&self) -> i64 {
        self.at_us
    }

    /// Returns when it was heard last.
    #[must_use]
    pub fn heard_us(&self) -> i64 {
        self.heard_us
    }

    /// Returns when it was heard first.
    #[must_use]
    pub fn first_us(&self) -> i64 {
        self.first_us
    }

    /// Returns the cycle of the newest counted event.
    #[must_use]
    pub fn cycle(&self) -> i64 {
        self.cycle
    }

    /// Returns how many events there were, of which how many found their slot taken, and how many their cycle closed.
    #[must_use]
    pub fn counts(&self) -> (u64, u32, u32) {
        (self.events, self.slot_dropped, self.late_dropped)
    }

    /// Returns the intervals between events, in microseconds.
    #[must_use]
    pub fn intervals(&self) -> Intervals {
        self.intervals
    }

    /// Returns the accumulators.
    #[must_use]
    pub fn kernels(&self) -> (&Kernel, &Kernel) {
        (&self.master, &self.emissary)
    }

    /// Reads the Master at a time; one before the newest counted event reads as at that event.
    #[must_use]
    pub fn master(&self, params: &Params, now_us: i64) -> Reading {
        self.master
            .read((self.age(now_us) * params.master_rate).exp())
    }

    /// Reads the Emissary.
    #[must_use]
    pub fn emissary(&self, params: &Params, now_us: i64) -> Reading {
        self.emissary
            .read((self.age(now_us) * params.emissary_rate).exp())
    }

    /// Compares the two. Silence does not change it.
    #[must_use]
    pub fn sync(&self) -> Sync {
        Sync::of(self.master.read(1.0).t, self.emissary.read(1.0).t)
    }

    /// Returns the mean step from one counted event to the next as a unit vector, and its mass: the length says whether
    /// the source keeps a rhythm of its own, the angle how far from the carrier that is.
    #[must_use]
    pub fn lag(&self) -> (Complex, f64) {
        match self.lag.mass {
            0.0 => (Complex::ZERO, 0.0),
            mass => (self.lag.vector * (1.0 / mass), mass),
        }
    }

    /// Returns by which part of the period the source's own rhythm is longer than the carrier.
    #[must_use]
    pub fn clock_error(&self) -> f64 {
        self.lag().0.arg() / std::f64::consts::TAU
    }

    /// Returns the events of the last two seconds, and how many of them its rate of ten minutes lets expect.
    #[must_use]
    pub fn masses(&self, now_us: i64) -> (f64, f64) {
        if self.events == 0 {
            return (0.0, 1.0);
        }
        let passed = now_us.saturating_sub(self.heard_us).max(0) as f64;
        let fast = self.fast * (-passed / FAST_US).exp();
        let slow = self.slow * (-passed / SLOW_US).exp();
        let age = now_us.max(self.heard_us).saturating_sub(self.first_us) as f64;
        // What ten minutes hold of a source that is younger.
        let seconds = |age: f64| SLOW_US / 1e6 * -(-age / SLOW_US).exp_m1();
        let mut rate = slow / seconds(age);
        if age < NEW_US {
            rate = (slow / seconds(NEW_US)).max(rate.min(NEW_RATE));
        }
        (fast, rate * (FAST_US / 1e6) + 1.0)
    }

    /// Returns how far it is above its own rate, in standard deviations.
    #[must_use]
    pub fn burst(&self, now_us: i64) -> f64 {
        let (fast, expected) = self.masses(now_us);
        burst(fast, expected)
    }

    /// Returns the suspicion that it is gone; nothing for a source without a rhythm, unless it `promised` one.
    #[must_use]
    pub fn phi(&self, now_us: i64, promised: bool) -> Option<f64> {
        let regular = promised || self.intervals.variation() < IRREGULAR;
        let (mean, known) = (self.intervals.mean, self.events > RHYTHM);
        if !known || !regular || mean <= 0.0 {
            return None;
        }
        let elapsed = now_us.saturating_sub(self.heard_us).max(0) as f64;
        let deviation = self.intervals.variance.sqrt().max(DEVIATION * mean);
        Some(phi(elapsed, mean, deviation))
    }

    fn age(&self, now_us: i64) -> f64 {
        now_us.saturating_sub(self.at_us).max(0) as f64
    }

    /// Writes everything, bit by bit.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STATE_BYTES] {
        let mut words = Vec::with_capacity(WORDS);
        for kernel in [&self.master, &self.emissary] {
            for pair in [kernel.whole, kernel.open, kernel.previous] {
                words.extend([pair.vector.re, pair.vector.im, pair.mass].map(f64::to_bits));
            }
            words.extend([kernel.closed_power, kernel.closed_mass].map(f64::to_bits));
        }
        let times = [self.at_us, self.cycle, self.first_us, self.heard_us];
        words.extend(times.map(i64::cast_unsigned));
        words.extend([self.taken, self.taken_before]);
        let (lag, unit, intervals) = (self.lag, self.unit, self.intervals);
        words.extend([lag.vector.re, lag.vector.im, lag.mass].map(f64::to_bits));
        words.extend([unit.re, unit.im, self.fast, self.slow].map(f64::to_bits));
        words.extend([intervals.mean, intervals.variance].map(f64::to_bits));
        let dropped = u64::from(self.slot_dropped) << 32 | u64::from(self.late_dropped);
        words.extend([self.events, dropped]);
        let mut bytes = [0; STATE_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Source::to_bytes`] wrote, and checks what holds for every source.
    ///
    /// # Errors
    /// `impossible_state`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Source, CoherenceError> {
        let impossible = |why| CoherenceError::Impossible {
            what: "a source",
            why,
        };
        if bytes.len() != STATE_BYTES {
            return Err(impossible("it has another length"));
        }
        let mut words = bytes.chunks_exact(8).map(|word| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            u64::from_be_bytes(bytes)
        });
        let mut word = || words.next().unwrap_or_default();
        let mut source = Source::default();
        for kernel in [&mut source.master, &mut source.emissary] {
            for pair in [&mut kernel.whole, &mut kernel.open, &mut kernel.previous] {
                *pair = pair_of(&mut word);
            }
            kernel.closed_power = f64::from_bits(word());
            kernel.closed_mass = f64::from_bits(word());
        }
        [source.at_us, source.cycle, source.first_us, source.heard_us] =
            std::array::from_fn(|_| word().cast_signed());
        [source.taken, source.taken_before] = std::array::from_fn(|_| word());
        source.lag = pair_of(&mut word);
        [source.unit.re, source.unit.im, source.fast, source.slow] =
            std::array::from_fn(|_| f64::from_bits(word()));
        [source.intervals.mean, source.intervals.variance] =
            std::array::from_fn(|_| f64::from_bits(word()));
        source.events = word();
        let dropped = word();
        source.slot_dropped = (dropped >> 32) as u32;
        source.late_dropped = dropped as u32;
        source.check()?;
        Ok(source)
    }

    fn check(&self) -> Result<(), CoherenceError> {
        self.master.check("the Master")?;
        self.emissary.check("the Emissary")?;
        let others = [
            self.fast,
            self.slow,
            self.intervals.mean,
            self.intervals.variance,
        ];
        let vectors = [self.lag.vector, self.unit];
        let finite = others
            .iter()
            .chain([&self.lag.mass])
            .all(|sum| sum.is_finite() && *sum >= 0.0)
            && vectors.iter().all(|vector| vector.is_finite());
        if finite {
            return Ok(());
        }
        let why = "a companion is not finite, or negative";
        Err(CoherenceError::Impossible {
            what: "a source",
            why,
        })
    }
}

fn pair_of(word: &mut impl FnMut() -> u64) -> Pair {
    let [re, im, mass] = std::array::from_fn(|_| f64::from_bits(word()));
    Pair {
        vector: Complex { re, im },
        mass,
    }
}
