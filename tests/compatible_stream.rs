//! The streams that existing clients of the glint stream listen to, and the past that they ask for, are as those clients
//! expect.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};

use glint::json::Value;
use support::{Broker, count_at, keys, parse, shown, text_at};

const JSON: &str = "application/json";

/// Posts to the address of existing agents.
fn post(broker: &Broker, media_type: &str, body: impl AsRef<[u8]>) -> support::http::Answer {
    broker.post("/stream/glint", media_type, body)
}

#[test]
fn a_stream_begins_with_the_bare_state_on_a_line_that_line_clients_read() {
    let broker = Broker::start().breathing();
    for dialect in [
        "",
        "?dialect=named",
        "?dialect=bilingual",
        "?dialect=envelope",
    ] {
        let (head, mut body) = broker.open("GET", &format!("/stream{dialect}"), &[], b"");
        assert_eq!(head.status, 200);
        let mut first = [0; 6];
        body.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"data: ", "{dialect}");
        let mut lines = BufReader::new(body).lines();
        let state = parse(&lines.next().unwrap().unwrap());
        let members = keys(&state);
        assert_eq!(
            members[..5],
            ["phase", "progress", "usage", "climate", "timestamp"]
        );
        assert!(
            !members.contains(&"event") && !members.contains(&"data"),
            "bare"
        );
        assert_eq!(
            text_at(&state, &["timestamp"]).len(),
            "2025-07-01T10:00:00.000000".len()
        );
        let rest: Vec<String> = lines
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(
            rest.iter()
                .all(|line| line.starts_with("retry: ") || line.starts_with("id: ")),
            "{rest:?}"
        );
    }
}

#[test]
fn a_stream_is_chunked_uncompressed_and_open_to_every_origin() {
    let broker = Broker::start();
    let headers = [
        ("Accept-Encoding", "gzip, br"),
        ("Origin", "http://dash.example"),
    ];
    let events = broker.events_with("", &headers);
    let head = &events.head;
    assert_eq!(
        head.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert!(
        head.header("cache-control")
            .unwrap()
            .starts_with("no-cache")
    );
    assert_eq!(head.all("access-control-allow-origin"), ["*"]);
    assert_eq!(
        head.header("access-control-allow-headers"),
        Some("Cache-Control")
    );
    assert_eq!(head.header("access-control-allow-credentials"), None);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("content-encoding"), None);
    assert!(head.header("connection").is_some());
}

