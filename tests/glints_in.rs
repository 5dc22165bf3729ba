//! Glints come in by one door in many shapes, whole or not at all, and every answer says what became of them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use glint::json::Value;
use support::glints::{EVENT, EVENTS, JSON, NDJSON, good, heard, items, listen, post, problem};
use support::http::chunked;
use support::{Broker, count_at, keys, parse, text_at};

#[test]
fn one_glint_gets_its_receipt() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let answer = good(&post(
        &broker,
        JSON,
        r#"{"id":"a","module":"m","phase":"Hold"}"#,
    ));
    assert_eq!(text_at(&answer, &["id"]), "a");
    assert_eq!(text_at(&answer, &["durability"]), "memory");
    assert_eq!(count_at(&answer, &["listeners"]), 1);
    assert_eq!(answer.get("replayed"), Some(&Value::Bool(false)));
    assert_eq!(answer.get("items"), None, "one, not a list of one");
    let line = listener.next();
    assert_eq!(text_at(&line, &["cursor"]), text_at(&answer, &["cursor"]));
    for (key, value) in [
        ("topic", "glints"),
        ("id", "a"),
        ("source", "m"),
        ("phase", "Hold"),
    ] {
        assert_eq!(text_at(&line, &[key]), value);
    }
}

#[test]
fn a_glint_without_an_id_gets_one_of_its_own() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let ids: Vec<String> = (0..2)
        .map(|_| text_at(&good(&post(&broker, JSON, "{}")), &["id"]).to_owned())
        .collect();
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let line = listener.next();
        assert_eq!(text_at(&line, &["id"]), id);
        assert_eq!(
            line.get("data").unwrap().to_ascii(),
            "{}",
            "nothing is put into the payload"
        );
    }
}

#[test]
fn a_batch_is_taken_whole_and_answered_glint_by_glint() {
    // The same glints come in each shape.
    let broker = Broker::with(&[("publish.repeat_seconds", "0")]);
    let mut listener = listen(&broker);
    let bodies = [
        (JSON, "[{\"id\":\"a\"},{\"id\":\"b\"}]"),
        (
            "application/vnd.glints+json",
            " [ {\"id\":\"a\"}, {\"id\":\"b\"} ] ",
        ),
        (NDJSON, "{\"id\":\"a\"}\n\n  {\"id\":\"b\"}\r\n"),
        (
            "application/jsonl",
            "\u{feff}{\"id\":\"a\"}\n{\"id\":\"b\"}",
        ),
        (
            "application/ndjson; charset=utf-8",
            "\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
        ),
    ];
    for (media_type, body) in bodies {
        let answer = good(&post(&broker, media_type, body));
        assert_eq!(
            (
                count_at(&answer, &["accepted"]),
                count_at(&answer, &["refused"])
            ),
            (2, 0)
        );
        for (index, item) in items(&answer).iter().enumerate() {
            assert_eq!(keys(item), ["index", "id", "cursor"]);
            assert_eq!(count_at(item, &["index"]), index as u64);
            let line = listener.next();
            assert_eq!(text_at(&line, &["id"]), ["a", "b"][index]);
            assert_eq!(text_at(&line, &["cursor"]), text_at(item, &["cursor"]));
        }
    }
}

#[test]
fn a_batch_with_a_bad_glint_is_refused_whole() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    for (media_type, body) in [
        (JSON, "[{\"a\":1},2,{\"b\":1},null]"),
        (NDJSON, "{\"a\":1}\n2\n{\"b\":1}\n{\"c\":\n"),
    ] {
        let answer = post(&broker, media_type, body);
        assert_eq!(problem(&answer, 400), "batch_refused");
        let Some(Value::Array(errors)) = answer.json().get("errors").cloned() else {
            panic!("{}", answer.text())
        };
        let at: Vec<u64> = errors
            .iter()
            .map(|error| count_at(error, &["index"]))
            .collect();
        assert_eq!(at, [1, 3]);
        assert!(
            errors
                .iter()
                .all(|error| !text_at(error, &["code"]).is_empty())
        );
    }
    assert_eq!(heard(&broker, &mut listener), [""; 0]);
}

