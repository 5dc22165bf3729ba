//! Signed traces: keys, batches, and what is said of them.

use std::process::Command;

use attest::PrivateKey;
use attest::seal::write_signature;
use glint::json::{Value, object};

pub use super::dir::Dir;
use super::http::Answer;
use super::{Broker, text_at};

/// What administrators send.
pub const TOKEN: &str = "a-token-of-sixteen";
/// Where traces go.
pub const EVENTS: &str = "/api/v1/accord/events";
/// Where keys are.
pub const KEYS: &str = "/api/v1/accord/public-keys";

impl Dir {
    pub fn broker(&self, settings: &[(&str, &str)]) -> Broker {
        let own = [("data.dir", self.text()), ("admin.token", TOKEN)];
        Broker::with(&[&own, settings].concat())
    }
}

pub fn admin(broker: &Broker, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    let headers = [
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
    ];
    broker.send("POST", path, &headers, body.as_bytes())
}

pub fn enrol(broker: &Broker, id: &str, public: &str, more: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    object(&mut body, |object| {
        object.text("key_id", id).text("public_key_base64", public);
        for (name, value) in more {
            object.text(name, value);
        }
    });
    admin(broker, KEYS, &body)
}

pub fn revoke(broker: &Broker, id: &str) -> Answer {
    admin(
        broker,
        &format!("{KEYS}/{id}/revoke"),
        r#"{"reason":"lost"}"#,
    )
}

pub fn send(broker: &Broker, body: &str) -> Answer {
    broker.post(EVENTS, "application/json", body)
}

pub fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_seed(&[byte; 32])
}

/// A batch with one trace of one component at `level`, whose `data` is given in its canonical form.
pub fn batch(key: &PrivateKey, key_id: &str, trace_id: &str, level: &str, data: &str) -> String {
    let component = format!(
        r#"{{"component_type":"action","data":{data},"event_type":"ACTION_RESULT","timestamp":"2026-05-01T00:00:02+00:00"}}"#
    );
    batch_of(key, key_id, &[(trace_id, &component)], level)
}

/// A batch with a trace of these components each, given in their canonical form.
pub fn batch_of(key: &PrivateKey, key_id: &str, traces: &[(&str, &str)], level: &str) -> String {
    let agent = key.public().agent_id_hash();
    let event = |(trace_id, components): &(&str, &str)| {
        let canonical = format!(
            r#"{{"agent_id_hash":"{agent}","completed_at":"2026-05-01T00:00:10.500000+00:00","components":[{components}],"started_at":"2026-05-01T00:00:00+00:00","task_id":"task-1","thought_id":"th-{trace_id}","trace_id":"{trace_id}","trace_level":"{level}","trace_schema_version":"2.7.0"}}"#
        );
        let signature = write_signature(&key.sign(canonical.as_bytes()));
        let trace = canonical.strip_suffix('}').unwrap();
        format!(
            r#"{{"event_type":"complete_trace","trace_level":"{level}","trace":{trace},"signature":"{signature}","signature_key_id":"{key_id}"}}}}"#
        )
    };
    let events: Vec<String> = traces.iter().map(event).collect();
    format!(
        r#"{{"events":[{}],"batch_timestamp":"2026-05-01T00:01:00+00:00","consent_timestamp":"2025-01-01T00:00:00Z","trace_level":"{level}","trace_schema_version":"2.7.0"}}"#,
        events.join(",")
    )
}

/// What became of each trace, and where.
pub fn outcomes(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let value = answer.json();
    let Some(Value::Array(traces)) = value.get("traces") else {
        panic!("{}", answer.text());
    };
    let text = |trace: &Value<'_>, name| text_at(trace, &[name]).to_owned();
    traces
        .iter()
        .map(|trace| (text(trace, "outcome"), text(trace, "cursor")))
        .collect()
}

/// The first `count` traces of the stream, from the beginning.
pub fn stream(broker: &Broker, count: usize) -> Vec<Value<'static>> {
    let mut lines = broker.lines_with(&format!("?topics=traces&from=earliest&limit={count}"), &[]);
    lines.next();
    let mut traces = Vec::new();
    while traces.len() < count {
        let line = lines.next();
        if text_at(&line, &["event"]) == "trace_committed" {
            traces.push(line);
        }
    }
    traces
}

/// How many traces `broker` has kept, as it says itself.
pub fn kept(broker: &Broker) -> usize {
    let metrics = broker.get("/metrics");
    let line = r#"glintcast_accord_traces_total{outcome="stored"} "#;
    let mut found = metrics
        .text()
        .lines()
        .filter_map(|text| text.strip_prefix(line));
    found.next().map_or(0, |count| count.parse().unwrap())
}

/// Runs `verify --traces` and returns what it says, which must be good.
pub fn verified(dir: &Dir) -> String {
    let report = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["verify", "--traces", dir.text()])
        .output()
        .unwrap();
    let text = String::from_utf8(report.stdout).unwrap();
    assert!(
        report.status.success() && text.contains("verdict    good"),
        "{text}"
    );
    text
}
