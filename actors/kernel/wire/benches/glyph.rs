//! How fast an event becomes GLYPH, comes back, and gets its hash.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot spell its event measures nothing"
)]

use divan::Bencher;
use divan::counter::ItemsCount;
use glint::json;
use wire::glyph::{Form, parse, state_hash, write};

/// One progress event of an agent: 184 bytes of JSON.
const EVENT: &str = concat!(
    r#"{"id":"a1b2c3d4-77","agent":"planner-3","kind":"tool.progress","step":7,"pct":0.42,"#,
    r#""done":false,"tags":["build","arm64"],"cost":{"in":1532,"out":88},"#,
    r#""msg":"building kernel","err":null}"#
);

const _: () = assert!(EVENT.len() == 184);

fn main() {
    divan::main();
}

fn profile() -> String {
    let mut text = String::new();
    let value = json::parse(EVENT).expect("the event is JSON");
    write(&value, Form::Profile, &mut text).expect("the event has a spelling");
    text
}

/// From the bytes of a publisher to the payload, JSON parsing included.
#[divan::bench(sample_size = 1000)]
fn json_to_glyph(bencher: Bencher<'_, '_>) {
    let mut out = String::with_capacity(256);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        out.clear();
        let value = json::parse(divan::black_box(EVENT)).expect("the event is JSON");
        write(&value, Form::Profile, &mut out).expect("the event has a spelling");
        out.len()
    });
}

/// The part of [`json_to_glyph`] that is not ours.
#[divan::bench(sample_size = 1000)]
fn json_to_value(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| json::parse(divan::black_box(EVENT)));
}

/// The writer alone, on a value that was parsed before.
#[divan::bench(sample_size = 1000)]
fn value_to_glyph(bencher: Bencher<'_, '_>) {
    let value = json::parse(EVENT).expect("the event is JSON");
    let mut out = String::with_capacity(256);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        out.clear();
        write(divan::black_box(&value), Form::Profile, &mut out).expect("the event has a spelling");
        out.len()
    });
}

/// From payload to JSON text.
#[divan::bench(sample_size = 1000)]
fn glyph_to_json(bencher: Bencher<'_, '_>) {
    let text = profile();
    let mut out = String::with_capacity(256);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        out.clear();
        let value = parse(divan::black_box(&text)).expect("our own text is GLYPH");
        json::write_ascii(&value, &mut out);
        out.len()
    });
}

/// The reader alone.
#[divan::bench(sample_size = 1000)]
fn glyph_to_value(bencher: Bencher<'_, '_>) {
    let text = profile();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| parse(divan::black_box(&text)));
}

/// The state hash of a value that was parsed before.
#[divan::bench(sample_size = 1000)]
fn hash_of_value(bencher: Bencher<'_, '_>) {
    let value = json::parse(EVENT).expect("the event is JSON");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| state_hash(divan::black_box(&value)));
}
