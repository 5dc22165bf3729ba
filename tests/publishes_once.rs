//! A request that comes again is heard once, and what existing agents say again is heard again.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use glint::json::Value;
use support::Broker;
use support::glints::{JSON, good, heard, listen, problem};
use support::text_at;

#[test]
fn a_repeated_request_gets_the_first_receipt_and_is_heard_once() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    for (path, body) in [
        ("/glints", "[{\"n\":1},{\"n\":2}]"),
        ("/stream/glint", "{\"n\":3}"),
    ] {
        let headers = [("Content-Type", JSON), ("Idempotency-Key", path)];
        let first = good(&broker.send("POST", path, &headers, body.as_bytes()));
        // The same content, spelt otherwise.
        let again = good(&broker.send("POST", path, &headers, body.replace(':', " : ").as_bytes()));
        assert_eq!(first.get("replayed"), Some(&Value::Bool(false)));
        assert_eq!(again.get("replayed"), Some(&Value::Bool(true)));
        for member in ["items", "glint_id", "cursor", "accepted"] {
            assert_eq!(first.get(member), again.get(member), "{member}");
        }
    }
    let headers = [("Content-Type", JSON), ("Idempotency-Key", "/glints")];
    let other = broker.send("POST", "/glints", &headers, b"[{\"n\":1}]");
    assert_eq!(problem(&other, 422), "idempotency_conflict");
    assert_eq!(
        heard(&broker, &mut listener),
        [r#"{"n": 1}"#, r#"{"n": 2}"#, r#"{"n": 3}"#]
    );
}

#[test]
fn an_idempotency_key_is_held_to_its_form_and_forgotten_in_order() {
    let broker = Broker::with(&[("publish.idempotency_keys", "2")]);
    let send = |key: &str| {
        broker.send(
            "POST",
            "/glints",
            &[("Content-Type", JSON), ("Idempotency-Key", key)],
            b"{\"id\":\"x\"}",
        )
    };
    for bad in ["", &"k".repeat(256), "smile \u{263a}"] {
        let answer = send(bad);
        assert_eq!(
            problem(&answer, 400),
            "idempotency_key_malformed",
            "{bad:?}"
        );
        assert_eq!(text_at(&answer.json(), &["field"]), "Idempotency-Key");
    }
    let replayed = |key| good(&send(key)).get("replayed") == Some(&Value::Bool(true));
    assert!(!replayed("a") && !replayed("b") && replayed("a"));
    assert!(!replayed("c"), "the third lets the oldest go");
    assert!(!replayed("a") && replayed("c"));
}

#[test]
fn what_an_existing_agent_says_again_is_heard_again() {
    let broker = Broker::start();
    let mut listener = listen(&broker);
    let glint = r#"{"id": "pulse", "n": 1}"#;
    for path in ["/stream/glint", "/stream/glint", "/glints", "/glints"] {
        good(&broker.post(path, JSON, glint));
    }
    // By the door that knows of repetitions it was taken once.
    assert_eq!(heard(&broker, &mut listener), [glint; 3]);
}
