//! Settings of coherence.

use coherence::{MAX_PERIOD_US, MIN_PERIOD_US, Preset};
use serde::{Deserialize, Deserializer, de};

use super::layers::Merged;
use super::problem::Problem;

/// Settings of coherence.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoherenceSettings {
    /// Whether sources are measured.
    pub enabled: bool,
    /// The name of this node.
    pub node: String,
    /// What phases are measured against.
    pub period: Period,
    /// Time constant of the Master in periods.
    pub master_periods: i64,
    /// Time constant of the Emissary in periods.
    pub emissary_periods: i64,
    /// Slots of a cycle.
    pub slots: u8,
    /// Coherence from which a source collapses.
    pub coherence_threshold: f64,
    /// Coherence below which it is released.
    pub release_threshold: f64,
    /// Probability with which noise may pass for a rhythm.
    pub false_alarm: f64,
    /// The smallest difference of the kernels that is called one.
    pub phase_threshold: f64,
    /// `phi` from which a source is silent.
    pub silence_phi: f64,
    /// Score above which a source bursts.
    pub burst_score: f64,
    /// Most sources.
    pub sources_max: usize,
    /// Most contracts.
    pub contracts_max: usize,
    /// Most signatures at the close of a cycle.
    pub signatures_per_cycle: usize,
    /// Micro records that are remembered.
    pub micro_records: usize,
    /// Most nodes of the mesh.
    pub mesh_nodes_max: usize,
    /// Time after which a silent node is dropped.
    pub mesh_peer_age_seconds: i64,
}

/// A period by itself, or that of the breath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// The whole breath.
    Breath,
    /// So many microseconds.
    Micros(i64),
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        period(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Reads a period.
fn period(text: &str) -> Result<Period, String> {
    if text == "breath" {
        return Ok(Period::Breath);
    }
    let split = text
        .find(|ch: char| !ch.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        let preset = text.parse::<Preset>();
        return preset
            .map(|preset| Period::Micros(preset.period_us()))
            .map_err(|err| format!("{err}; or \"breath\", or a length such as \"90s\""));
    }
    let unit = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => {
            return Err(
                "a length is a whole number and ms, s, m, h or d, such as \"90s\"".to_owned(),
            );
        }
    };
    let micros = digits
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    micros
        .filter(|micros| (MIN_PERIOD_US..=MAX_PERIOD_US).contains(micros))
        .map(Period::Micros)
        .ok_or_else(|| "must be 1 ms to 7 days".to_owned())
}

/// Checks what a rule asks of a period.
pub(super) fn is_period(text: &str) -> Result<(), String> {
    period(text).map(drop)
}

/// Checks what a rule asks of the name of a node.
pub(super) fn is_node(text: &str) -> Result<(), String> {
    let good = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good {
        return Ok(());
    }
    Err("must be 1 to 128 visible ASCII characters without blanks".to_owned())
}

/// Checks values that must fit each other.
pub(super) fn check(merged: &Merged) -> Vec<Problem> {
    let whole = |key: &str| merged.get(key).and_then(toml::Value::as_integer);
    let real = |key: &str| merged.get(key).and_then(toml::Value::as_float);
    let mut found = Vec::new();
    let (slow, fast) = ("coherence.master_periods", "coherence.emissary_periods");
    if let (Some(master), Some(emissary)) = (whole(slow), whole(fast))
        && !(2 * emissary..=64 * emissary).contains(&master)
    {
        let remedy = format!(
            "must be 2 to 64 times {fast} = {emissary}: closer, both say the same; further apart, they share nothing"
        );
        found.push(Problem::new(
            merged.layer(slow),
            slow,
            master.to_string(),
            remedy,
        ));
    }
    let (high, low) = (
        "coherence.coherence_threshold",
        "coherence.release_threshold",
    );
    if let (Some(collapse), Some(release)) = (real(high), real(low))
        && release > collapse
    {
        let remedy = format!("may not be larger than {high} = {collapse}");
        found.push(Problem::new(
            merged.layer(low),
            low,
            release.to_string(),
            remedy,
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_word_or_a_length() {
        assert_eq!(period("standard"), Ok(Period::Micros(60_000_000)));
        assert_eq!(period("breath"), Ok(Period::Breath));
        assert_eq!(period("90s"), Ok(Period::Micros(90_000_000)));
        assert_eq!(period("1ms"), Ok(Period::Micros(1_000)));
        assert_eq!(period("7d"), Ok(Period::Micros(MAX_PERIOD_US)));
        for bad in [
            "8d",
            "0s",
            "",
            "s",
            "5",
            "5us",
            "-1s",
            "99999999999999999999s",
            "micro",
        ] {
            assert!(period(bad).is_err(), "{bad}");
        }
    }
}
