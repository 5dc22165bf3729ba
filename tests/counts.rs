//! Who listens is counted truthfully, and one listener too many is told when to come back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use support::{Broker, count_at, eventually, text_at, ws};

fn active(broker: &Broker) -> u64 {
    count_at(
        &broker.get("/stream/status").json(),
        &["active_connections"],
    )
}

fn listeners(broker: &Broker) -> u64 {
    let answer = broker.post("/stream/glint", "application/json", r#"{"a":1}"#);
    count_at(&answer.json(), &["listeners"])
}

#[test]
fn a_listener_counts_from_its_greeting_to_its_end_whatever_it_speaks() {
    let broker = Broker::start();
    assert_eq!((active(&broker), listeners(&broker)), (0, 0));
    let events = broker.listen("");
    assert_eq!((active(&broker), listeners(&broker)), (1, 1));
    let mut lines = broker.lines("");
    lines.next();
    let mut sockets =
        [ws::GS1_TEXT, ws::GS1_BINARY, ws::JSON].map(|protocol| broker.socket("", &[protocol]));
    for socket in &mut sockets {
        socket.next();
    }
    assert_eq!((active(&broker), listeners(&broker)), (5, 5));
    let metrics = broker.get("/metrics");
    for form in ["sse_named", "ndjson", "ws_gs1t", "ws_gs1b", "ws_plain"] {
        let series = format!("glintcast_edge_streams{{form=\"{form}\"}} 1\n");
        assert!(metrics.text().contains(&series), "{series}");
    }
    // Gone without a word of HTTP.
    drop(events);
    eventually("the first is gone", || active(&broker) == 4);
    drop(lines);
    eventually("the second is gone", || active(&broker) == 3);
    drop(sockets);
    eventually("all are gone", || active(&broker) == 0);
    assert_eq!(listeners(&broker), 0);
}

#[test]
fn listeners_that_come_and_go_in_crowds_leave_no_trace_in_the_count() {
    let broker = Broker::start();
    for _ in 0..3 {
        let crowd: Vec<_> = (0..100).map(|_| broker.listen("?topics=glints")).collect();
        assert_eq!(active(&broker), 100);
        broker.publish("{}");
        drop(crowd);
        eventually("the crowd is gone", || active(&broker) == 0);
    }
    eventually("nobody holds a window any more", || {
        let metrics = broker.get("/metrics");
        metrics.text().contains("glintcast_lane_views 0\n")
            && metrics.text().contains("glintcast_lane_window_bytes 0\n")
    });
}

#[test]
fn streams_that_end_by_themselves_are_no_longer_counted() {
    let broker = Broker::start();
    for _ in 0..3 {
        broker.publish("{}");
    }
    let mut lines = broker.lines("?from=earliest&topics=glints&limit=2");
    assert_eq!(lines.rest().len(), 4);
    eventually("it is gone", || active(&broker) == 0);
}

#[test]
fn one_listener_too_many_is_told_when_to_come_back() {
    let broker = Broker::with(&[("edge.streams_max", "2"), ("edge.refusal_delay_ms", "50")]);
    let first = broker.listen("");
    let _second = broker.listen("");
    // An event source that is answered with an error gives up for good.
    for query in [
        "",
        "?dialect=bilingual",
        "?dialect=envelope",
        "?dialect=plain",
    ] {
        let mut third = broker.events(query);
        let greeting = third.next();
        assert!(greeting.name == "message" || greeting.name == "hello");
        let farewell = third.next();
        let said = farewell.json();
        let said = if query.contains("envelope") {
            said.get("data").unwrap().clone()
        } else {
            said
        };
        assert_eq!(text_at(&said, &["reason"]), "streams_full", "{query}");
        assert!(third.rest().is_empty() && third.is_complete());
        assert!(third.retry_ms.unwrap() >= 1000, "not at once: {query}");
    }
    let lines = broker.send("GET", "/stream", &[("Accept", "application/x-ndjson")], b"");
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (head, mut body) = broker.open("GET", "/stream", &upgrade, b"");
    let socket = support::http::Answer {
        head,
        body: {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut body, &mut bytes).unwrap();
            bytes
        },
    };
    for answer in [lines, socket] {
        assert!(answer.status() >= 400);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let problem = answer.json();
        assert_eq!(text_at(&problem, &["code"]), "streams_full");
        assert_eq!(count_at(&problem, &["status"]), u64::from(answer.status()));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(count_at(&problem, &["retry_after_seconds"]), seconds);
    }
    assert_eq!(active(&broker), 2, "who was refused was never counted");
    assert_eq!(
        listeners(&broker),
        2,
        "and publishers are served all the same"
    );
    drop(first);
    eventually("there is room again", || active(&broker) == 1);
    let mut again = broker.listen("?topics=glints");
    broker.publish("{}");
    assert_eq!(again.next().name, "glint_emission");
}
