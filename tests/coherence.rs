//! Which sources keep time: measured, said, remembered, and acted upon where that was agreed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::process::Command;

use glint::json::{self, Value};
use support::dir::Dir;
use support::{Broker, count_at, eventually, parse, text_at};

const ADMIN: (&str, &str) = ("admin.open_on_loopback", "true");

fn good(broker: &Broker, path: &str) -> Value<'static> {
    let answer = broker.get(path);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    answer.json()
}

fn number(value: &Value<'_>, key: &str) -> f64 {
    let found = value.get(key).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number {key} in {value:?}"))
}

fn evaluate(broker: &Broker, question: &str) -> Value<'static> {
    let answer = broker.post("/coherence/evaluate", "application/json", question);
    assert_eq!(answer.status(), 200, "{question}: {}", answer.text());
    answer.json()
}

/// Waits until the office has measured so many events of a source.
fn measured(broker: &Broker, source: &str, events: u64) -> Value<'static> {
    let path = format!("/coherence/sources/{source}");
    eventually("it is measured", || {
        let answer = broker.get(&path);
        answer.status() == 200 && count_at(&answer.json(), &["events"]) >= events
    });
    good(broker, &path)
}

#[test]
fn a_question_is_answered_as_the_vectors_say() {
    let Some(directory) = support::fixtures::directory("the vectors of coherence") else {
        return;
    };
    let text = fs::read_to_string(directory.join("vectors/coherence.json")).unwrap();
    let vectors = json::parse(&text).unwrap();
    let Some(Value::Array(cases)) = vectors.get("resonance") else {
        panic!("no cases")
    };
    assert!(cases.len() >= 20);
    let broker = Broker::start();
    for case in cases {
        let id = text_at(case, &["id"]);
        let said = evaluate(&broker, &case.to_ascii());
        for (member, expected) in case.get("expect").and_then(Value::as_object).unwrap() {
            let got = said
                .get(member)
                .unwrap_or_else(|| panic!("{id} has no {member}"));
            let (Some(a), Some(b)) = (got.as_f64(), expected.as_f64()) else {
                assert_eq!(got, expected, "{id} {member}");
                continue;
            };
            let off = (a - b).abs();
            assert!(off <= 1e-9 * b.abs().max(1.0), "{id} {member}: {a} for {b}");
        }
    }
}

#[test]
fn a_question_that_cannot_be_answered_names_its_member() {
    let broker = Broker::start();
    for (question, field) in [
        (r#"{"events_us": []}"#, "period_us"),
        (r#"{"period_us": 5, "events_us": []}"#, "period_us"),
        (r#"{"period_us": 1000000}"#, "events_us"),
        (r#"{"period_us": 1000000, "events_us": ["a"]}"#, "events_us"),
        (
            r#"{"period_us": 1000000, "events_us": [1], "weights": [1, 2]}"#,
            "weights",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [1], "weights": [-1]}"#,
            "weights",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [5], "query_us": 1}"#,
            "query_us",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [5], "slots": 65}"#,
            "slots",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [5], "harmonic": 99}"#,
            "harmonic",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [5], "tau_us": 0}"#,
            "tau_us",
        ),
        (
            r#"{"period_us": 1000000, "events_us": [5], "periode": 1}"#,
            "periode",
        ),
        (
            r#"{"period_us": 1000000, "events_gen": {"kind": "arithmetic", "start_us": 0, "step_us": 1, "count": 100001}}"#,
            "events_gen",
        ),
        (
            r#"{"period_us": 1000000, "events_gen": {"kind": "arithmetic", "start_us": 9223372036854775807, "step_us": 1, "count": 2}}"#,
            "events_gen",
        ),
    ] {
        let answer = broker.post("/coherence/evaluate", "application/json", question);
        assert_eq!(answer.status(), 400, "{question}: {}", answer.text());
        assert_eq!(text_at(&answer.json(), &["field"]), field, "{question}");
    }
    let largest = r#"{"period_us": 1000000, "slots": 64, "events_gen": {"kind": "arithmetic", "start_us": 0, "step_us": 1, "count": 100000}}"#;
    assert_eq!(
        count_at(&evaluate(&broker, largest), &["events_counted"]),
        7
    );
}

