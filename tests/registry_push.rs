//! Subscribers hear of a new seal by themselves, and two registries learn their difference without reading each other.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::path::PathBuf;

use glint::json::Value;
use registry::reconcile::{Answer, Index, Prefix, Range, Search, read_fingerprint, show};
use registry::seal::fingerprint;
use support::sigils::{A, A_SEAL, AB_SEAL, B, EMPTY, QUIET, seal, upload, urls};
use support::{Broker, count_at, eventually, text_at};

#[test]
fn a_new_seal_is_pushed_with_what_was_added() {
    let broker = Broker::start();
    let mut events = broker.events("?topics=seals&dialect=plain");
    assert_eq!(text_at(&events.next().json(), &["event"]), "hello");
    let snapshot = events.next();
    assert_eq!(snapshot.name, "seal_snapshot");
    assert_eq!(text_at(&snapshot.json(), &["data", "seal"]), EMPTY);
    assert_eq!(count_at(&snapshot.json(), &["data", "total"]), 0);
    upload(&broker, QUIET, &[&format!("[{A:?}]")]);
    let update = events.next();
    assert_eq!(update.name, "seal_update");
    let data = update.json().get("data").cloned().unwrap();
    assert_eq!(
        (text_at(&data, &["after"]), count_at(&data, &["added"])),
        (A_SEAL, 1)
    );
    assert_eq!(data.get("urls").unwrap().to_ascii(), format!("[{A:?}]"));
    assert_eq!(count_at(&data, &["latest", "pulse"]), 100);
    // A duplicate says nothing: the next word is about the next change.
    upload(&broker, QUIET, &[&format!("[{A:?},{A:?}]")]);
    upload(&broker, QUIET, &[&format!("[{B:?},{A:?}]")]);
    let data = events.next().json().get("data").cloned().unwrap();
    assert_eq!(
        (text_at(&data, &["before"]), text_at(&data, &["after"])),
        (A_SEAL, AB_SEAL)
    );
    // Who comes now is told where it stands; who comes back with a cursor hears what it missed.
    let mut late = broker.events("?topics=seals&dialect=named");
    late.next();
    let standing = late.next();
    assert_eq!(
        (&*standing.name, text_at(&standing.json(), &["seal"])),
        ("seal_snapshot", AB_SEAL)
    );
    let past = broker.get("/glints?topics=seals&from=earliest").json();
    let Some(Value::Array(items)) = past.get("items") else {
        panic!("no items")
    };
    let names: Vec<&str> = items.iter().map(|item| text_at(item, &["event"])).collect();
    assert_eq!(names, ["seal_update", "seal_update"]);
}

#[test]
fn a_gs1_subscriber_gets_the_standing_as_a_document() {
    let broker = Broker::start();
    upload(&broker, QUIET, &[&format!("[{A:?}]")]);
    eventually("the seal is announced", || {
        broker
            .get("/metrics")
            .text()
            .contains("glintcast_registry_seals_total 1")
    });
    let mut events = broker.events("?topics=seals&framing=gs1");
    let hello = events.next().data;
    assert!(hello.contains("event=hello"), "{hello}");
    let standing = events.next().data;
    assert!(standing.contains("event=seal_snapshot"), "{standing}");
    assert!(standing.contains(A_SEAL), "{standing}");
}

fn url(number: usize) -> String {
    // {"pulse":10}
    format!("https://peer.example/s/{number}?p=eyJwdWxzZSI6MTB9")
}

fn filled(numbers: impl Iterator<Item = usize>) -> Broker {
    let broker = Broker::start();
    let urls: Vec<String> = numbers.map(url).collect();
    assert_eq!(
        upload(&broker, QUIET, &[&format!("{urls:?}")]).status(),
        200
    );
    broker
}