#[test]
fn with_partial_the_good_glints_of_a_batch_are_taken() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let answer = good(&broker.post(
        "/glints?partial=true",
        NDJSON,
        "{\"id\":\"a\"}\n[]\n{\"id\":\"b\"}\n{\"c\":NaN}\n",
    ));
    assert_eq!(
        (
            count_at(&answer, &["accepted"]),
            count_at(&answer, &["refused"])
        ),
        (2, 2)
    );
    let items = items(&answer);
    assert_eq!(
        (text_at(&items[0], &["id"]), text_at(&items[2], &["id"])),
        ("a", "b")
    );
    assert_eq!(text_at(&items[1], &["error", "code"]), "glint_not_object");
    assert_eq!(text_at(&items[3], &["error", "code"]), "json_not_finite");
    assert_eq!(
        heard(&broker, &mut listener),
        [r#"{"id": "a"}"#, r#"{"id": "b"}"#]
    );
    let none = good(&broker.post("/glints?partial=true", JSON, "[1,2]"));
    assert_eq!(
        (
            count_at(&none, &["accepted"]),
            count_at(&none, &["refused"])
        ),
        (0, 2)
    );
    problem(&broker.post("/glints?partial=true", JSON, "1"), 400);
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let headers = [("Content-Type", JSON), ("Idempotency-Key", "dry")];
    let answer = broker.send(
        "POST",
        "/glints?dry_run=true",
        &headers,
        b"[{\"id\":\"a\"},{\"id\":\"b\"}]",
    );
    let answer = good(&answer);
    assert_eq!(count_at(&answer, &["accepted"]), 2);
    assert_eq!(answer.get("dry_run"), Some(&Value::Bool(true)));
    assert!(
        items(&answer)
            .iter()
            .all(|item| item.get("cursor").is_none())
    );
    assert_eq!(
        problem(&broker.post("/glints?dry_run=true", JSON, "7"), 400),
        "glint_not_object"
    );
    let real = good(&broker.send("POST", "/glints", &headers, b"{\"id\":\"c\"}"));
    assert_eq!(
        real.get("replayed"),
        Some(&Value::Bool(false)),
        "the key of a dry run is free"
    );
    assert_eq!(heard(&broker, &mut listener), [r#"{"id": "c"}"#]);
}

#[test]
fn a_cloud_event_is_a_glint_in_each_of_its_modes() {
    // The same glints come in each shape.
    let broker = Broker::with(&[("publish.repeat_seconds", "0")]);
    let mut listener = listen(&broker);
    let event = r#"{"specversion":"1.0","type":"spiral.glint","id":"ce-1","source":"/agents/a","datacontenttype":"application/json","data":{"phase":"hold","n":1.50}}"#;
    assert_eq!(
        text_at(&good(&post(&broker, EVENT, event)), &["id"]),
        "ce-1"
    );
    let batch = good(&post(&broker, EVENTS, format!("[{event},{event}]")));
    assert_eq!(count_at(&batch, &["accepted"]), 2);
    let headers = [
        ("Content-Type", JSON),
        ("ce-specversion", "1.0"),
        ("ce-type", "spiral.glint"),
        ("ce-id", "ce%2D1"),
        ("ce-source", "/agents/a"),
    ];
    let binary = broker.send("POST", "/glints", &headers, br#"{"phase":"hold","n":1.50}"#);
    assert_eq!(text_at(&good(&binary), &["id"]), "ce-1");
    for _ in 0..4 {
        let line = listener.next();
        let said = ["id", "source", "phase"].map(|key| text_at(&line, &[key]).to_owned());
        assert_eq!(said, ["ce-1", "/agents/a", "hold"]);
        assert_eq!(
            line.at(&["data", "data"]).unwrap().to_ascii(),
            r#"{"phase": "hold", "n": 1.50}"#
        );
        assert_eq!(text_at(&line, &["data", "datacontenttype"]), JSON);
        assert_eq!(text_at(&line, &["data", "specversion"]), "1.0");
    }
}

#[test]
fn a_cloud_event_that_lacks_an_attribute_is_refused_by_name() {
    let broker = Broker::start();
    for (missing, event) in [
        ("specversion", r#"{"type":"t","id":"i","source":"s"}"#),
        (
            "specversion",
            r#"{"specversion":"0.3","type":"t","id":"i","source":"s"}"#,
        ),
        ("type", r#"{"specversion":"1.0","id":"i","source":"s"}"#),
        (
            "id",
            r#"{"specversion":"1.0","type":"t","id":"","source":"s"}"#,
        ),
        ("source", r#"{"specversion":"1.0","type":"t","id":"i"}"#),
    ] {
        let answer = post(&broker, EVENT, event);
        assert_eq!(problem(&answer, 400), "cloud_event_malformed");
        assert_eq!(text_at(&answer.json(), &["field"]), missing);
    }
    let headers = [
        ("Content-Type", JSON),
        ("ce-specversion", "1.0"),
        ("ce-id", "i"),
        ("ce-source", "s"),
    ];
    let answer = broker.send("POST", "/glints", &headers, b"{}");
    assert_eq!(problem(&answer, 400), "cloud_event_malformed");
    assert_eq!(text_at(&answer.json(), &["field"]), "type");
    assert_eq!(
        problem(&post(&broker, EVENTS, "{}"), 400),
        "batch_not_array"
    );
}

#[test]
fn what_is_no_glint_is_refused_with_the_reason() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(1025));
    let cases: [(&[u8], &str); 13] = [
        (b"", "json_syntax"),
        (b"{\"a\":}", "json_syntax"),
        (b"{} {}", "json_syntax"),
        (b"\"text\"", "glint_not_object"),
        (b"null", "glint_not_object"),
        (b"[]", "batch_empty"),
        (b"{\"a\":NaN}", "json_not_finite"),
        (b"{\"a\":-Infinity}", "json_not_finite"),
        (b"{\"a\":1e999}", "json_not_finite"),
        (b"{\"a\":\"\\udc00\"}", "json_lone_surrogate"),
        (b"{\"a\":\"\xc3\"}", "json_not_utf8"),
        (deep.as_bytes(), "json_too_deep"),
        (long.as_bytes(), "word_too_long"),
    ];
    for (body, code) in cases {
        assert_eq!(
            problem(&post(&broker, JSON, body), 400),
            code,
            "{}",
            support::shown(body)
        );
    }
    assert_eq!(problem(&post(&broker, NDJSON, "\n \n"), 400), "batch_empty");
    let deepest = format!("{{\"a\":{}{}}}", "[".repeat(63), "]".repeat(63));
    good(&post(&broker, JSON, deepest));
    assert_eq!(heard(&broker, &mut listener).len(), 1);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_glint() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    good(&post(&broker, JSON, "\u{feff}{\"id\":\"x\"}"));
    assert_eq!(heard(&broker, &mut listener), [r#"{"id": "x"}"#]);
}

#[test]
fn a_body_of_another_type_is_not_guessed_at() {
    let broker = Broker::start();
    for media_type in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
    ] {
        let answer = post(&broker, media_type, "{}");
        assert_eq!(problem(&answer, 415), "media_type_unsupported");
        assert_eq!(text_at(&answer.json(), &["field"]), "Content-Type");
    }
    assert_eq!(
        problem(&broker.send("POST", "/glints", &[], b"{}"), 415),
        "media_type_unsupported"
    );
    let packed = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    let packed = broker.send("POST", "/glints", &packed, b"\x1f\x8b");
    assert_eq!(problem(&packed, 415), "encoding_unsupported");
}

#[test]
fn bodies_over_a_limit_are_refused_announced_or_not() {
    let broker = Broker::with(&[
        ("edge.glint_limit_bytes", "1024"),
        ("edge.batch_limit_bytes", "4096"),
        ("edge.batch_max", "3"),
    ]);
    let mut listener = listen(&broker);
    let glint = |bytes: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(bytes - 9));
    good(&post(&broker, JSON, glint(1024)));
    for body in [glint(1025), format!("[{}]", glint(1025))] {
        let answer = post(&broker, JSON, body);
        problem(&answer, 413);
    }
    let large = glint(4097);
    assert_eq!(problem(&post(&broker, JSON, &large), 413), "body_too_large");
    let headers = [("Content-Type", JSON), ("Transfer-Encoding", "chunked")];
    let answer = broker.send("POST", "/glints", &headers, &chunked(large.as_bytes(), 512));
    assert_eq!(problem(&answer, 413), "body_too_large");
    for (media_type, body) in [
        (JSON, "[{},{},{},{}]"),
        (NDJSON, "{}\n{}\n{}\n{}\n"),
        (EVENTS, "[{},{},{},{}]"),
    ] {
        assert_eq!(
            problem(&post(&broker, media_type, body), 413),
            "batch_too_long"
        );
    }
    let part = good(&broker.post(
        "/glints?partial=true",
        JSON,
        format!("[{},{{}}]", glint(1025)),
    ));
    assert_eq!(
        (
            count_at(&part, &["accepted"]),
            count_at(&part, &["refused"])
        ),
        (1, 1)
    );
    assert_eq!(heard(&broker, &mut listener).len(), 2);
}

#[test]
fn the_limit_of_a_glint_is_the_same_at_every_door() {
    let broker = Broker::with(&[("edge.glint_limit_bytes", "1024")]);
    // Sent as UTF-8 it is within the limit, escaped as it goes out it is not.
    let glint = format!("{{\"a\": \"{}\"}}", "\u{1f300}".repeat(200));
    let event = format!(
        r#"{{"specversion": "1.0", "type": "t", "id": "i", "source": "s", "data": {glint}}}"#
    );
    let answers = [
        post(&broker, JSON, &glint),
        post(&broker, EVENT, &event),
        post(&broker, EVENTS, format!("[{event}]")),
        post(&broker, JSON, format!("[{glint}]")),
        post(&broker, NDJSON, &glint),
        broker.post("/stream/glint", JSON, &glint),
    ];
    let statuses = answers.map(|answer| answer.status());
    assert_eq!(statuses, [413; 6]);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let broker = Broker::with(&[("edge.body_timeout_seconds", "1")]);
    let headers = [("Content-Type", JSON), ("Content-Length", "100")];
    let answer = broker.send("POST", "/glints", &headers, b"{\"a\":");
    assert_eq!(problem(&answer, 408), "body_late");
}

#[test]
fn a_query_that_cannot_be_read_is_no_default() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    for query in ["?partial=perhaps", "?dry_run=1"] {
        let answer = broker.post(&format!("/glints{query}"), JSON, "{}");
        assert_eq!(problem(&answer, 400), "query_malformed");
    }
    assert_eq!(heard(&broker, &mut listener), [""; 0]);
}

#[test]
fn one_connection_carries_many_requests() {
    use std::io::{Read, Write};
    let broker = Broker::start();
    let mut stream = broker.connect();
    for number in 0..3 {
        let body = format!("{{\"id\":\"{number}\"}}");
        let head = format!(
            "POST /glints HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .unwrap();
        let (head, mut body) = support::http::answer_on(stream.try_clone().unwrap(), "POST");
        assert_eq!(head.status, 200);
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(text_at(&parse(&text), &["id"]), number.to_string());
    }
}
