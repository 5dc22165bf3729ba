//! What uploads the sigil registry takes, and what it says to those that it does not.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use glint::json::Value;
use support::http::Answer;
use support::sigils::{A, A_SEAL, AB_SEAL, B, EMPTY, QUIET, body, seal, send, upload, urls};
use support::{Broker, count_at, text_at};

#[test]
fn files_that_cannot_be_read_are_told_and_the_others_count() {
    let broker = Broker::start();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let good = format!("[{A:?}]");
    let large = format!("[{:?}]", "x".repeat(2000));
    let json = "; filename=\"x.json\"";
    let files: [(&str, &[u8]); 9] = [
        (json, b"{"),
        (json, b"\"\xFF\""),
        (json, b"[\"https://h/s/\\ud800?p=eyJ1Ijo3fQ\"]"),
        (json, deep.as_bytes()),
        ("; filename=\"\"\r\nContent-Type: text/plain", good.as_bytes()),
        (json, large.as_bytes()),
        (json, b""),
        ("", b"no file"),
        (json, b"[\"https://[::1/s/x?p=eyJ1Ijo3fQ\", \"https://h/s/y?p=eyJ1Ijo3LCJvcmlnaW5VcmwiOiJodHRwczovL1t4In0#add=https%3A%2F%2F%5B\"]"),
    ];
    let path = format!("{QUIET}&max_bytes_per_file=1000");
    let answer = send(&broker, &path, &body(&files));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let told = answer.json();
    // The deep one is over the size as well.
    assert_eq!(count_at(&told, &["files_received"]), 8);
    assert_eq!(count_at(&told, &["crystals_failed"]), 3);
    assert_eq!(count_at(&told, &["crystals_imported"]), 2);
    let Some(Value::Array(errors)) = told.get("errors") else {
        panic!("no errors")
    };
    let begins = |at: usize| errors[at].as_str().unwrap();
    assert!(
        begins(0).starts_with("x.json: invalid JSON ("),
        "{}",
        begins(0)
    );
    assert!(begins(0).ends_with("at line 1 col 2)"), "{}", begins(0));
    assert!(
        begins(1).starts_with("x.json: not valid UTF-8 ("),
        "{}",
        begins(1)
    );
    assert!(begins(2).contains("surrogate"), "{}", begins(2));
    assert!(begins(3).starts_with("x.json: too large"), "{}", begins(3));
    assert!(begins(5).starts_with("krystal.json: "), "{}", begins(5));
    assert_eq!(errors.len(), 3 + 2 + 1 + 2 + 2);
    let deep = send(&broker, QUIET, &body(&[(json, deep.as_bytes())]));
    assert_eq!(
        count_at(&deep.json(), &["crystals_failed"]),
        1,
        "{}",
        deep.text()
    );
    // And it serves on.
    assert_eq!(urls(&broker.get("/sigils/urls")).len(), 2);
    assert_eq!(broker.get("/sigils/state").status(), 200);
    assert_eq!(
        upload(&broker, "/sigils/inhale", &[&format!("[{B:?}]")]).status(),
        200
    );
}

#[test]
fn an_upload_without_anything_to_read_is_an_error() {
    let broker = Broker::start();
    let nothing = "{\"status\":\"error\",\"files_received\":0,\"crystals_total\":0,\"crystals_imported\":0,\"crystals_failed\":0,\"registry_urls\":0,\"latest_pulse\":null,\"urls\":null,\"state\":null,\"errors\":[";
    upload(&broker, QUIET, &[&format!("[{A:?}]")]);
    for answer in [
        send(&broker, QUIET, b""),
        send(&broker, QUIET, &body(&[("", b"[]")])),
        send(&broker, QUIET, &body(&[("; filename=x", b"[]")])[..70]),
        broker.post(QUIET, "text/plain", "[]"),
        broker.post(QUIET, "application/x-www-form-urlencoded", "a=1"),
    ] {
        assert_eq!(answer.status(), 400, "{}", answer.text());
        assert!(answer.text().starts_with(nothing), "{}", answer.text());
        assert_eq!(answer.header("etag"), None);
    }
    let answer = send(
        &broker,
        QUIET,
        &body(&[("; filename=x", b""), ("; filename=y", b"")]),
    );
    assert_eq!(
        (
            answer.status(),
            count_at(&answer.json(), &["files_received"])
        ),
        (400, 2)
    );
    let cases: [(&str, &[u8], &str); 3] = [
        (
            "multipart/form-data",
            b"x",
            "Missing boundary in multipart.",
        ),
        (
            "multipart/form-data; boundary=cut",
            b"x",
            "Invalid multipart data.",
        ),
        (
            "multipart/form-data; boundary=cut",
            b"--cut\r\nContent-Disposition: form-data; filename=x\r\n\r\n[]\r\n--cut--",
            "The Content-Disposition header field \"name\" must be provided.",
        ),
    ];
    for (media_type, sent, detail) in cases {
        let answer = broker.post(QUIET, media_type, sent);
        assert_eq!(
            (answer.status(), text_at(&answer.json(), &["detail"])),
            (400, detail)
        );
    }
    assert_eq!(seal(&broker), A_SEAL);
}

