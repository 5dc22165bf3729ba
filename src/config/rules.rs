//! What each value may be.

use std::net::SocketAddr;

use glint::Phase;
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::accord;
use super::admin::shown;
use super::coherence;
use super::instant;
use super::layers::Merged;
use super::problem::Problem;
use super::sinks;

const HOURS_MAX: f64 = 8760.0;
/// A shorter token could be guessed.
const TOKEN_MIN_BYTES: usize = 16;
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What a value may be. Its type is that of the default and known to be right.
enum Rule {
    /// A whole number in a range that includes its ends.
    Whole(i64, i64),
    /// A number above zero, at most this.
    AboveZero(f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A length in hours for each phase.
    Hours,
    /// A text that this takes.
    Text(fn(&str) -> Result<(), String>),
    /// Any text.
    Any,
}

const RULES: &[(&str, Rule)] = &[
    ("edge.listen", Rule::Text(address)),
    ("edge.workers", Rule::Whole(0, 1024)),
    ("edge.streams_max", Rule::Whole(1, 10_000_000)),
    ("edge.views_max", Rule::Whole(1, 65_536)),
    ("edge.glint_limit_bytes", Rule::Whole(1024, 67_108_864)),
    ("edge.batch_limit_bytes", Rule::Whole(1024, 1_073_741_824)),
    ("edge.batch_max", Rule::Whole(1, 1_000_000)),
    ("edge.keepalive_seconds", Rule::Whole(1, 25)),
    ("edge.handoff", Rule::Word(&["auto", "off"])),
    ("edge.stall_seconds", Rule::Whole(1, 86_400)),
    ("edge.refusal_delay_ms", Rule::Whole(0, 20_000)),
    ("edge.body_timeout_seconds", Rule::Whole(1, 3600)),
    ("lane.window_bytes", Rule::Whole(65_536, 1_073_741_824)),
    ("lane.page_bytes", Rule::Whole(4096, 16_777_216)),
    ("lane.coalesce_ms", Rule::Whole(0, 1000)),
    ("tail.events", Rule::Whole(1, 100_000_000)),
    ("tail.bytes", Rule::Whole(65_536, 1_099_511_627_776)),
    ("breath.hours", Rule::Hours),
    ("breath.anchor", Rule::Text(anchor)),
    ("breath.speed", Rule::AboveZero(1_000_000.0)),
    ("breath.utc_offset", Rule::Text(offset)),
    ("breath.tick_ms", Rule::Whole(10, 60_000)),
    ("breath.caesura_after_seconds", Rule::Whole(1, 604_800)),
    ("breath.usage_step", Rule::AboveZero(1.0)),
    ("publish.queue_offers", Rule::Whole(1, 1_000_000)),
    ("publish.queue_bytes", Rule::Whole(65_536, 17_179_869_184)),
    ("publish.idempotency_seconds", Rule::Whole(1, 2_592_000)),
    ("publish.idempotency_keys", Rule::Whole(1, 100_000_000)),
    ("publish.repeat_seconds", Rule::Whole(0, 86_400)),
    ("publish.repeat_glints", Rule::Whole(1, 100_000_000)),
    ("drain.grace_seconds", Rule::Whole(0, 3600)),
    ("drain.retry_min_ms", Rule::Whole(0, 600_000)),
    ("drain.retry_max_ms", Rule::Whole(0, 600_000)),
    ("log.level", Rule::Text(level)),
    ("log.format", Rule::Word(&["text", "json"])),
    ("data.dir", Rule::Any),
    ("data.durability", Rule::Word(&["fsync", "os"])),
    ("data.segment_bytes", Rule::Whole(65_536, 4_294_967_296)),
    ("data.retain_bytes", Rule::Whole(0, 1_099_511_627_776_000)),
    ("data.retain_events", Rule::Whole(0, 1_000_000_000_000)),
    ("data.retain_hours", Rule::Whole(0, 1_000_000)),
    ("data.damaged", Rule::Word(&["refuse", "quarantine"])),
    ("admin.token", Rule::Text(token)),
    ("admin.open_on_loopback", Rule::Any),
    ("coherence.enabled", Rule::Any),
    ("coherence.node", Rule::Text(coherence::is_node)),
    ("coherence.period", Rule::Text(coherence::is_period)),
    ("coherence.master_periods", Rule::Whole(2, 1024)),
    ("coherence.emissary_periods", Rule::Whole(1, 512)),
    ("coherence.slots", Rule::Whole(0, 64)),
    ("coherence.coherence_threshold", Rule::AboveZero(1.0)),
    ("coherence.release_threshold", Rule::AboveZero(1.0)),
    ("coherence.false_alarm", Rule::AboveZero(0.5)),
    ("coherence.phase_threshold", Rule::AboveZero(2.0)),
    ("coherence.silence_phi", Rule::AboveZero(300.0)),
    ("coherence.burst_score", Rule::AboveZero(1000.0)),
    ("coherence.sources_max", Rule::Whole(1, 10_000_000)),
    ("coherence.contracts_max", Rule::Whole(0, 1_000_000)),
    ("coherence.signatures_per_cycle", Rule::Whole(0, 4096)),
    ("coherence.micro_records", Rule::Whole(1, 1_000_000)),
    ("coherence.mesh_nodes_max", Rule::Whole(1, 10_000)),
    (
        "coherence.mesh_peer_age_seconds",
        Rule::Whole(1, 31_536_000),
    ),
    ("registry.base", Rule::Text(origin)),
    ("registry.mode", Rule::Word(&["compatible", "closure"])),
    ("registry.json_uploads", Rule::Any),
    (
        "registry.body_limit_bytes",
        Rule::Whole(1024, 1_073_741_824),
    ),
    ("registry.room_bytes", Rule::Whole(65_536, 17_179_869_184)),
    ("registry.upload_entries_max", Rule::Whole(1, 100_000_000)),
    ("registry.entries_max", Rule::Whole(1, 1_000_000_000)),
    (
        "registry.url_bytes_max",
        Rule::Whole(1024, 1_099_511_627_776),
    ),
    ("registry.seal_every_ms", Rule::Whole(0, 600_000)),
    ("registry.inline_urls_max", Rule::Whole(0, 10_000_000)),
    ("registry.inline_state_max", Rule::Whole(0, 10_000_000)),
    ("registry.pins_max", Rule::Whole(0, 10_000)),
    ("registry.pin_seconds", Rule::Whole(1, 86_400)),
    ("registry.cors_credentials", Rule::Any),
    ("accord.body_limit_bytes", Rule::Whole(1024, 33_554_432)),
    ("accord.queue_batches", Rule::Whole(1, 100_000)),
    ("accord.queue_bytes", Rule::Whole(1024, 1_073_741_824)),
    ("accord.remember_traces", Rule::Whole(1000, 1_000_000_000)),
    ("accord.scrub", Rule::Text(accord::rules)),
    ("traces.store", Rule::Word(&["embedded", "off"])),
    ("traces.retain_traces", Rule::Whole(0, 1_000_000_000_000)),
    ("traces.retain_hours", Rule::Whole(0, 1_000_000)),
    ("postgres.url", Rule::Text(sinks::url)),
    ("postgres.password", Rule::Any),
    ("postgres.schema", Rule::Text(sinks::schema)),
    ("postgres.batch_traces", Rule::Whole(1, 10_000)),
    ("postgres.timeout_seconds", Rule::Whole(1, 3600)),
    ("postgres.retry_max_ms", Rule::Whole(100, 3_600_000)),
    (
        "usage.source",
        Rule::Word(&["set", "glints", "ledger", "subscribers"]),
    ),
    ("usage.capacity", Rule::Whole(1, 1_099_511_627_776_000)),
    ("rituals.enabled", Rule::Any),
    ("rituals.file", Rule::Any),
    ("rituals.commands_dir", Rule::Any),
    ("rituals.workdir", Rule::Any),
    ("rituals.webhook_secret", Rule::Text(token)),
    ("rituals.webhook_private", Rule::Any),
    ("rituals.webhook_ca", Rule::Any),
    ("rituals.jobs_max", Rule::Whole(1, 256)),
    ("rituals.output_bytes", Rule::Whole(256, 1_048_576)),
    ("rituals.chain_max", Rule::Whole(1, 16)),
];

/// Pairs of keys of which the first may not be larger than the second, and why.
const ORDERED: &[(&str, &str)] = &[
    ("edge.glint_limit_bytes", "edge.batch_limit_bytes"),
    ("edge.batch_limit_bytes", "publish.queue_bytes"),
    ("lane.page_bytes", "lane.window_bytes"),
    ("registry.body_limit_bytes", "registry.room_bytes"),
    ("drain.retry_min_ms", "drain.retry_max_ms"),
];

/// Checks every value and adds what is wrong to the problems.
pub(super) fn check(merged: &mut Merged) {
    let mut found = Vec::new();
    for (key, rule) in RULES {
        let Some(value) = merged.get(key) else {
            continue;
        };
        if let Err(remedy) = rule.check(value) {
            let layer = merged.layer(key);
            let value = shown(key, value.to_string());
            found.push(Problem::new(layer, *key, value, remedy));
        }
    }
    // A pair is only worth a word when each of the two can stand alone.
    let stands = |key: &str| found.iter().all(|problem: &Problem| problem.key != key);
    let mut pairs = Vec::new();
    for (low, high) in ORDERED {
        if stands(low) && stands(high) {
            pairs.extend(check_order(merged, low, high));
        }
    }
    if found.is_empty() {
        pairs.extend(coherence::check(merged));
    }
    merged.problems.extend(found);
    merged.problems.extend(pairs);
}

fn check_order(merged: &Merged, low: &str, high: &str) -> Option<Problem> {
    let low_value = merged.get(low)?.as_integer()?;
    let high_value = merged.get(high)?.as_integer()?;
    if low_value <= high_value {
        return None;
    }
    let remedy = format!(
        "may not be larger than {high} = {high_value} ({}); lower this one or raise that one",
        merged.layer(high)
    );
    let layer = merged.layer(low);
    Some(Problem::new(layer, low, low_value.to_string(), remedy))
}

impl Rule {
    fn check(&self, value: &Value) -> Result<(), String> {
        let (stands, remedy) = match (self, value) {
            (Rule::Whole(min, max), Value::Integer(number)) => (
                (min..=max).contains(&number),
                format!("must be {min} to {max}"),
            ),
            (Rule::AboveZero(max), Value::Float(number)) => (
                *number > 0.0 && number <= max,
                format!("must be above 0 and at most {max}"),
            ),
            (Rule::Word(words), Value::String(word)) => (
                words.contains(&word.as_str()),
                format!("must be one of: {}", words.join(", ")),
            ),
            (Rule::Hours, Value::Array(lengths)) => return hours(lengths),
            (Rule::Text(check), Value::String(text)) => return check(text),
            (Rule::Any, _) => return Ok(()),
            _ => (false, "has the wrong type; see the manual".to_owned()),
        };
        if stands { Ok(()) } else { Err(remedy) }
    }
}

fn hours(lengths: &[Value]) -> Result<(), String> {
    if lengths.len() != Phase::ALL.len() {
        return Err(format!(
            "must be {} lengths, one for each of inhale, hold, exhale, return, night_hold; these are {}",
            Phase::ALL.len(),
            lengths.len()
        ));
    }
    for (phase, length) in Phase::ALL.into_iter().zip(lengths) {
        let length = length.as_float().unwrap_or(f64::NAN);
        if !(length > 0.0 && length <= HOURS_MAX) {
            return Err(format!(
                "{phase} lasts {length} h; give each phase more than 0 and at most {HOURS_MAX}"
            ));
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<(), String> {
    let parsed = text.parse::<SocketAddr>();
    parsed.map(drop).map_err(|_| {
        r#"write an IP address and a port, such as "127.0.0.1:5056" or "[::1]:5056""#.to_owned()
    })
}

fn anchor(text: &str) -> Result<(), String> {
    let parsed = instant::anchor(text);
    parsed.map(drop).map_err(|err| err.to_string())
}

fn offset(text: &str) -> Result<(), String> {
    let parsed = text.parse::<glint::Zone>();
    parsed.map(drop).map_err(|err| err.to_string())
}

fn origin(text: &str) -> Result<(), String> {
    let parsed = registry::Base::new(text);
    parsed.map(drop).map_err(|err| err.to_string())
}

fn token(text: &str) -> Result<(), String> {
    let fit = text.bytes().all(|byte| byte.is_ascii_graphic());
    if fit && (text.is_empty() || text.len() >= TOKEN_MIN_BYTES) {
        return Ok(());
    }
    Err(format!(
        "must be at least {TOKEN_MIN_BYTES} visible ASCII characters without blanks, or empty; for example the output of `openssl rand -hex 32`"
    ))
}

fn level(text: &str) -> Result<(), String> {
    // A lone word that is no level would be read as the name of a part and silence all the others.
    for word in text.split(',').map(str::trim) {
        let known = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        if !known && !word.contains('=') {
            return Err(format!(
                "{word:?} is no level; write one of {}, or part=level",
                LEVELS.join(", ")
            ));
        }
    }
    let parsed = EnvFilter::builder().parse(text);
    parsed
        .map(drop)
        .map_err(|err| format!("{err}; write for example \"info,actors=debug\""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Sources, layers};

    #[test]
    fn every_key_of_the_manual_has_a_rule_and_every_rule_a_key() {
        let merged = layers::merge(&Sources::default()).unwrap();
        let keys: BTreeSet<String> = merged.keys().into_iter().collect();
        let ruled: BTreeSet<String> = RULES.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(keys, ruled);
        assert!(
            ORDERED
                .iter()
                .all(|(low, high)| keys.contains(*low) && keys.contains(*high))
        );
    }

    #[test]
    fn the_manual_states_the_ranges_that_are_checked() {
        for (key, rule) in RULES {
            let Rule::Whole(min, max) = rule else {
                continue;
            };
            let (section, name) = key.split_once('.').unwrap();
            let (_, section) = crate::config::MANUAL
                .split_once(&format!("\n[{section}]\n"))
                .unwrap();
            let (before, _) = section.split_once(&format!("\n{name} = ")).unwrap();
            let comment = before.rsplit("\n\n").next().unwrap().replace("\n# ", " ");
            assert!(
                comment.contains(&format!("{min} to {max}")),
                "{key}: {comment}"
            );
        }
    }
}
