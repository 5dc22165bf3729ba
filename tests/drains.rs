//! A broker that is told to stop lets everybody go in good order, and one that is told twice stops at once.

#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Command;

use support::http::Body;
use support::{Broker, count_at, eventually, text_at, ws};

const JSON: &str = "application/json";
const RETRY: std::ops::RangeInclusive<u64> = 700..=4700;

/// A broker that gives `grace` seconds, and tells clients to come back within [`RETRY`].
fn broker(grace: &str) -> Broker {
    Broker::with(&[
        ("drain.grace_seconds", grace),
        ("drain.retry_min_ms", "700"),
        ("drain.retry_max_ms", "4700"),
        ("edge.refusal_delay_ms", "0"),
    ])
    .breathing()
}

/// Opens a stream that does not read and has far more coming than any socket holds: it cannot be let go.
fn stuck(broker: &Broker) -> Body {
    let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(3 << 20));
    for _ in 0..8 {
        assert_eq!(broker.post("/glints", JSON, &large).status(), 200);
    }
    let (head, body) = broker.open(
        "GET",
        "/stream?from=earliest",
        &[("Accept", "application/x-ndjson")],
        b"",
    );
    assert_eq!(head.status, 200);
    body
}

fn wait_until_draining(broker: &Broker) {
    eventually("/readyz says that it drains", || {
        let answer = broker.get("/readyz");
        let is_draining = answer.status() == 503;
        if is_draining {
            assert_eq!(text_at(&answer.json(), &["reason"]), "draining");
        }
        is_draining
    });
}

#[test]
fn every_stream_ends_with_a_farewell_and_a_time_of_its_own() {
    for signal in ["TERM", "INT"] {
        let mut broker = broker("10");
        assert_eq!(broker.get("/readyz").status(), 200);
        let queries = [
            "",
            "?dialect=bilingual",
            "?dialect=envelope",
            "?dialect=plain",
            "?framing=gs1",
            "?module=nobody",
        ];
        let mut events: Vec<_> = queries
            .iter()
            .cycle()
            .take(12)
            .map(|query| broker.listen(query))
            .collect();
        let mut lines = [broker.lines(""), broker.lines("?from=earliest")];
        let mut sockets =
            [ws::GS1_TEXT, ws::GS1_BINARY, ws::JSON].map(|protocol| broker.socket("", &[protocol]));
        broker.signal(signal);
        wait_until_draining(&broker);
        let mut times = BTreeSet::new();
        for events in &mut events {
            let last = events.rest().pop().expect("a farewell");
            assert!(
                last.data.contains("farewell") || last.name == "farewell",
                "{last:?}"
            );
            assert!(last.data.contains("draining"), "{last:?}");
            assert!(events.is_complete(), "the last chunk came");
            times.insert(events.retry_ms.expect("when to come back"));
        }
        for lines in &mut lines {
            let last = lines.rest().pop().expect("a farewell");
            assert_eq!(
                (text_at(&last, &["event"]), text_at(&last, &["reason"])),
                ("farewell", "draining")
            );
            times.insert(count_at(&last, &["retry_ms"]));
        }
        for socket in &mut sockets {
            let close = socket.close();
            assert_eq!(
                (u16::from(close.code), close.reason.as_str()),
                (1012, "draining")
            );
        }
        assert!(times.iter().all(|time| RETRY.contains(time)), "{times:?}");
        assert!(
            times.len() > 7,
            "they do not come back all at once: {times:?}"
        );
        assert_eq!(broker.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn what_was_accepted_is_sent_before_the_farewell() {
    let mut broker = broker("10");
    let mut lines = broker.lines("?topics=glints");
    lines.next();
    let last = broker.publish(r#"{"id":"last"}"#);
    broker.signal("TERM");
    let heard = lines.rest();
    assert_eq!(text_at(&heard[0], &["cursor"]), last);
    assert_eq!(
        (heard.len(), text_at(&heard[1], &["event"])),
        (2, "farewell")
    );
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn nothing_and_nobody_is_taken_any_more() {
    let mut broker = broker("20");
    // Open for as long as this test needs the broker to be on its way out.
    let stuck = stuck(&broker);
    let mut socket = broker.socket("?module=nobody", &[ws::JSON]);
    socket.next();
    broker.signal("TERM");
    wait_until_draining(&broker);
    eventually("publishers are sent away", || {
        broker.post("/glints", JSON, "{}").status() != 200
    });
    let answer = broker.post("/glints", JSON, "{}");
    assert_eq!(
        (answer.status(), text_at(&answer.json(), &["code"])),
        (503, "draining")
    );
    let seconds: u64 = answer
        .header("retry-after")
        .expect("when to come back")
        .parse()
        .unwrap();
    assert!(seconds > 0);
    let answer = broker.post("/stream/glint", JSON, r#"{"a":1}"#);
    assert_eq!(answer.status(), 503);
    assert!(
        answer.header("retry-after").is_some() && !text_at(&answer.json(), &["error"]).is_empty()
    );
    assert_eq!(broker.get("/healthz").status(), 200, "the process is well");
    assert_eq!(
        broker
            .get("/stream/status")
            .json()
            .get("stream_running")
            .unwrap()
            .to_ascii(),
        "false"
    );
    assert_eq!(u16::from(socket.close().code), 1012);
    eventually("newcomers are sent away", || {
        let (head, _) = broker.open("GET", "/stream", &[("Accept", "application/x-ndjson")], b"");
        head.status == 503
    });
    let mut newcomer = broker.events("");
    newcomer.next();
    let farewell = newcomer.next();
    assert_eq!(
        (
            farewell.name.as_str(),
            text_at(&farewell.json(), &["reason"])
        ),
        ("farewell", "draining")
    );
    assert!(newcomer.rest().is_empty() && newcomer.is_complete());
    drop(stuck);
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn a_client_that_does_not_read_does_not_hold_it_for_longer_than_the_grace() {
    let mut broker = broker("1");
    let _stuck = stuck(&broker);
    broker.signal("TERM");
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn the_dashboard_stream_ends_within_the_shortest_grace() {
    let mut broker = broker("2");
    let (_, mut body) = broker.open("GET", "/api/dashboard/stream", &[], b"");
    body.read_exact(&mut [0; 6]).unwrap();
    broker.signal("TERM");
    support::drained(&mut body);
    assert!(body.is_complete(), "it was cut off");
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn told_twice_it_stops_at_once() {
    // The grace is far above what this test waits.
    let mut broker = broker("3600");
    let _stuck = stuck(&broker);
    broker.signal("TERM");
    wait_until_draining(&broker);
    assert!(!broker.has_ended());
    broker.signal("INT");
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn a_signal_right_after_the_first_line_is_heard() {
    // The shell kills without starting a program, which would give the broker time to get ready.
    let script = r#"
        mkfifo "$1"
        "$0" serve --listen 127.0.0.1:0 > "$1" 2> "$1.log" &
        read -r line < "$1"
        kill -s TERM $!
        wait $!
        code=$?
        rm -f "$1" "$1.log"
        exit $code
    "#;
    for number in 0..20 {
        let place = format!(
            "{}/fifo-{}-{number}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let ended = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_glintcast"), &place])
            .env("GLINTCAST__DRAIN__GRACE_SECONDS", "0")
            .status();
        assert_eq!(ended.unwrap().code(), Some(0));
    }
}