#[test]
fn the_difference_is_found_in_bytes_of_its_own_size() {
    let broker = filled(0..5000);
    let ours = (3..5000).chain([9001]).map(|number| {
        let url = url(number);
        (fingerprint(&url), url.into())
    });
    let index = Index::of(ours);
    let mut search = Search::new(&index);
    let (mut bytes, mut asked, mut pin) = (0, 0, String::new());
    loop {
        let ranges = search.ask(256);
        if ranges.is_empty() {
            break;
        }
        let ranges: Vec<String> = ranges
            .iter()
            .map(|range| {
                format!(
                    "[\"{}\",{},\"{}\"]",
                    range.prefix,
                    range.count,
                    show(range.sum)
                )
            })
            .collect();
        let question = format!("{{{pin}\"ranges\":[{}]}}", ranges.join(","));
        let answer = broker.post("/sigils/reconcile", "application/json", &question);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (bytes, asked) = (bytes + question.len() + answer.body.len(), asked + 1);
        let told = answer.json();
        pin = format!("\"seal\":\"{}\",", text_at(&told, &["state_seal"]));
        hear(&told, &mut search);
    }
    assert_eq!((search.lacking.len(), search.surplus.len()), (3, 1));
    assert_eq!(index.url(search.surplus[0]).unwrap().as_ref(), url(9001));
    let wanted: Vec<String> = search.lacking.iter().map(|known| show(*known)).collect();
    let answer = broker.post(
        "/sigils/reconcile",
        "application/json",
        format!("{{{pin}\"wanted\":{wanted:?}}}"),
    );
    let mut found = urls(&answer);
    found.sort();
    assert_eq!(found, [url(0), url(1), url(2)]);
    // All of the URLs together have 290 KB.
    assert!(
        bytes < 60_000 && asked <= 4,
        "{bytes} bytes, {asked} questions"
    );
}

fn hear(told: &Value<'_>, search: &mut Search<'_>) {
    let list = |key: &str| match told.get(key) {
        Some(Value::Array(items)) => items.clone(),
        other => panic!("{key}: {other:?}"),
    };
    let text = |value: &Value<'_>| value.as_str().unwrap().to_owned();
    let parts = |item: &Value<'_>| match item {
        Value::Array(parts) => parts.iter().map(Value::to_ascii).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let bare = |text: &str| text.trim_matches('"').to_owned();
    let cut = list("ranges");
    let cut = cut.iter().map(|item| {
        let parts = parts(item);
        Range {
            prefix: Prefix::read(&bare(&parts[0])).unwrap(),
            count: parts[1].parse().unwrap(),
            sum: read_fingerprint(&bare(&parts[2])).unwrap(),
        }
    });
    search.hear(&Answer::Cut(cut.collect()));
    for item in list("listed") {
        let Value::Array(pair) = &item else { panic!() };
        let Value::Array(found) = &pair[1] else {
            panic!()
        };
        let found = found
            .iter()
            .map(|known| read_fingerprint(&text(known)).unwrap());
        search.hear(&Answer::Listed(
            Prefix::read(&text(&pair[0])).unwrap(),
            found.collect(),
        ));
    }
}

#[test]
fn bad_questions_are_told_what_is_wrong_with_them() {
    let broker = Broker::start();
    let cases = [
        ("", "reconcile_malformed"),
        ("[]", "reconcile_malformed"),
        ("{\"ranges\":{}}", "reconcile_malformed"),
        ("{\"ranges\":[[\"x\",1,\"0\"]]}", "reconcile_malformed"),
        ("{\"wanted\":[\"0\"]}", "reconcile_fingerprint_invalid"),
        ("{\"seal\":\"x\"}", "seal_malformed"),
        (
            "{\"seal\":\"d371382a33c049f0380f4af6d7c1d07e\"}",
            "seal_gone",
        ),
    ];
    for (body, code) in cases {
        let answer = broker.post("/sigils/reconcile", "application/json", body);
        assert_eq!(text_at(&answer.json(), &["code"]), code, "{body}");
    }
    let many = format!("{{\"wanted\":[{}]}}", vec!["\"\""; 2001].join(","));
    let answer = broker.post("/sigils/reconcile", "application/json", many);
    assert!(text_at(&answer.json(), &["detail"]).contains("the limit is 2000"));
}

#[test]
fn brokers_and_files_come_to_the_same_set() {
    let (one, other) = (filled(0..300), filled(290..330));
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let pulled = said(one.run(&["registry", "pull", &other.url(), "--with", &one.url()]));
    assert!(pulled.starts_with("30 lacking, 290 beyond, "), "{pulled}");
    said(one.run(&["registry", "push", &other.url(), "--with", &one.url()]));
    assert_eq!(seal(&one), seal(&other));
    let again = said(one.run(&["registry", "pull", &other.url(), "--with", &one.url()]));
    assert_eq!(again, "0 lacking, 0 beyond, 1 questions; 0 URLs moved\n");
    let file = std::env::temp_dir().join(format!("glintcast-urls-{}.txt", std::process::id()));
    let _ = fs::remove_file(&file);
    let path = file.to_str().unwrap();
    said(one.run(&["registry", "pull", &other.url(), "--with", path]));
    let third = Broker::start();
    said(one.run(&["registry", "push", &third.url(), "--with", path]));
    assert_eq!(seal(&third), seal(&one));
    fs::write(&file, "no url\n\n").unwrap();
    let output = one.run(&["registry", "push", &third.url(), "--with", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 lines of"));
    let _ = fs::remove_file(PathBuf::from(path));
}
