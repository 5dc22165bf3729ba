//! History is read in pages, from memory or from disk, and a log without a broker.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;

use glint::json::Value;
use support::dir::Dir;
use support::{Broker, count_at, parse, text_at};

/// Glints of each test.
const GLINTS: u64 = 300;

/// A broker of which memory holds little of what is on disk.
fn broker(dir: &Dir) -> Broker {
    let broker = Broker::with(&[("data.dir", dir.text()), ("tail.events", "20")]);
    let body: String = (0..GLINTS)
        .map(|nth| format!("{{\"n\":{nth},\"source\":\"s{}\"}}\n", nth % 3))
        .collect();
    let answer = broker.post("/glints", "application/x-ndjson", body);
    assert_eq!(answer.status(), 200);
    assert_eq!(text_at(&answer.json(), &["durability"]), "fsync");
    broker
}

fn page(broker: &Broker, query: &str) -> Value<'static> {
    let answer = broker.get(&format!("/glints?{query}"));
    assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
    answer.json()
}

fn numbers(page: &Value<'_>) -> Vec<u64> {
    let Some(Value::Array(items)) = page.get("items") else {
        panic!("no items in {page:?}")
    };
    items
        .iter()
        .map(|item| count_at(item, &["data", "n"]))
        .collect()
}

fn is_more(page: &Value<'_>) -> bool {
    page.get("more") == Some(&Value::Bool(true))
}

#[test]
fn pages_follow_each_other_without_a_hole_or_a_double() {
    let dir = Dir::new("pages");
    let broker = broker(&dir);
    let (mut all, mut from) = (Vec::new(), "earliest".to_owned());
    loop {
        let page = page(&broker, &format!("from={from}&limit=7"));
        let found = numbers(&page);
        assert!(found.len() <= 7);
        all.extend(found);
        if !is_more(&page) {
            break;
        }
        text_at(&page, &["next"]).clone_into(&mut from);
    }
    assert_eq!(all, (0..GLINTS).collect::<Vec<_>>());
}

#[test]
fn a_page_keeps_to_its_filters_and_its_ends() {
    let dir = Dir::new("ends");
    let broker = broker(&dir);
    let thirds = page(&broker, "module=s1&limit=1000");
    assert_eq!(
        numbers(&thirds),
        (0..GLINTS).filter(|n| n % 3 == 1).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&page(&broker, "from=-2")), [GLINTS - 2, GLINTS - 1]);
    // Memory holds 20 of them.
    let last: Vec<u64> = (GLINTS - 100..GLINTS).collect();
    assert_eq!(numbers(&page(&broker, "from=-100")), last);
    let third = page(&broker, "from=-40&module=s0");
    assert_eq!(numbers(&third).len(), 40);
    let mut lines = broker.lines("?from=-100&limit=100&topics=glints");
    let heard: Vec<u64> = last
        .iter()
        .map(|_| count_at(&lines.next_named("glint_emission"), &["data", "n"]))
        .collect();
    assert_eq!(
        heard, last,
        "a stream begins there too, and goes on from disk to memory"
    );
    let first = page(&broker, "limit=3");
    let fourth = text_at(&page(&broker, "limit=4"), &["next"]).to_owned();
    let after = text_at(&first, &["next"]);
    assert_eq!(
        numbers(&page(&broker, &format!("from={after}&to={fourth}"))),
        [3]
    );
    assert_eq!(
        numbers(&page(&broker, "to=2020-01-01T00:00:00Z")),
        [] as [u64; 0]
    );
    assert_eq!(
        numbers(&page(&broker, "from=2020-01-01T00:00:00Z&limit=2")),
        [0, 1]
    );
    let other = page(&broker, "from=5-5&limit=1");
    assert_eq!(text_at(&other, &["gap", "reason"]), "unknown_epoch");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("from=x", "from"),
        ("to=x", "to"),
        ("topics=x", "topics"),
    ] {
        let answer = broker.get(&format!("/glints?{query}"));
        assert_eq!(answer.status(), 400, "{query}");
        assert_eq!(text_at(&answer.json(), &["field"]), field);
    }
}

#[test]
fn a_log_is_verified_and_replayed_without_a_broker() {
    let dir = Dir::new("offline");
    let broker = broker(&dir);
    let cursor = text_at(&page(&broker, "limit=10"), &["next"]).to_owned();
    let verified = broker.run(&["verify", dir.text()]);
    let report = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{report}");
    assert!(report.ends_with("verdict  good\n"), "{report}");
    let replayed = broker.run(&["replay", dir.text(), "--from", &cursor]);
    let lines = String::from_utf8(replayed.stdout).unwrap();
    let glints: Vec<u64> = lines
        .lines()
        .map(parse)
        .filter(|event| text_at(event, &["topic"]) == "glints")
        .map(|event| count_at(&event, &["data", "n"]))
        .collect();
    assert_eq!(glints, (10..GLINTS).collect::<Vec<_>>());
    let nothing = broker.run(&["verify", "/nonexistent"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        String::from_utf8(nothing.stderr)
            .unwrap()
            .contains("data directory")
    );
}

#[test]
fn a_flipped_bit_is_found_offline_and_named() {
    let dir = Dir::new("flipped");
    drop(broker(&dir));
    let log = fs::read_dir(dir.0.join("log"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&log).unwrap();
    bytes[2000] ^= 4;
    fs::write(&log, bytes).unwrap();
    let other = Broker::start();
    let verified = other.run(&["verify", dir.text()]);
    let report = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(verified.status.code(), Some(1), "{report}");
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        report.contains(&format!("fault    {name} at byte ")),
        "{report}"
    );
}
