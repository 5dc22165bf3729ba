//! Metrics have names by one scheme and a number of series that no user can raise.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Broker, eventually, ws};

/// What /metrics says: the type of each family, and the value of each series.
struct Metrics {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

/// Reads the Prometheus text format, strictly: every sample belongs to a family that was announced with help and type.
fn metrics(broker: &Broker) -> Metrics {
    let answer = broker.get("/metrics");
    assert_eq!(answer.status(), 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let (mut types, mut helped, mut series) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for line in answer.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a help text");
            assert!(!text.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{line}"
            );
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let family = name.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| {
                    family
                        .strip_suffix(suffix)
                        .filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"))
                })
                .unwrap_or(family);
            assert!(
                types.contains_key(family) && helped.contains(family),
                "{line}"
            );
            let value = value.parse().expect("a number");
            assert!(
                series.insert(name.to_owned(), value).is_none(),
                "twice: {line}"
            );
        }
    }
    Metrics { types, series }
}

#[test]
fn every_name_says_product_subsystem_and_noun() {
    let broker = Broker::start();
    for (name, kind) in metrics(&broker).types {
        if name.starts_with("process_") {
            continue;
        }
        let words: Vec<&str> = name.split('_').collect();
        assert_eq!(words[0], "glintcast", "{name}");
        assert!(words.len() >= 3, "{name}");
        let lower =
            |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(words.iter().all(lower), "{name}");
        assert_eq!(
            kind == "counter",
            name.ends_with("_total"),
            "{name} is a {kind}"
        );
        if kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name}");
        }
    }
}

#[test]
fn what_users_choose_makes_no_series() {
    let broker = Broker::start();
    // Everything once, so that what is there only when it is used is there.
    let mut sockets =
        [ws::GS1_TEXT, ws::GS1_BINARY, ws::JSON].map(|protocol| broker.socket("", &[protocol]));
    for socket in &mut sockets {
        socket.next();
    }
    broker.publish("{}");
    let before: Vec<String> = metrics(&broker).series.into_keys().collect();
    let mut listeners = Vec::new();
    for number in 0..50 {
        let module = format!("module-{number}");
        listeners.push(broker.listen(&format!("?module={module}&phase=phase-{number}*")));
        let glint =
            format!(r#"{{"id":"id-{number}","module":"{module}","phase":"phase-{number}"}}"#);
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", &module),
            ("User-Agent", &module),
            ("Origin", &format!("http://{module}.example")),
        ];
        assert_eq!(
            broker
                .send("POST", "/glints", &headers, glint.as_bytes())
                .status(),
            200
        );
        broker.get(&format!("/no/such/{module}"));
        broker.post("/glints", &format!("text/{module}"), "x");
    }
    for (number, listener) in listeners.iter_mut().enumerate() {
        assert!(
            listener
                .next_named("glint_emission")
                .data
                .contains(&format!("id-{number}"))
        );
    }
    let after = metrics(&broker).series;
    assert_eq!(after.keys().cloned().collect::<Vec<_>>(), before);
    assert!(
        after
            .keys()
            .all(|name| !name.contains("module-") && !name.contains("id-"))
    );
}

#[test]
fn what_happened_is_what_is_counted() {
    let broker = Broker::start();
    let mut listener = broker.listen("?topics=glints");
    for _ in 0..2 {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "k"),
        ];
        broker.send("POST", "/glints", &headers, b"[{\"a\":1},{\"a\":2}]");
    }
    listener.next();
    listener.next();
    for (series, value) in [
        ("glintcast_emitter_glints_total", 2.0),
        ("glintcast_emitter_replayed_receipts_total", 1.0),
        ("glintcast_emitter_idempotency_keys", 1.0),
        ("glintcast_edge_streams{form=\"sse_named\"}", 1.0),
        ("glintcast_mail_waiting{office=\"emitter\"}", 0.0),
    ] {
        eventually(series, || {
            metrics(&broker).series.get(series) == Some(&value)
        });
    }
    eventually("deliveries are shown within a round", || {
        metrics(&broker).series["glintcast_edge_deliveries_total"] >= 2.0
    });
    assert!(metrics(&broker).series["glintcast_tail_events"] >= 2.0);
}
