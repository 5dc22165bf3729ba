//! What a signed batch costs: its canonical form, its signature, and all of it up to the record.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]
#![allow(missing_docs, reason = "a bench has no readers but its output")]

use std::hint::black_box;

use attest::ring::Role;
use attest::seal::write_signature;
use attest::{
    Attestor, Batch, KeyEntry, KeyRing, Limits, PrivateKey, Rules, Scrub, Tape, canonicalise,
};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use glint::Stamp;

/// 2026-05-02T00:00:00Z
const NOW: Stamp = Stamp(1_777_680_000_000_000);

fn main() {
    divan::main();
}

fn key() -> PrivateKey {
    PrivateKey::from_seed(&[1; 32])
}

fn ring() -> KeyRing {
    let mut ring = KeyRing::default();
    ring.restore(KeyEntry {
        id: "agent".to_owned(),
        key: key().public(),
        agent_id_hash: key().public().agent_id_hash(),
        role: Role::Agent,
        description: String::new(),
        added_at: Stamp(0),
        expires_at: None,
        revoked: None,
    });
    ring
}

/// A batch with one trace, as agents send them: members in no order, some text, some floats.
fn batch(components: usize, text_bytes: usize) -> String {
    let component = |nth: usize| {
        let text = "Weighs what was said, \\u00e9 included.\\n".repeat(text_bytes / 40);
        format!(
            r#"{{"component_type":"conscience","event_type":"CONSCIENCE_RESULT","timestamp":"2026-05-01T00:00:02.250000+00:00","data":{{"score":0.{nth}31992,"attempt_index":{nth},"passed":true,"reason":"{text}"}}}}"#
        )
    };
    let components: Vec<String> = (0..components).map(component).collect();
    let agent = key().public().agent_id_hash();
    let trace = format!(
        r#"{{"trace_id":"tr","thought_id":"th","task_id":"task-1","agent_id_hash":"{agent}","started_at":"2026-05-01T00:00:00+00:00","completed_at":"2026-05-01T00:00:10.500000+00:00","trace_level":"generic","trace_schema_version":"2.7.0","components":[{}]}}"#,
        components.join(",")
    );
    let canonical = canonicalise(trace.as_bytes(), &Limits::default()).expect("JSON");
    let signature = write_signature(&key().sign(canonical.as_bytes()));
    let trace = trace.strip_suffix('}').expect("an object");
    format!(
        r#"{{"events":[{{"event_type":"complete_trace","trace_level":"generic","trace":{trace},"signature":"{signature}","signature_key_id":"agent"}}}}],"batch_timestamp":"2026-05-01T00:01:00+00:00","consent_timestamp":"2025-01-01T00:00:00Z","trace_level":"generic","trace_schema_version":"2.7.0"}}"#
    )
}

/// Fourteen components in 3.5 KB, and sixteen in 3 MB.
const SHAPES: [(usize, usize); 2] = [(14, 40), (16, 190_000)];

#[divan::bench(args = SHAPES)]
fn canonical_form(bencher: Bencher<'_, '_>, (components, text): (usize, usize)) {
    let body = batch(components, text);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| canonicalise(black_box(body.as_bytes()), &Limits::default()));
}

#[divan::bench(args = SHAPES)]
fn read_and_validate(bencher: Bencher<'_, '_>, (components, text): (usize, usize)) {
    let body = batch(components, text);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| {
            let tape = Tape::read(black_box(body.as_bytes()), &Limits::default()).expect("JSON");
            Batch::read(&tape).expect("a batch").traces.len()
        });
}

#[divan::bench]
fn signature_alone(bencher: Bencher<'_, '_>) {
    let message = batch(14, 40);
    let (key, signature) = (key().public(), key().sign(message.as_bytes()));
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| key.verify(black_box(message.as_bytes()), &signature));
}

#[divan::bench(args = SHAPES)]
fn body_to_record(bencher: Bencher<'_, '_>, (components, text): (usize, usize)) {
    let (body, ring) = (batch(components, text), ring());
    let (rules, attestor) = (Rules::default(), Attestor::new("scrub", key()));
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| {
            let tape = Tape::read(black_box(body.as_bytes()), &Limits::default()).expect("JSON");
            let batch = Batch::read(&tape).expect("a batch");
            let scrub = Scrub {
                rules: &rules,
                attestor: &attestor,
            };
            let mut sealed = batch.verify(&ring, NOW).expect("signed");
            sealed.remove(0).keep(&batch, scrub, NOW).text.len()
        });
}
