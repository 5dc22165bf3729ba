//! Settings of signed traces.

use attest::Rules;
use serde::Deserialize;

/// Settings of signed traces.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccordSettings {
    /// Largest body of one batch.
    pub body_limit_bytes: usize,
    /// Batches that may wait.
    pub queue_batches: usize,
    /// Bytes of traces that may wait.
    pub queue_bytes: usize,
    /// Traces that are known as taken.
    pub remember_traces: u64,
    /// What is taken out before anything is kept, one rule a line.
    pub scrub: String,
}

/// Checks scrub rules.
pub(super) fn rules(text: &str) -> Result<(), String> {
    let rules: Result<Rules, _> = text.parse();
    rules.map(drop).map_err(|fault| fault.detail)
}
