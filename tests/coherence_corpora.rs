//! Recorded glints, replayed at a hundred times their speed: the storm is found with its first events, and nobody else is
//! taken for one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;

use coherence::{Carrier, Engine, Limits, Params};
use glint::json::{self, Value};
use glint::{Draft, Stamp};
use uuid::Uuid;

const SPEED: i64 = 100;
/// The source of the feedback storm.
const STORM: &str = "cascade";
const HOUR_US: i64 = 3_600_000_000;

/// When a record was written: the outer clock, else the inner one; seconds, milliseconds, or a date that is taken for UTC.
fn written(record: &Value<'_>) -> Option<i64> {
    let layers = [Some(record), record.get("glint")];
    let keys = ["timestamp", "glint.timestamp", "time", "created_at"];
    let found = layers
        .into_iter()
        .flatten()
        .flat_map(|layer| keys.map(|key| layer.get(key)));
    found.flatten().find_map(|value| match value {
        Value::Number(lexeme) => {
            let number: f64 = lexeme.parse().ok()?;
            let seconds = if number > 1e11 { number / 1e3 } else { number };
            Some((seconds * 1e6) as i64)
        }
        Value::String(text) => {
            let zoned =
                if text.ends_with('Z') || text.contains('+') || text.matches('-').count() > 2 {
                    text.to_string()
                } else {
                    format!("{text}Z")
                };
            zoned.parse::<Stamp>().ok().map(|stamp| stamp.0)
        }
        _ => None,
    })
}

/// The times of every source, in order.
fn recorded() -> Option<BTreeMap<String, Vec<i64>>> {
    let directory = support::fixtures::directory("the replay of the storm")?;
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for file in support::fixtures::corpora(&directory) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let Ok(record) = json::parse(line) else {
                continue;
            };
            let Some(at) = written(&record) else {
                continue;
            };
            let Ok(draft) = Draft::from_value(record, Uuid::nil()) else {
                continue;
            };
            if let Some(source) = draft.source {
                all.entry(source.into()).or_default().push(at);
            }
        }
    }
    all.values_mut().for_each(|times| times.sort_unstable());
    Some(all)
}

/// How many events it takes until a source is said to burst.
fn bursts(source: &str, times: impl IntoIterator<Item = i64>) -> Option<usize> {
    let carrier = Carrier::new(60_000_000, 0).unwrap();
    let limits = Limits {
        sources: 10,
        contracts: 0,
    };
    let mut engine = Engine::new(Params::of(carrier).unwrap(), limits);
    times.into_iter().position(|at| {
        let noted = engine.note(source, at);
        noted.changes.iter().any(|change| change.what == "burst")
    })
}

#[test]
fn the_storm_is_found_and_the_rest_is_left_alone() {
    let Some(all) = recorded() else {
        return;
    };
    assert!(all[STORM].len() > 11_000 && all.len() > 20);
    for (source, times) in all.iter().filter(|(source, _)| *source != STORM) {
        let fast = times.iter().map(|at| at / SPEED);
        assert_eq!(
            bursts(source, fast),
            None,
            "{source} with {} events",
            times.len()
        );
    }
    // The storm has an hour of its recorded pace to get used to, and then runs at speed.
    let storm = &all[STORM];
    let habit = storm.partition_point(|at| *at < storm[0] + HOUR_US);
    let turn = storm[habit - 1];
    let replayed = storm.iter().map(|at| {
        if *at <= turn {
            *at
        } else {
            turn + (at - turn) / SPEED
        }
    });
    let found = bursts(STORM, replayed).expect("found");
    assert!(found >= habit, "it is no storm at its own pace");
    let events = found - habit + 1;
    assert!(events <= 15, "{events} events");
    assert_eq!(
        bursts(STORM, storm.iter().copied()),
        None,
        "two seconds apart is no burst"
    );
}