#[test]
fn a_document_may_be_the_body_itself() {
    let broker = Broker::start();
    let answer = broker.post(
        QUIET,
        "application/json",
        format!("{{\"urls\":[{A:?}],\"krystals\":[{{\"url\":{B:?}}}]}}"),
    );
    assert_eq!(
        (
            answer.status(),
            count_at(&answer.json(), &["crystals_imported"])
        ),
        (200, 2)
    );
    assert_eq!(seal(&broker), AB_SEAL);
    let strict = Broker::with(&[("registry.json_uploads", "false")]);
    assert_eq!(
        strict
            .post(QUIET, "application/json", format!("[{A:?}]"))
            .status(),
        400
    );
}

#[test]
fn a_thousand_files_are_taken_and_one_more_is_not() {
    let broker = Broker::start();
    let document = format!("[{A:?}]");
    let files = |count: usize| body(&vec![("; filename=x", document.as_bytes()); count]);
    let answer = send(&broker, QUIET, &files(1000));
    assert_eq!(
        (
            answer.status(),
            count_at(&answer.json(), &["crystals_total"])
        ),
        (200, 1000)
    );
    let answer = send(&broker, QUIET, &files(1001));
    assert_eq!(answer.status(), 400);
    assert_eq!(
        text_at(&answer.json(), &["detail"]),
        "Too many files. Maximum number of files is 1000."
    );
    assert_eq!(seal(&broker), A_SEAL);
}

/// A leaf whose chain has so many members.
fn chained(members: usize) -> String {
    let member =
        |nth: usize| format!("&add=https%3A%2F%2Fpeer.example%2Fs%2F{nth}%3Fp%3DeyJwdWxzZSI6MTB9");
    let chain: String = (0..members).map(member).collect();
    format!("[\"https://peer.example/s/L?p=eyJwdWxzZSI6NDB9{chain}\"]")
}

#[test]
fn what_is_over_a_quota_is_refused_whole() {
    let broker = Broker::with(&[
        ("registry.upload_entries_max", "513"),
        ("registry.entries_max", "600"),
        ("registry.body_limit_bytes", "200000"),
    ]);
    let refused = |answer: &Answer| {
        (
            answer.status(),
            text_at(&answer.json(), &["code"]).to_owned(),
        )
    };
    // 512 members and the leaf fit; with one record more nothing is taken.
    let two = upload(&broker, QUIET, &[&format!("[{A:?}]"), &chained(600)]);
    assert_eq!(refused(&two), (413, "registry_upload_entries".to_owned()));
    assert_eq!(seal(&broker), EMPTY);
    let answer = upload(&broker, QUIET, &[&chained(600)]);
    assert_eq!(
        count_at(&answer.json(), &["registry_urls"]),
        513,
        "the last 512 count"
    );
    let before = seal(&broker);
    let more: Vec<String> = (0..100)
        .map(|nth| format!("\"https://h/s/{nth}?p=eyJwdWxzZSI6MTB9\""))
        .collect();
    let full = upload(&broker, QUIET, &[&format!("[{}]", more.join(","))]);
    assert_eq!(refused(&full), (429, "registry_full_entries".to_owned()));
    assert!(full.header("retry-after").is_some());
    let large = upload(&broker, QUIET, &[&" ".repeat(200_001)]);
    assert_eq!(large.status(), 413);
    assert_eq!(seal(&broker), before, "nothing of it was merged");
    assert_eq!(upload(&broker, QUIET, &[&format!("[{A:?}]")]).status(), 200);
}

#[test]
fn duplicates_change_nothing_and_move_nothing() {
    let broker = Broker::start();
    upload(&broker, QUIET, &[&format!("[{A:?},{B:?}]")]);
    let metric = |name: &str| {
        let text = broker.get("/metrics").text().to_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or("x 0")
            .to_owned();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    support::eventually("the seal is announced", || {
        metric("glintcast_registry_seals_total") == "1"
    });
    for _ in 0..3 {
        let answer = upload(&broker, QUIET, &[&format!("[{B:?},{A:?},{A:?}]")]);
        assert_eq!(count_at(&answer.json(), &["crystals_imported"]), 0);
        assert_eq!(count_at(&answer.json(), &["crystals_total"]), 3);
    }
    assert_eq!(
        metric("glintcast_registry_uploads_total{outcome=\"changed\"}"),
        "1"
    );
    assert_eq!(
        metric("glintcast_registry_uploads_total{outcome=\"known\"}"),
        "3"
    );
    assert_eq!(metric("glintcast_registry_seals_total"), "1");
}
