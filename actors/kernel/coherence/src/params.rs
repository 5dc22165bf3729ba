//! What a source is measured with.

use crate::carrier::Carrier;
use crate::error::CoherenceError;
use crate::rule::Rule;
use crate::sync;

/// Most slots of a cycle: one bit each.
const MAX_SLOTS: u8 = 64;
/// Slow kernels this many times slower than the fast one: closer, they say the same; further, they share nothing.
const RATIO: (f64, f64) = (2.0, 64.0);
/// Cycles of time constant below which leakage is worth a warning.
const STEADY: i64 = 3;

/// Carrier, time constants and rules of a source, checked together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// What phases are measured against.
    pub carrier: Carrier,
    /// Time constant of the Master in microseconds.
    pub master_tau_us: i64,
    /// Time constant of the Emissary in microseconds.
    pub emissary_tau_us: i64,
    /// Slots of a cycle, of which each counts one event at most; 0 counts all.
    pub slots: u8,
    /// When the source is collapsed.
    pub rule: Rule,
    /// The smallest difference of the kernels that is called one.
    pub sync_floor: f64,
    /// Thresholds of the companions.
    pub companions: Companions,
    pub(crate) master_rate: f64,
    pub(crate) emissary_rate: f64,
    pub(crate) variance_factor: f64,
}

/// Thresholds of silence and burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Companions {
    /// `phi` from which a source is silent.
    pub silence_phi: f64,
    /// Score above which a source bursts.
    pub burst_score: f64,
    /// Mass of the last two seconds without which it does not.
    pub burst_mass: f64,
}

impl Default for Companions {
    fn default() -> Companions {
        Companions {
            silence_phi: 8.0,
            burst_score: 6.0,
            burst_mass: 10.0,
        }
    }
}

impl Params {
    /// Makes parameters for sources that are judged: 16 and 4 periods, 64 slots and the default rule.
    ///
    /// # Errors
    /// None with these numbers.
    pub fn of(carrier: Carrier) -> Result<Params, CoherenceError> {
        let period = carrier.period_us();
        Params::new(carrier, 16 * period, 4 * period, 64, Rule::default())
    }

    /// Makes parameters for sources that are judged.
    ///
    /// # Errors
    /// When a time constant is shorter than the period (leakage alone then looks like coherence), the two are not 2 to 64
    /// times apart, there are more than 64 slots, or the rule is out of range.
    pub fn new(
        carrier: Carrier,
        master_tau_us: i64,
        emissary_tau_us: i64,
        slots: u8,
        rule: Rule,
    ) -> Result<Params, CoherenceError> {
        let period = carrier.period_us();
        for (field, tau) in [
            ("master_tau_us", master_tau_us),
            ("emissary_tau_us", emissary_tau_us),
        ] {
            if tau < period {
                let leakage = carrier.leakage(tau.max(0));
                let range = format!(
                    "at least the period of {period}: any steady stream would show |T| of {leakage:.3} already"
                );
                return Err(CoherenceError::range(field, &tau, range));
            }
        }
        let ratio = master_tau_us as f64 / emissary_tau_us as f64;
        if !(RATIO.0..=RATIO.1).contains(&ratio) {
            let range = format!(
                "{} to {} times emissary_tau_us ({emissary_tau_us})",
                RATIO.0, RATIO.1
            );
            return Err(CoherenceError::range(
                "master_tau_us",
                &master_tau_us,
                range,
            ));
        }
        Params::lenient(carrier, master_tau_us, emissary_tau_us, slots, rule)
    }

    /// Makes parameters for a question that nobody is judged by: time constants may be anything above 0.
    ///
    /// # Errors
    /// When a time constant is not above 0, there are more than 64 slots, or the rule is out of range.
    pub fn lenient(
        carrier: Carrier,
        master_tau_us: i64,
        emissary_tau_us: i64,
        slots: u8,
        rule: Rule,
    ) -> Result<Params, CoherenceError> {
        for (field, tau) in [("tau_us", master_tau_us), ("tau_us", emissary_tau_us)] {
            if tau <= 0 {
                return Err(CoherenceError::range(field, &tau, "above 0"));
            }
        }
        if slots > MAX_SLOTS {
            let range = format!("0 (count every event) to {MAX_SLOTS}");
            return Err(CoherenceError::range("slots", &slots, range));
        }
        let period = carrier.period_us() as f64;
        let (slow, fast) = (master_tau_us as f64, emissary_tau_us as f64);
        Ok(Params {
            carrier,
            master_tau_us,
            emissary_tau_us,
            slots,
            rule: rule.checked()?,
            sync_floor: 0.1,
            companions: Companions::default(),
            master_rate: -1.0 / slow,
            emissary_rate: -1.0 / fast,
            variance_factor: sync::variance_factor(fast / period, slow / period),
        })
    }

    /// Returns what is allowed and yet unwise, for whoever starts the broker.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let period = self.carrier.period_us();
        (self.emissary_tau_us < STEADY * period).then(|| {
            format!(
                "emissary_tau_us is {}, less than {STEADY} periods: a steady stream shows |T| of {:.3} by leakage",
                self.emissary_tau_us,
                self.carrier.leakage(self.emissary_tau_us)
            )
        })
    }

    /// Returns these parameters on another carrier, with the time constants as many periods long.
    ///
    /// # Errors
    /// As [`Params::new`].
    pub fn on(&self, carrier: Carrier) -> Result<Params, CoherenceError> {
        let stretch = |tau: i64| {
            let periods = tau as f64 / self.carrier.period_us() as f64;
            (periods * carrier.period_us() as f64).round() as i64
        };
        let (slow, fast) = (stretch(self.master_tau_us), stretch(self.emissary_tau_us));
        let params = Params::new(carrier, slow, fast, self.slots, self.rule)?;
        Ok(Params {
            sync_floor: self.sync_floor,
            companions: self.companions,
            ..params
        })
    }
}
