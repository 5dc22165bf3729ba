//! The addresses that existing clients of the glint stream post to and look at answer as those clients expect.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::io::Write as _;

use glint::json::Value;
use support::sse::Events;
use support::{Broker, count_at, keys, shown, text_at};

const JSON: &str = "application/json";
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// Posts to the address of existing agents.
fn post(broker: &Broker, media_type: &str, body: impl AsRef<[u8]>) -> support::http::Answer {
    broker.post("/stream/glint", media_type, body)
}

/// Reads the next glint on a stream, whatever else is on it.
fn next_glint(events: &mut Events) -> String {
    events.next_named("glint_emission").data
}

/// The text of an answer with the one member that existing clients print.
fn only_error(body: &Value<'_>) -> String {
    assert_eq!(keys(body), ["error"], "one member, nothing else");
    text_at(body, &["error"]).to_owned()
}

#[test]
fn what_is_taken_is_answered_with_its_id_and_broadcast_as_posted() {
    let broker = Broker::start();
    let mut listener = broker.listen("?topics=glints");
    let big = format!(r#"{{"id": "big", "text": "{}"}}"#, "x".repeat(2 << 20));
    let cases: [(&str, String, &str, String); 9] = [
        (
            JSON,
            r#"{"event":"glint_emission","data":{"glint":{"id":"a","module":"m"}}}"#.into(),
            r#""a""#,
            r#"{"event": "glint_emission", "data": {"glint": {"id": "a", "module": "m"}}}"#.into(),
        ),
        (
            JSON,
            r#"{"flat":true}"#.into(),
            "null",
            r#"{"flat": true}"#.into(),
        ),
        (
            "Application/JSON; charset=utf-8",
            r#"{"data":{"glint":{"id":17}}}"#.into(),
            "17",
            r#"{"data": {"glint": {"id": 17}}}"#.into(),
        ),
        (
            "application/vnd.spiral+json",
            r#"{"data":{"glint":{"id":{"k":[1.50]}}}}"#.into(),
            r#"{"k": [1.50]}"#,
            r#"{"data": {"glint": {"id": {"k": [1.50]}}}}"#.into(),
        ),
        (
            JSON,
            "\u{feff}{\"bom\":1}".into(),
            "null",
            r#"{"bom": 1}"#.into(),
        ),
        (
            JSON,
            r#"{"digits":123456789012345678901234567890}"#.into(),
            "null",
            r#"{"digits": 123456789012345678901234567890}"#.into(),
        ),
        (
            JSON,
            r#"{"a":1,"b":2,"a":3}"#.into(),
            "null",
            r#"{"a": 3, "b": 2}"#.into(),
        ),
        (
            JSON,
            "{\n  \"pretty\": \"\u{2028}\u{1f300}\"\n}\n".into(),
            "null",
            "{\"pretty\": \"\\u2028\\ud83c\\udf00\"}".into(),
        ),
        (JSON, big.clone(), "null", big),
    ];
    for (media_type, body, id, sent) in cases {
        let answer = post(&broker, media_type, &body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer.get("id").map(Value::to_ascii).as_deref(), Some(id));
        assert_eq!(text_at(&answer, &["status"]), "glint_broadcast");
        assert_eq!(count_at(&answer, &["listeners"]), 1);
        assert_eq!(next_glint(&mut listener), sent);
    }
}

#[test]
fn what_is_refused_is_never_broadcast() {
    let broker = Broker::start();
    let mut listener = broker.listen("?topics=glints");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    let empty = "No glint data provided";
    let cases: [(&str, &[u8], u16, &str); 27] = [
        (JSON, b"{}", 400, empty),
        (JSON, b"[]", 400, empty),
        (JSON, b"null", 400, empty),
        (JSON, b"0", 400, empty),
        (JSON, b"-0.0e5", 400, empty),
        (JSON, b"\"\"", 400, empty),
        (JSON, b"false", 400, empty),
        (JSON, b"[1]", 400, ""),
        (JSON, b"[{\"id\":\"in a list\"}]", 400, ""),
        (JSON, b"\"text\"", 400, ""),
        (JSON, b"7", 400, ""),
        (JSON, b"true", 400, ""),
        (JSON, b"{\"data\":null}", 400, ""),
        (JSON, b"{\"data\":\"text\"}", 400, ""),
        (JSON, b"{\"data\":{\"glint\":null}}", 400, ""),
        (JSON, b"{\"data\":{\"glint\":\"text\"}}", 400, ""),
        (JSON, b"{\"a\":}", 400, "400 Bad Request: "),
        (JSON, b"{} trailing", 400, "400 Bad Request: "),
        (JSON, b"", 400, "400 Bad Request: "),
        (JSON, b"{\"a\":\"\xff\"}", 400, "400 Bad Request: "),
        (JSON, b"{\"a\":NaN}", 400, "400 Bad Request: "),
        (JSON, b"{\"a\":1e999}", 400, "400 Bad Request: "),
        (JSON, b"{\"a\":\"\\ud800\"}", 400, "400 Bad Request: "),
        (JSON, deep.as_bytes(), 400, "400 Bad Request: "),
        (
            "text/plain",
            b"{\"a\":1}",
            415,
            "415 Unsupported Media Type: ",
        ),
        (
            "application/x-www-form-urlencoded",
            b"a=1",
            415,
            "415 Unsupported Media Type: ",
        ),
        (
            "text/json",
            b"{\"a\":1}",
            415,
            "415 Unsupported Media Type: ",
        ),
    ];
    for (media_type, body, status, begin) in cases {
        let answer = post(&broker, media_type, body);
        assert_eq!(
            answer.status(),
            status,
            "{}: {}",
            shown(body),
            answer.text()
        );
        assert_eq!(answer.header("content-type"), Some(JSON));
        let error = only_error(&answer.json());
        assert!(
            !error.is_empty() && error.starts_with(begin),
            "{}: {error}",
            shown(body)
        );
    }
    let no_type = broker.send("POST", "/stream/glint", &[], b"{\"a\":1}");
    assert!(only_error(&no_type.json()).ends_with("Content-Type was not 'application/json'"));
    let packed = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    let packed = broker.send("POST", "/stream/glint", &packed, b"\x1f\x8b\x08\0");
    assert_eq!(packed.status(), 415);
    only_error(&packed.json());
    // Everything before this one would have come first.
    post(&broker, JSON, r#"{"id":"marker"}"#);
    assert_eq!(next_glint(&mut listener), r#"{"id": "marker"}"#);
}

#[test]
fn a_body_over_the_limit_is_refused_announced_or_not() {
    let broker = Broker::with(&[("edge.glint_limit_bytes", "1024")]);
    let mut listener = broker.listen("?topics=glints");
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(1024));
    let announced = post(&broker, JSON, &body);
    let headers = [("Content-Type", JSON), ("Transfer-Encoding", "chunked")];
    let unannounced = support::http::chunked(body.as_bytes(), 100);
    let unannounced = broker.send("POST", "/stream/glint", &headers, &unannounced);
    for answer in [announced, unannounced] {
        assert_eq!(answer.status(), 413);
        only_error(&answer.json());
    }
    let chunked = support::http::chunked(br#"{"id":"in chunks"}"#, 3);
    assert_eq!(
        broker
            .send("POST", "/stream/glint", &headers, &chunked)
            .status(),
        200
    );
    assert_eq!(next_glint(&mut listener), r#"{"id": "in chunks"}"#);
}

#[test]
fn a_publisher_never_speaks_in_the_name_of_the_broker() {
    let broker = Broker::start();
    let mut listener = broker.listen("?topics=glints&dialect=bilingual");
    for event in [
        r#""heartbeat""#,
        r#""phase_update\nevent: phase_update""#,
        "[1]",
    ] {
        post(
            &broker,
            JSON,
            format!(r#"{{"event":{event},"state":{{"phase":"hold"}}}}"#),
        );
        let named = listener.next();
        let posted = named.json();
        assert_eq!(text_at(&posted, &["event"]), "glint_emission");
        assert_eq!(
            posted.get("posted_event").map(Value::to_ascii).as_deref(),
            Some(event)
        );
        let shadow = listener.next().json();
        assert_eq!(text_at(&shadow, &["event"]), "glint_emission");
    }
}

#[test]
fn status_has_five_members_and_nothing_else() {
    let broker = Broker::start().breathing();
    let status = broker.get("/stream/status");
    assert_eq!(
        (status.status(), status.header("content-type")),
        (200, Some(JSON))
    );
    let status = status.json();
    let mut members = keys(&status);
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "active_connections",
            "last_climate",
            "last_phase",
            "last_usage",
            "stream_running"
        ]
    );
    assert_eq!(count_at(&status, &["active_connections"]), 0);
    assert_eq!(text_at(&status, &["last_climate"]), "clear");
    assert_eq!(text_at(&status, &["last_phase"]), "inhale");
    assert_eq!(status.get("last_usage").and_then(Value::as_f64), Some(0.0));
    assert_eq!(status.get("stream_running"), Some(&Value::Bool(true)));
}

#[test]
fn a_test_event_is_sent_when_asked_for_and_not_when_looked_at() {
    let broker = Broker::start().breathing();
    let mut listener = broker.listen("?event=test_event");
    let looked = broker.send("HEAD", "/stream/test", &[], b"");
    assert_eq!((looked.status(), looked.body.len()), (200, 0));
    let answer = broker.get("/stream/test").json();
    assert_eq!(text_at(&answer, &["message"]), "Test event sent");
    let data = answer.get("data").unwrap();
    assert_eq!(
        keys(data),
        ["phase", "progress", "climate", "usage", "timestamp"]
    );
    assert_eq!(
        (text_at(data, &["phase"]), text_at(data, &["climate"])),
        ("inhale", "clear")
    );
    assert_eq!(data.get("progress").and_then(Value::as_f64), Some(0.25));
    assert_eq!(data.get("usage").and_then(Value::as_f64), Some(0.3));
    let event = listener.next();
    assert_eq!((event.name.as_str(), &event.json()), ("test_event", data));
    broker.get("/stream/test");
    assert_ne!(
        listener.next().last_id,
        event.last_id,
        "the next is the next, so looking sent none"
    );
}

#[test]
fn other_methods_are_told_which_there_are() {
    let broker = Broker::start();
    for (method, path, allow) in [
        ("POST", "/stream", "GET, HEAD, OPTIONS"),
        ("DELETE", "/stream/status", "GET, HEAD, OPTIONS"),
        ("PUT", "/stream/test", "GET, HEAD, OPTIONS"),
        ("GET", "/stream/glint", "OPTIONS, POST"),
        ("PATCH", "/glints", "GET, HEAD, OPTIONS, POST"),
        ("HEAD", "/stream/glint", "OPTIONS, POST"),
    ] {
        let answer = broker.send(method, path, &[], b"");
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let asked = broker.send("OPTIONS", path, &[], b"");
        assert_eq!((asked.status(), asked.header("allow")), (200, Some(allow)));
        assert_eq!(asked.body.len(), 0);
    }
}

#[test]
fn other_paths_are_not_found_and_a_doubled_slash_is() {
    let broker = Broker::start();
    for path in [
        "/nothing",
        "/stream/",
        "/Stream",
        "/stream/status/",
        "/stream/glints",
    ] {
        let answer = broker.get(path);
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    for path in ["//stream/status", "/stream//status"] {
        assert_eq!(broker.get(path).status(), 200, "{path}");
    }
}

#[test]
fn any_origin_is_echoed_and_told_from_others_by_caches() {
    let broker = Broker::start();
    assert_eq!(
        broker
            .get("/stream/status")
            .header("access-control-allow-origin"),
        Some("*")
    );
    for origin in ["http://localhost:3000", "null"] {
        for (method, path) in [
            ("GET", "/stream/status"),
            ("GET", "/nothing"),
            ("PUT", "/stream/test"),
        ] {
            let answer = broker.send(method, path, &[("Origin", origin)], b"");
            assert_eq!(answer.head.all("access-control-allow-origin"), [origin]);
            assert!(answer.header("vary").unwrap().contains("Origin"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}

#[test]
fn a_preflight_allows_what_it_asks_for() {
    let broker = Broker::start();
    let headers = [
        ("Origin", "http://localhost:3000"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "Content-Type,X-Agent,  Last-Event-ID",
        ),
    ];
    for path in ["/stream", "/stream/glint", "/stream/status", "/glints"] {
        let answer = broker.send("OPTIONS", path, &headers, b"");
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some(METHODS));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("content-type, x-agent, last-event-id")
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://localhost:3000")
        );
        assert_eq!(answer.header("access-control-max-age"), None);
        assert_eq!(answer.body.len(), 0);
    }
}

#[test]
fn a_connection_that_says_nothing_harms_nobody() {
    let broker = Broker::start();
    for _ in 0..50 {
        drop(broker.connect());
    }
    let mut half = broker.connect();
    half.write_all(b"POST /stream/glint HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    drop(half);
    assert_eq!(broker.get("/stream/status").status(), 200);
}
