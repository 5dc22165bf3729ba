//! What cannot be measured with, and what to do about it.

use thiserror::Error;

/// A refusal of this crate.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CoherenceError {
    /// A value is outside of its range.
    #[error("{field} is {value}, and has to be {range}")]
    Range {
        /// The member or setting.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        range: String,
    },
    /// More than is taken at once.
    #[error("{field} has {count} entries, the limit is {max}; send fewer at once")]
    TooMany {
        /// The member.
        field: &'static str,
        /// How many there were.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two lists that belong together differ in length.
    #[error(
        "weights has {weights} entries for {events} events; give one weight an event, or none at all"
    )]
    Weights {
        /// Number of weights.
        weights: usize,
        /// Number of events.
        events: usize,
    },
    /// What two nodes measured cannot be joined.
    #[error(
        "{field} is {theirs} there and {ours} here; only equal kernels can be joined, so set both nodes alike"
    )]
    Different {
        /// The parameter.
        field: &'static str,
        /// Ours.
        ours: i64,
        /// Theirs.
        theirs: i64,
    },
    /// Accumulators that no sequence of events can have led to.
    #[error("the accumulators of {what} are impossible: {why}; measure anew")]
    Impossible {
        /// Whose.
        what: &'static str,
        /// What is wrong with them.
        why: &'static str,
    },
}

impl CoherenceError {
    /// Returns a token that stays the same.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            CoherenceError::Range { .. } => "out_of_range",
            CoherenceError::TooMany { .. } => "too_many",
            CoherenceError::Weights { .. } => "weights_differ",
            CoherenceError::Different { .. } => "kernels_differ",
            CoherenceError::Impossible { .. } => "impossible_state",
        }
    }

    /// Returns the member at fault, where there is one.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            CoherenceError::Range { field, .. }
            | CoherenceError::TooMany { field, .. }
            | CoherenceError::Different { field, .. } => Some(field),
            CoherenceError::Weights { .. } => Some("weights"),
            CoherenceError::Impossible { .. } => None,
        }
    }

    pub(crate) fn range(
        field: &'static str,
        value: &impl ToString,
        range: impl Into<String>,
    ) -> CoherenceError {
        CoherenceError::Range {
            field,
            value: value.to_string(),
            range: range.into(),
        }
    }
}
