//! The estimator as a pure function of a list: for conformance, and for "what if".

use crate::carrier::Carrier;
use crate::complex::Complex;
use crate::error::CoherenceError;
use crate::kernel::Reading;
use crate::params::Params;
use crate::rule::{Rule, dormant};
use crate::source::Source;

/// Most events of one question.
pub const MAX_EVENTS: usize = 100_000;

/// Events, and what to measure them with.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The carrier.
    pub carrier: Carrier,
    /// The time constant in microseconds.
    pub tau_us: i64,
    /// Slots of a cycle; 0 counts all.
    pub slots: u8,
    /// The rule.
    pub rule: Rule,
    /// When to read; none reads at the newest counted event.
    pub query_us: Option<i64>,
    /// The events, in any order.
    pub events_us: Vec<i64>,
    /// One weight an event, in the order in which they are given; none weighs all 1.
    pub weights: Option<Vec<f64>>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Events that count.
    pub counted: u64,
    /// When it was read.
    pub query_us: i64,
    /// What the kernel says.
    pub reading: Reading,
    /// Kish's effective number of events: `(Σw)²/Σw²`.
    pub events: f64,
    /// The mean step from one counted event to the next, as a unit vector.
    pub lag: Complex,
    /// Whether nothing is left.
    pub dormant: bool,
    /// Whether coherence alone would be enough.
    pub amplitude_only: bool,
    /// Whether the rule is met.
    pub collapse: bool,
}

/// Answers a question.
///
/// # Errors
/// When there are too many events, a weight is no number above 0, or the time of the question is before the newest counted
/// event.
pub fn evaluate(question: &Question) -> Result<Evaluation, CoherenceError> {
    let count = question.events_us.len();
    if count > MAX_EVENTS {
        return Err(CoherenceError::TooMany {
            field: "events_us",
            count,
            max: MAX_EVENTS,
        });
    }
    let events = sorted(question)?;
    let (tau, rule) = (question.tau_us, question.rule);
    let params = Params::lenient(question.carrier, tau, tau, question.slots, rule)?;
    let mut source = Source::default();
    let (mut counted, mut squares) = (0, 0.0);
    for (at_us, weight) in events {
        let before = source.at_us();
        if source.observe(&params, at_us, weight).counts() {
            let fade = (at_us.saturating_sub(before) as f64 * params.master_rate).exp();
            squares = weight * weight
                + if counted > 0 {
                    squares * fade * fade
                } else {
                    0.0
                };
            counted += 1;
        }
    }
    let newest = source.at_us();
    let query_us = question.query_us.unwrap_or(newest);
    if counted > 0 && query_us < newest {
        let range = format!("at or after the newest counted event, {newest}");
        return Err(CoherenceError::range("query_us", &query_us, range));
    }
    let reading = source.master(&params, query_us);
    let mass = source.kernels().0.whole.mass;
    Ok(Evaluation {
        counted,
        query_us,
        events: if squares > 0.0 {
            mass * mass / squares
        } else {
            0.0
        },
        lag: source.lag().0,
        dormant: dormant(&reading),
        amplitude_only: counted > 0 && reading.coherence >= rule.coherence,
        collapse: rule.decide(false, &reading),
        reading,
    })
}

/// The events with their weights in the order of time; those of one instant in the order in which they are given.
fn sorted(question: &Question) -> Result<Vec<(i64, f64)>, CoherenceError> {
    let times = question.events_us.iter().copied();
    let mut events: Vec<(i64, f64)> = match &question.weights {
        None => times.map(|at| (at, 1.0)).collect(),
        Some(weights) if weights.len() == question.events_us.len() => {
            if let Some(bad) = weights
                .iter()
                .find(|weight| !(**weight > 0.0 && weight.is_finite()))
            {
                return Err(CoherenceError::range("weights", &bad, "numbers above 0"));
            }
            times.zip(weights.iter().copied()).collect()
        }
        Some(weights) => {
            return Err(CoherenceError::Weights {
                weights: weights.len(),
                events: question.events_us.len(),
            });
        }
    };
    events.sort_by_key(|(at, _)| *at);
    Ok(events)
}
