//! Signed traces, as agents send them.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]
#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use attest::seal::write_signature;
use attest::{Limits, PrivateKey, canonicalise};

/// An agent that signs.
pub struct Agent {
    key: PrivateKey,
    pub key_id: String,
    pub hash: String,
}

impl Agent {
    /// The agent of a byte; its key is called `key-BYTE`.
    pub fn new(byte: u8) -> Agent {
        let key = PrivateKey::from_seed(&[byte; 32]);
        Agent {
            key_id: format!("key-{byte}"),
            hash: key.public().agent_id_hash(),
            key,
        }
    }

    /// What enrols its key.
    pub fn enrolment(&self) -> String {
        let Agent { key, key_id, hash } = self;
        let public = key.public().to_base64();
        format!(
            r#"{{"key_id": "{key_id}", "public_key_base64": "{public}", "agent_id_hash": "{hash}"}}"#
        )
    }

    /// A batch with one trace of `components` components, every seventh of which is a call to a model.
    pub fn batch(&self, trace_id: &str, components: usize) -> String {
        self.batch_of(&[trace_id], components)
    }

    /// A batch with several traces.
    pub fn batch_of(&self, trace_ids: &[&str], components: usize) -> String {
        let events: Vec<_> = trace_ids
            .iter()
            .map(|trace_id| {
                let trace = self.trace(trace_id, components);
                format!(
                    r#"{{"event_type":"complete_trace","trace_level":"generic","trace":{trace}}}"#
                )
            })
            .collect();
        format!(
            r#"{{"events":[{}],"batch_timestamp":"2026-05-01T00:01:00+00:00","consent_timestamp":"2025-01-01T00:00:00Z","trace_level":"generic","trace_schema_version":"2.7.0"}}"#,
            events.join(",")
        )
    }

    fn trace(&self, trace_id: &str, components: usize) -> String {
        let components: Vec<_> = (0..components).map(component).collect();
        let (hash, components) = (&self.hash, components.join(","));
        let fields = format!(
            r#"{{"trace_id":"{trace_id}","thought_id":"thought-{trace_id}","task_id":null,"agent_id_hash":"{hash}","started_at":"2026-05-01T00:00:00+00:00","completed_at":"2026-05-01T00:00:10.5+00:00","trace_level":"generic","trace_schema_version":"2.7.0","components":[{components}]}}"#
        );
        let canonical = canonicalise(fields.as_bytes(), &Limits::default()).expect("JSON");
        let signature = write_signature(&self.key.sign(canonical.as_bytes()));
        let fields = fields.strip_suffix('}').expect("an object");
        let key_id = &self.key_id;
        format!(r#"{fields},"signature":"{signature}","signature_key_id":"{key_id}"}}"#)
    }
}

/// Numbers that a database would spell in another way stand in each.
fn component(place: usize) -> String {
    let (kind, event, more) = match place % 7 {
        6 => (
            "llm_call",
            "LLM_CALL",
            r#","handler_name":"speak","service_name":"llm","duration_ms":12.5,"status":"ok","model":"m-1","prompt_tokens":11,"completion_tokens":7"#,
        ),
        5 => (
            "action",
            "ACTION_RESULT",
            r#","audit_sequence_number":4,"tokens_total":18,"cost_cents":0.25"#,
        ),
        _ => ("rationale", "DMA_RESULTS", r#","score":1e-05,"big":1e+16"#),
    };
    let mut data = String::new();
    write!(
        data,
        r#"{{"attempt_index":{place},"agent_name":"scout","note":"the {place}th of several steps"{more}}}"#
    )
    .expect("a text");
    format!(
        r#"{{"component_type":"{kind}","data":{data},"event_type":"{event}","timestamp":"2026-05-01T00:00:0{}+00:00"}}"#,
        place % 10
    )
}
