//! What an event costs.

#![expect(clippy::expect_used, reason = "a bench that cannot begin ends")]

use coherence::{Carrier, Engine, Limits, Params, Rule, Source};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const SOURCES: usize = 10_000;
const PERIOD_US: i64 = 60_000_000;

fn main() {
    divan::main();
}

fn params(slots: u8) -> Params {
    let carrier = Carrier::new(PERIOD_US, 0).expect("carrier");
    let (slow, fast) = (16 * PERIOD_US, 4 * PERIOD_US);
    Params::new(carrier, slow, fast, slots, Rule::default()).expect("params")
}

/// Both kernels and all companions of 10,000 sources, each once, out of order in memory as agents come.
#[divan::bench(args = [0, 64])]
fn observe(bencher: Bencher<'_, '_>, slots: u8) {
    let params = params(slots);
    let mut sources = vec![Source::default(); SOURCES];
    let (mut at, mut place) = (0_i64, 0);
    bencher.counter(ItemsCount::new(SOURCES)).bench_local(|| {
        for _ in 0..SOURCES {
            // A step that no cache line guesses; every source comes once a round.
            let next = (place + 7_919) % SOURCES;
            black_box(sources[next].touch());
            at += 1_709;
            black_box(sources[std::mem::replace(&mut place, next)].observe(&params, at, 1.0));
        }
    });
}

/// The same through the table: found by name, put in front, looked at, and pooled.
#[divan::bench]
fn note(bencher: Bencher<'_, '_>) {
    let limits = Limits {
        sources: SOURCES,
        contracts: 16,
    };
    let mut engine = Engine::new(params(64), limits);
    let names: Vec<String> = (0..SOURCES).map(|n| format!("agent.{n}")).collect();
    let (mut at, mut place) = (0_i64, 0);
    bencher.counter(ItemsCount::new(SOURCES)).bench_local(|| {
        for _ in 0..SOURCES {
            let next = (place + 7_919) % SOURCES;
            engine.foresee(&names[next]);
            at += 1_709;
            black_box(engine.note(&names[std::mem::replace(&mut place, next)], at));
        }
    });
}

/// A second that passes over 10,000 sources that are heard now and then.
#[divan::bench]
fn tick(bencher: Bencher<'_, '_>) {
    let limits = Limits {
        sources: SOURCES,
        contracts: 16,
    };
    let mut engine = Engine::new(params(64), limits);
    for n in 0..SOURCES as i64 * 20 {
        engine.note(&format!("agent.{}", n % SOURCES as i64), n * 1_709);
    }
    let mut at = SOURCES as i64 * 20 * 1_709;
    bencher.counter(ItemsCount::new(SOURCES)).bench_local(|| {
        at += 1_000_000;
        black_box(engine.tick(at))
    });
}
