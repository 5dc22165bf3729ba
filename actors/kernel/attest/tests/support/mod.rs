//! Traces to sign, and where the recorded material is.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::path::PathBuf;

use attest::seal::write_signature;
use attest::{KeyEntry, KeyRing, PrivateKey};
use glint::Stamp;

/// 2026-05-02T00:00:00Z
pub(crate) const NOW: Stamp = Stamp(1_777_680_000_000_000);

/// The file with the recorded vectors, if this machine has it. Without it the test is skipped, and says so past the
/// capture of the test harness.
pub(crate) fn vectors(what: &str) -> Option<serde_json::Value> {
    let Some(directory) = std::env::var_os("GLINTCAST_FIXTURES") else {
        let note =
            format!("SKIPPED: {what}: GLINTCAST_FIXTURES is not set, so there are no vectors\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
        return None;
    };
    let path = PathBuf::from(directory).join("vectors/signed_ingest.json");
    let text = std::fs::read(&path).expect("the vectors");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

/// The key of an agent, from a byte.
pub(crate) fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_seed(&[byte; 32])
}

/// An entry for the public half.
pub(crate) fn entry(id: &str, key: &PrivateKey, role: attest::ring::Role) -> KeyEntry {
    KeyEntry {
        id: id.to_owned(),
        key: key.public(),
        agent_id_hash: key.public().agent_id_hash(),
        role,
        description: String::new(),
        added_at: Stamp(0),
        expires_at: None,
        revoked: None,
    }
}

/// A ring with `agent`, the key of byte 1, and `scrub`, the broker's of byte 9.
pub(crate) fn ring() -> KeyRing {
    let mut ring = KeyRing::default();
    ring.restore(entry("agent", &key(1), attest::ring::Role::Agent));
    ring.restore(entry("scrub", &key(9), attest::ring::Role::Broker));
    ring
}

/// A batch with one trace of these components, signed by the key of byte 1.
///
/// The canonical bytes are spelt out here, member by member, so components must be canonical as they are given.
pub(crate) fn batch(level: &str, components: &str) -> String {
    let agent = key(1).public().agent_id_hash();
    let canonical = format!(
        r#"{{"agent_id_hash":"{agent}","completed_at":"2026-05-01T00:00:10+00:00","components":[{components}],"started_at":"2026-05-01T00:00:00+00:00","task_id":null,"thought_id":"th","trace_id":"tr","trace_level":"{level}","trace_schema_version":"2.7.0"}}"#
    );
    let signature = write_signature(&key(1).sign(canonical.as_bytes()));
    let trace = canonical.strip_suffix('}').expect("an object");
    format!(
        r#"{{"events":[{{"event_type":"complete_trace","trace_level":"{level}","trace":{trace},"signature":"{signature}","signature_key_id":"agent"}}}}],"batch_timestamp":"2026-05-01T00:01:00+00:00","consent_timestamp":"2025-01-01T00:00:00Z","trace_level":"{level}","trace_schema_version":"2.7.0"}}"#
    )
}

/// A component in its canonical form.
pub(crate) fn component(event: &str, data: &str) -> String {
    format!(
        r#"{{"component_type":"unknown","data":{data},"event_type":"{event}","timestamp":"2026-05-01T00:00:02+00:00"}}"#
    )
}
