//! What rules cost per glint. Run with `cargo bench -p rites`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use glint::{Event, Name, Offset, Stamp};
use rites::matcher::{CHAIN_MAX, Matcher};
use rites::rehearse::Rehearsal;
use rites::{Rules, read};

fn main() {
    divan::main();
}

fn rules(count: usize) -> Rules {
    let mut text = String::new();
    for nth in 0..count {
        let on = match nth % 4 {
            0 => format!("module = \"agent.{nth}\""),
            1 => format!("module = \"farm{nth}.*\", phase = \"hold\""),
            2 => format!("module = \"*.watcher{nth}\""),
            _ => "phase = \"exhale\"".to_owned(),
        };
        text += &format!(
            "[[rule]]\nname = \"r{nth}\"\non = {{ glint = {{ {on} }} }}\nfilter = 'glint.content.contains(\"storm\")'\n\
             cooldown_seconds = 0\naction = [{{ do = \"emit\", content = \"c\" }}]\n"
        );
    }
    read(&text).unwrap_or_else(|err| panic!("{err}"))
}

fn glint(seq: u64, phase: &str) -> Event {
    Event {
        name: Name::GlintEmission,
        offset: Offset { epoch: 1, seq },
        topic_seq: seq,
        stamp: Stamp(seq as i64 * 1000),
        id: Some("0198c1f4-7c5e-7b61-9f30-2f3f4b7f7c10".into()),
        repeats_id: false,
        source: Some("spiral.linter".into()),
        phase: Some(phase.into()),
        text: r#"{"id": "0198c1f4-7c5e-7b61-9f30-2f3f4b7f7c10", "source": "spiral.linter", "phase": "hold", "content": "a quiet moment is offered to the field", "toneform": "density.low", "hue": "cyan", "intensity": 0.5}"#.into(),
    }
}

/// One glint that no rule waits for.
#[divan::bench(args = [1, 100, 1000])]
fn no_rule_matches(bencher: Bencher<'_, '_>, count: usize) {
    let mut matcher = Matcher::new(rules(count), CHAIN_MAX);
    let event = glint(1, "hold");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(matcher.event(black_box(&event))));
}

/// One glint that a quarter of the rules look at with their expression, which is false.
#[divan::bench(args = [100])]
fn a_quarter_evaluates(bencher: Bencher<'_, '_>, count: usize) {
    let mut matcher = Matcher::new(rules(count), CHAIN_MAX);
    let event = glint(1, "exhale");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(matcher.event(black_box(&event))));
}

/// A million glints, against ten rules; one in ten glints is looked at with three expressions.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn rehearse_a_million(bencher: Bencher<'_, '_>) {
    let rules = rules(10);
    let events: Vec<Event> = (0..1000)
        .map(|nth| glint(nth, if nth % 10 == 0 { "exhale" } else { "hold" }))
        .collect();
    bencher
        .counter(ItemsCount::new(1_000_000_usize))
        .bench_local(|| {
            let mut rehearsal = Rehearsal::new(rules.clone(), CHAIN_MAX);
            for _ in 0..1000 {
                for event in &events {
                    rehearsal.event(event);
                }
            }
            black_box(rehearsal.report())
        });
}
