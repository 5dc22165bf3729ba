//! What the broker asks of the system for its sockets, and what a client gets that does not do its part.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::io::{Read as _, Write as _};

use support::ws::JSON;
use support::{Broker, count_at, eventually};

fn metric(broker: &Broker, name: &str) -> u64 {
    let metrics = broker.get("/metrics");
    let text = metrics.text();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("a metric of this name").parse().unwrap()
}

fn streams(broker: &Broker) -> u64 {
    let status = broker.get("/stream/status").json();
    count_at(&status, &["active_connections"])
}

#[test]
fn a_client_that_takes_nothing_for_too_long_is_let_go() {
    let broker = Broker::with(&[("edge.stall_seconds", "1"), ("edge.handoff", "auto")]);
    let _stuck = broker.listen("?topics=glints");
    let mut well = broker.lines("?topics=glints");
    well.next();
    let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(1 << 20));
    // More than two sockets hold.
    for _ in 0..16 {
        broker.publish(&large);
        well.next_named("glint_emission");
    }
    eventually("the stuck one is gone", || streams(&broker) == 1);
    broker.publish(r#"{"n": 1}"#);
    well.next_named("glint_emission");
}

#[test]
fn a_client_that_talks_on_a_stream_on_which_it_has_nothing_to_say_is_let_go() {
    let broker = Broker::with(&[("edge.handoff", "auto")]);
    let mut client = broker.connect();
    client
        .write_all(b"GET /stream?topics=glints HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    client.read_exact(&mut [0; 100]).unwrap();
    // Another request, as of a client that is in a hurry, does no harm.
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut other = broker.lines("?topics=glints");
    other.next();
    broker.publish(r#"{"n": 1}"#);
    other.next_named("glint_emission");
    assert_eq!(streams(&broker), 2);
    while client.write_all(&[b'x'; 4096]).is_ok() {
        if streams(&broker) == 1 {
            break;
        }
    }
    eventually("it is gone", || streams(&broker) == 1);
}

/// Has clients of every kind come, hear something, and go: a third after a goodbye, the rest without a word.
fn wave(broker: &Broker) {
    let mut events: Vec<_> = (0..60).map(|_| broker.listen("?topics=glints")).collect();
    let mut lines: Vec<_> = (0..60)
        .map(|nth| broker.lines(&format!("?topics=glints&module=m{}.*", nth % 7)))
        .collect();
    let mut sockets: Vec<_> = (0..60)
        .map(|_| broker.socket("?topics=glints", &[JSON]))
        .collect();
    broker.publish(r#"{"module": "m3.a"}"#);
    for events in &mut events {
        events.next_named("glint_emission");
    }
    lines[3].next_named("glint_emission");
    for socket in &mut sockets {
        socket.next_named("glint_emission");
        socket.inner.close(None).unwrap();
        socket.close();
    }
    drop((events, lines, sockets));
    eventually("all of them are gone", || {
        streams(broker) == 0 && metric(broker, "glintcast_edge_sockets") == 0
    });
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let broker = Broker::with(&[("tail.events", "10")]);
    for _ in 0..3 {
        wave(&broker);
    }
    let files = metric(&broker, "process_open_fds");
    let bytes = metric(&broker, "process_resident_memory_bytes");
    for _ in 0..12 {
        wave(&broker);
    }
    eventually("their sockets are closed", || {
        metric(&broker, "process_open_fds") <= files
    });
    eventually("so are their lanes", || {
        metric(&broker, "glintcast_lane_views") == 0
    });
    // Two thousand streams: half a kilobyte that each keeps would be seen.
    let more = metric(&broker, "process_resident_memory_bytes").saturating_sub(bytes);
    assert!(more < 1 << 20, "{more} bytes more than before");
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_the_system_lets_it() {
    let broker = Broker::after("ulimit -S -n 100", &[("edge.streams_max", "500")]);
    let listeners: Vec<_> = (0..300).map(|_| broker.listen("?topics=glints")).collect();
    assert_eq!(streams(&broker), 300);
    assert!(metric(&broker, "process_max_fds") >= 500);
    assert!(!broker.log().contains("fewer files"), "it was enough");
    drop(listeners);
}

#[test]
fn where_the_limit_of_open_files_is_too_low_the_log_says_so_and_what_to_do() {
    let broker = Broker::after("ulimit -n 2000", &[("edge.streams_max", "5000")]);
    eventually("a warning", || broker.log().contains("fewer files"));
    assert!(broker.log().contains("lower it to 976"), "{}", broker.log());
}