#[test]
fn what_a_person_decides_needs_a_token_and_what_is_read_does_not() {
    let broker = Broker::with(&[("admin.token", "0123456789abcdef")]);
    broker.publish(r#"{"source": "cron"}"#);
    measured(&broker, "cron", 1);
    for (method, path) in [
        ("PUT", "/coherence/sources/cron/contract"),
        ("DELETE", "/coherence/sources/cron/contract"),
        ("POST", "/coherence/sources/cron/release"),
        ("POST", "/coherence/sources/cron/quarantine"),
        ("POST", "/coherence/sources/cron/reset"),
        ("POST", "/coherence/quarantine/promote"),
        ("POST", "/memory/signatures"),
        ("POST", "/mesh/exchange"),
    ] {
        let refused = broker.send(method, path, &[("content-type", "application/json")], b"{}");
        assert_eq!(refused.status(), 401, "{method} {path}: {}", refused.text());
    }
    for path in [
        "/coherence",
        "/coherence/sources",
        "/mesh",
        "/mesh/peers",
        "/witness",
        "/memory/signatures",
        "/memory/verify",
    ] {
        good(&broker, path);
    }
    let token = ("authorization", "Bearer 0123456789abcdef");
    let kept = broker.send(
        "PUT",
        "/coherence/sources/cron/contract",
        &[token],
        br#"{"expect": "locked", "mode": "flag"}"#,
    );
    assert_eq!(kept.status(), 200, "{}", kept.text());
    let source = good(&broker, "/coherence/sources/cron");
    assert_eq!(text_at(&source, &["contract", "expect"]), "locked");
    let receipt = broker.post("/stream/glint", "application/json", r#"{"source": "cron"}"#);
    assert_eq!(text_at(&receipt.json(), &["coherence", "action"]), "pass");
    assert_eq!(text_at(&receipt.json(), &["coherence", "state"]), "nascent");
    let other = broker.post(
        "/stream/glint",
        "application/json",
        r#"{"source": "other"}"#,
    );
    assert_eq!(
        other.json().get("coherence"),
        None,
        "whoever is only watched is told nothing"
    );
    let decided = good(&broker, "/witness?layer=macro");
    let Some(Value::Array(records)) = decided.get("records") else {
        panic!("{decided:?}")
    };
    assert_eq!(text_at(&records[0], &["change"]), "contract");
}

#[test]
fn the_quarantine_is_seen_only_by_who_looks_into_it_and_can_be_promoted() {
    let broker = Broker::with(&[ADMIN]);
    broker.publish(r#"{"source": "cron", "n": 0}"#);
    measured(&broker, "cron", 1);
    let held = broker.post("/coherence/sources/cron/quarantine", "application/json", "");
    assert_eq!(held.status(), 200, "{}", held.text());
    let mut everybody = broker.lines("?topics=glints&from=earliest");
    let mut looking = broker.lines("?topics=quarantine&from=earliest");
    broker.publish(r#"{"source": "cron", "n": 1}"#);
    broker.publish(r#"{"source": "other", "n": 2}"#);
    let n = |value: &Value<'_>| count_at(value, &["data", "n"]);
    let seen: Vec<u64> = (0..2)
        .map(|_| n(&everybody.next_named("glint_emission")))
        .collect();
    assert_eq!(seen, [0, 2]);
    let quarantined = looking.next_named("glint_quarantined");
    assert_eq!(n(&quarantined), 1);
    let promoted = broker.post(
        "/coherence/quarantine/promote?source=cron",
        "application/json",
        "",
    );
    assert_eq!(
        count_at(&promoted.json(), &["promoted"]),
        1,
        "{}",
        promoted.text()
    );
    let emitted = everybody.next_named("glint_emission");
    assert_eq!(
        (n(&emitted), text_at(&emitted, &["id"])),
        (1, text_at(&quarantined, &["id"]))
    );
    let again = broker.post(
        "/coherence/quarantine/promote?source=cron",
        "application/json",
        "",
    );
    assert_eq!(count_at(&again.json(), &["promoted"]), 0);
}

#[test]
fn what_was_known_outlives_the_process_and_is_verified() {
    let dir = Dir::new("coherence");
    let settings = [("data.dir", dir.text()), ADMIN, ("coherence.period", "2s")];
    let mut broker = Broker::with(&settings);
    for _ in 0..5 {
        broker.publish(r#"{"source": "cron"}"#);
    }
    measured(&broker, "cron", 5);
    let signed = broker.post("/memory/signatures?source=cron", "application/json", "");
    assert_eq!(signed.status(), 200, "{}", signed.text());
    broker.publish(r#"{"source": "cron"}"#);
    let live = measured(&broker, "cron", 6);
    let again = good(&broker, "/coherence/reconstruct?source=cron");
    assert_eq!(again.get("approximate"), Some(&Value::Bool(false)));
    assert_eq!(count_at(&again, &["events"]), 6);
    assert!(
        (number(&again, "delta_vector") - number(live.get("sync").unwrap(), "delta_vector")).abs()
            < 1e-12
    );
    let verified = good(&broker, "/memory/verify");
    assert_eq!(
        verified.get("good"),
        Some(&Value::Bool(true)),
        "{verified:?}"
    );
    assert!(count_at(&verified, &["records"]) >= 1);
    let history = broker.get("/coherence/sources/cron/history?format=csv");
    assert!(
        history
            .text()
            .starts_with("time,coherence,evidence,mass,state\n2"),
        "{}",
        history.text()
    );
    broker.signal("KILL");
    broker.wait();
    drop(broker);
    let broker = Broker::with(&settings);
    let restored = measured(&broker, "cron", 6);
    assert_eq!(count_at(&restored, &["events"]), 6);
    assert_eq!(
        restored.get("master").unwrap().get("t"),
        live.get("master").unwrap().get("t")
    );
    let report = good(&broker, "/memory/verify");
    assert_eq!(report.get("good"), Some(&Value::Bool(true)), "{report:?}");
    drop(broker);
    let checked = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["coherence", "verify", dir.text()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success() && said.contains("verdict     good"),
        "{said}"
    );
}

#[test]
fn nothing_is_measured_where_that_is_turned_off() {
    let broker = Broker::with(&[("coherence.enabled", "false")]);
    broker.publish(r#"{"source": "cron"}"#);
    let answer = broker.get("/coherence");
    assert_eq!(answer.status(), 503);
    assert_eq!(text_at(&answer.json(), &["code"]), "coherence_off");
    let value = parse(answer.text());
    assert!(text_at(&value, &["detail"]).contains("coherence.enabled"));
}