#[test]
fn looking_at_a_stream_does_not_count_as_listening() {
    let broker = Broker::start();
    let looked = broker.send("HEAD", "/stream", &[], b"");
    assert_eq!((looked.status(), looked.body.len()), (200, 0));
    assert_eq!(
        looked.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let _one = broker.listen("");
    broker.send("HEAD", "/stream", &[], b"");
    let answer = post(&broker, JSON, r#"{"a":1}"#).json();
    assert_eq!(count_at(&answer, &["listeners"]), 1);
}

#[test]
fn events_of_the_breath_are_flat_and_in_the_known_order_of_members() {
    let broker = Broker::with(&[("breath.speed", "100000"), ("breath.tick_ms", "20")]);
    let mut listener = broker.listen("");
    let phase = listener.next_named("phase_update").json();
    assert_eq!(
        keys(&phase),
        ["phase", "progress", "climate", "usage", "timestamp"]
    );
    let beat = listener.next_named("heartbeat");
    assert_eq!(
        beat.own_id(),
        None,
        "a heartbeat is no place to resume from"
    );
    let beat = beat.json();
    // The scheduler reads `event` and `data` of heartbeats, and of usage, alone.
    assert_eq!(keys(&beat), ["state", "timestamp", "event", "data"]);
    assert_eq!(
        keys(beat.get("state").unwrap()),
        ["phase", "progress", "usage", "climate", "timestamp"]
    );
    assert_eq!(text_at(&beat, &["event"]), "heartbeat");
    assert_eq!(beat.at(&["data", "state"]), beat.get("state"));
}

#[test]
fn a_shadow_follows_each_event_but_a_heartbeat_and_line_clients_pass_it_over() {
    let broker = Broker::with(&[("breath.speed", "100000"), ("breath.tick_ms", "20")]);
    let mut listener = broker.listen("?dialect=bilingual");
    let mut shadows = 0;
    while shadows < 5 {
        let named = listener.next();
        assert!(named.raw.starts_with(b"event: "), "{}", shown(&named.raw));
        assert!(named.raw.windows(7).any(|bytes| bytes == b"\ndata: "));
        if named.name == "heartbeat" {
            continue;
        }
        let shadow = listener.next();
        assert!(shadow.raw.starts_with(b"data:{"), "{}", shown(&shadow.raw));
        assert_eq!(shadow.name, "message");
        let envelope = shadow.json();
        assert_eq!(keys(&envelope), ["event", "timestamp", "data"]);
        assert_eq!(text_at(&envelope, &["event"]), named.name);
        shadows += 1;
    }
}

#[test]
fn the_state_is_told_under_each_of_its_addresses() {
    let broker = Broker::start().breathing();
    for path in ["/api/spiral/state", "/state"] {
        let state = broker.get(path).json();
        let mut members = keys(&state);
        members.sort_unstable();
        assert_eq!(members, ["climate", "phase", "progress", "usage"], "{path}");
        assert_eq!(text_at(&state, &["phase"]), "inhale");
        let progress = state.get("progress").and_then(Value::as_f64).unwrap();
        assert!((0.0..1.0).contains(&progress));
    }
    let breath = broker.get("/api/breath/state").json();
    assert_eq!(
        keys(&breath),
        ["phase", "progress", "climate", "last_update"]
    );
}

fn lineage(broker: &Broker, query: &str) -> Vec<String> {
    let answer = broker.get(&format!("/api/glint/lineage{query}"));
    assert_eq!(answer.status(), 200, "{query}");
    let Value::Array(glints) = answer.json() else {
        panic!("{query} is an array")
    };
    glints
        .iter()
        .map(|glint| text_at(glint, &["id"]).to_owned())
        .collect()
}

#[test]
fn the_lineage_is_a_slice_of_the_past_with_its_quirks() {
    let broker = Broker::start();
    assert_eq!(lineage(&broker, ""), [""; 0]);
    for number in 0..60 {
        let (module, phase) = (["m", "n"][number % 2], ["inhale", "Hold"][number / 30]);
        let glint =
            format!(r#"{{"id":"{number}","module":"{module}","phase":"{phase}","timestamp":"t"}}"#);
        let glint = if number == 59 {
            format!(r#"{{"data":{{"glint":{glint}}}}}"#)
        } else {
            glint
        };
        assert_eq!(post(&broker, JSON, glint).status(), 200);
    }
    let ids = |numbers: std::ops::Range<usize>, step| -> Vec<String> {
        numbers
            .step_by(step)
            .map(|number| number.to_string())
            .collect()
    };
    assert_eq!(
        lineage(&broker, ""),
        ids(10..60, 1),
        "the last 50, oldest first"
    );
    assert_eq!(lineage(&broker, "?limit=3"), ids(57..60, 1));
    assert_eq!(
        lineage(&broker, "?limit=0"),
        ids(0..60, 1),
        "0 is everything"
    );
    assert_eq!(
        lineage(&broker, "?limit=-58"),
        ids(58..60, 1),
        "a slice from that place on"
    );
    assert_eq!(lineage(&broker, "?limit=-61"), [""; 0]);
    assert_eq!(lineage(&broker, "?module=n&limit=2"), ids(57..60, 2));
    assert_eq!(lineage(&broker, "?module=n&phase=inhale&limit=1"), ["29"]);
    assert_eq!(
        lineage(&broker, "?phase=hold"),
        [""; 0],
        "exact, case included"
    );
    assert_eq!(broker.get("/api/glint/lineage?limit=abc").status(), 400);
    let Value::Array(last) = broker.get("/api/glint/lineage?limit=1").json() else {
        panic!()
    };
    assert_eq!(
        keys(&last[0]),
        ["id", "module", "phase", "timestamp"],
        "the glint without its envelope"
    );
}

#[test]
fn the_stats_have_every_member_even_when_there_is_nothing_to_count() {
    let broker = Broker::start();
    let empty = broker.get("/api/glint/stats").json();
    assert_eq!(
        empty.to_ascii(),
        r#"{"total": 0, "by_phase": {}, "by_module": {}, "stream_sync_enabled": true}"#
    );
    for glint in [
        r#"{"module":"m","phase":"hold"}"#,
        r#"{"source":"m","phase":"error"}"#,
        r#"{"a":1}"#,
    ] {
        post(&broker, JSON, glint);
    }
    let stats = broker.get("/api/glint/stats").json();
    assert_eq!(count_at(&stats, &["total"]), 3);
    for (words, word, count) in [
        ("by_phase", "hold", 1),
        ("by_phase", "error", 1),
        ("by_phase", "unknown", 1),
        ("by_module", "m", 2),
        ("by_module", "unknown", 1),
    ] {
        assert_eq!(count_at(&stats, &[words, word]), count, "{words} {word}");
    }
}

#[test]
fn the_dashboard_stream_says_breath_counts_and_rituals_in_unnamed_envelopes() {
    let broker = Broker::start().breathing();
    post(&broker, JSON, r#"{"module":"m"}"#);
    let (head, body) = broker.open("GET", "/api/dashboard/stream", &[], b"");
    assert_eq!(
        head.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    for name in ["cache-control", "connection"] {
        assert!(head.header(name).is_some(), "{name}");
    }
    let mut lines = BufReader::new(body).lines().map(Result::unwrap);
    for name in ["breath_state", "glint_stats", "ritual_stats"] {
        let frame = lines.next().unwrap();
        let envelope = parse(frame.strip_prefix("data: ").expect("an unnamed frame"));
        assert_eq!(keys(&envelope), ["event", "timestamp", "data"]);
        assert_eq!(text_at(&envelope, &["event"]), name);
        assert_eq!(lines.next().as_deref(), Some(""));
        match name {
            "glint_stats" => assert_eq!(count_at(&envelope, &["data", "by_module", "m"]), 1),
            "ritual_stats" => assert_eq!(count_at(&envelope, &["data", "total_triggered"]), 0),
            _ => assert_eq!(text_at(&envelope, &["data", "phase"]), "inhale"),
        }
    }
    let looked = broker.send("HEAD", "/api/dashboard/stream", &[], b"");
    assert_eq!((looked.status(), looked.body.len()), (200, 0));
}

#[test]
fn silence_is_broken_by_a_keepalive() {
    let broker = Broker::with(&[("edge.keepalive_seconds", "1")]);
    // Nothing matches, so nothing but a keepalive can come.
    let mut quiet = broker.listen("?module=nobody");
    let event = quiet.next();
    assert_eq!(event.name, "keepalive");
    assert_eq!(keys(&event.json()), ["timestamp"]);
    let (_, framed) = broker.open("GET", "/stream?framing=gs1&module=nobody", &[], b"");
    let mut lines = BufReader::new(framed).lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line == ":"),
        "GS1 has no keepalive, so it is a comment"
    );
}
