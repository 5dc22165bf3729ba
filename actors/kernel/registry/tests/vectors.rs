//! Golden vectors, and the seals of the synthetic set, made with independent tools.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod synthetic;

use registry::{Base, Mode, Quota, Registry, read_document};
use serde_json::Value;

/// Runs one case; panics with what differs.
fn run(case: &Value) {
    let id = case["id"].as_str().unwrap();
    let base = Base::default();
    let mut registry = Registry::new(base.clone(), Mode::Compatible);
    for (nth, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let mut hits = Vec::new();
        for file in step["files"].as_array().unwrap() {
            hits.extend(read_document(file.to_string().as_bytes(), &base).unwrap());
        }
        let delta = registry.merge(hits, &Quota::NONE).unwrap();
        registry.apply(&delta);
        let now = registry.snapshot();
        let at = format!("{id}, step {nth}");
        assert_eq!(
            now.seal().to_string(),
            step["seal"].as_str().unwrap(),
            "{at}: seal"
        );
        assert_eq!(Value::from(delta.total), step["total"], "{at}: total");
        assert_eq!(
            Value::from(delta.imported),
            step["imported"],
            "{at}: imported"
        );
        assert_eq!(Value::from(now.list().len()), step["urls"], "{at}: urls");
        let pulse = now.latest_pulse().map(|pulse| pulse.to_string());
        let expected = step["latest_pulse"].as_number().map(ToString::to_string);
        assert_eq!(pulse, expected, "{at}: latest pulse");
        let latest = now.latest();
        let latest = format!("[{},{},{}]", latest.pulse, latest.beat, latest.step);
        assert_eq!(latest, step["latest"].to_string(), "{at}: latest");
        let Some(order) = step["order"].as_array() else {
            continue;
        };
        assert_eq!(order.len(), now.list().len(), "{at}: order");
        for (row, entry) in order.iter().zip(now.list().iter()) {
            let Value::Array(row) = row else {
                assert_eq!(row.as_str(), Some(&*entry.url), "{at}: order");
                continue;
            };
            let links =
                [&entry.links.origin, &entry.links.parent].map(|link| Value::from(link.as_deref()));
            assert_eq!(
                row[..],
                [&[Value::from(&*entry.url)][..], &links[..]].concat(),
                "{at}: topology"
            );
        }
    }
}

#[test]
fn every_recorded_upload_gives_the_recorded_seal() {
    let Some(material) = std::env::var_os("GLINTCAST_FIXTURES") else {
        eprintln!("SKIPPED: recorded uploads; GLINTCAST_FIXTURES is not set");
        return;
    };
    let path = std::path::Path::new(&material).join("vectors/registry.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let cases: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        cases.len() >= 40,
        "{} has {} cases",
        path.display(),
        cases.len()
    );
    cases.iter().for_each(run);
}

/// The few that hold each rule, so that they hold where the material is not.
#[test]
fn golden_uploads_give_the_golden_seal() {
    let text = include_str!("golden.jsonl");
    for line in text.lines() {
        run(&serde_json::from_str(line).unwrap());
    }
}

#[test]
fn the_synthetic_set_has_the_recorded_seals() {
    let recorded = [
        (1_000, "d1c232c8f2b138ea4414deb3f0bd190f"),
        (10_000, "da014152324ca12889072dfdd0c3fa5c"),
    ];
    for (count, seal) in recorded {
        let base = Base::default();
        let mut registry = Registry::new(base.clone(), Mode::Compatible);
        let hits = read_document(synthetic::document(0..count).as_bytes(), &base).unwrap();
        let delta = registry.merge(hits, &Quota::NONE).unwrap();
        assert_eq!((delta.total, delta.imported), (count, count));
        registry.apply(&delta);
        assert_eq!(
            registry.snapshot().seal().to_string(),
            seal,
            "{count} records"
        );
    }
}

/// What was worked out for an earlier list must not show in the seal of a later one.
#[test]
fn a_list_that_grew_between_seals_has_the_recorded_seal() {
    let base = Base::default();
    let mut registry = Registry::new(base.clone(), Mode::Compatible);
    for nth in 0..20 {
        let first = nth * 7 % 20 * 500;
        let document = synthetic::document(first..first + 500);
        let hits = read_document(document.as_bytes(), &base).unwrap();
        let delta = registry.merge(hits, &Quota::NONE).unwrap();
        let before = registry.snapshot();
        registry.apply(&delta);
        assert_ne!(before.seal(), registry.snapshot().seal());
    }
    assert_eq!(
        registry.snapshot().seal().to_string(),
        "da014152324ca12889072dfdd0c3fa5c"
    );
}
