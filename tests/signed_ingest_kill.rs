//! Signed traces that were acknowledged: there after a kill at any moment, and known as taken for longer than that.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::http::Answer;
use support::traces::{Dir, EVENTS, batch, enrol, kept, key, outcomes, send, stream, verified};
use support::{Broker, eventually, text_at};

/// Kills, when `GLINTCAST_KILL_ROUNDS` says nothing else.
const ROUNDS: usize = 20;

/// Sends traces until the broker is gone; returns the bodies that were acknowledged, with their cursors.
fn send_on(broker: &Broker, name: &str, acked: &AtomicUsize) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for number in 0.. {
        let id = format!("{name}-{number}");
        let body = batch(&key(1), "agent", &id, "generic", r#"{"attempt_index":0}"#);
        let Some(answer) = try_send(broker, &body) else {
            break;
        };
        let [(outcome, cursor)] = &outcomes(&answer)[..] else {
            panic!("{}", answer.text());
        };
        assert_eq!(outcome, "stored", "{}", answer.text());
        kept.push((body, cursor.clone()));
        acked.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

/// Sends a batch; `None` when no whole answer comes back.
fn try_send(broker: &Broker, body: &str) -> Option<Answer> {
    let mut stream = std::net::TcpStream::connect(broker.address()).ok()?;
    stream.set_read_timeout(Some(support::PATIENCE)).ok()?;
    let length = body.len();
    let head = format!(
        "POST {EVENTS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    if length.parse() != Ok(body.len()) {
        return None;
    }
    let head = support::http::Head {
        status: head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?,
        headers: Vec::new(),
    };
    let body = body.as_bytes().to_vec();
    Some(Answer { head, body })
}

#[test]
fn whatever_was_acknowledged_survives_every_kill_and_is_known_as_taken() {
    let rounds = std::env::var("GLINTCAST_KILL_ROUNDS");
    let rounds: usize = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let dir = Dir::new("trace-kills");
    let mut acked: Vec<(String, String)> = Vec::new();
    for round in 0..=rounds {
        let mut broker = dir.broker(&[]);
        if round == 0 {
            let public = key(1).public().to_base64();
            assert_eq!(enrol(&broker, "agent", &public, &[]).status(), 201);
        }
        // What was acknowledged in the life before last, and at its very end, is a duplicate, and where it was.
        for (body, cursor) in acked.iter().rev().take(8).chain(acked.iter().step_by(40)) {
            let same = ("duplicate".to_owned(), cursor.clone());
            assert_eq!(outcomes(&send(&broker, body)), [same]);
        }
        if round == rounds {
            break;
        }
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            let senders: Vec<_> = (0..3)
                .map(|nth| {
                    let (broker, count) = (&broker, &count);
                    scope.spawn(move || send_on(broker, &format!("r{round}-{nth}"), count))
                })
                .collect();
            eventually("traces are acknowledged", || {
                count.load(Ordering::Relaxed) >= 10 + 3 * round
            });
            broker.signal("KILL");
            for sender in senders {
                acked.extend(sender.join().unwrap());
            }
        });
        broker.wait();
    }
    let report = verified(&dir);
    let line = report
        .lines()
        .find_map(|line| line.strip_prefix("by agents  "));
    let on_disk: usize = line.unwrap().parse().unwrap();
    assert!(on_disk >= acked.len(), "{on_disk} of {}", acked.len());
    let broker = dir.broker(&[]);
    let seen = stream(&broker, on_disk);
    let contents: HashSet<&str> = seen.iter().map(|event| text_at(event, &["id"])).collect();
    assert_eq!(contents.len(), on_disk, "none twice");
    let places: HashSet<&str> = seen
        .iter()
        .map(|event| text_at(event, &["cursor"]))
        .collect();
    assert!(
        acked
            .iter()
            .all(|(_, cursor)| places.contains(cursor.as_str()))
    );
}

#[test]
fn a_trace_is_known_as_taken_when_its_record_is_long_gone() {
    let dir = Dir::new("trace-retention");
    let small = [
        ("data.segment_bytes", "65536"),
        ("data.retain_events", "200"),
    ];
    let mut broker = dir.broker(&small);
    let public = key(1).public().to_base64();
    assert_eq!(enrol(&broker, "agent", &public, &[]).status(), 201);
    let first = batch(
        &key(1),
        "agent",
        "first",
        "generic",
        r#"{"attempt_index":0}"#,
    );
    let (outcome, cursor) = outcomes(&send(&broker, &first)).remove(0);
    assert_eq!(outcome, "stored");
    let filler = format!(
        "[{}]",
        vec![format!("{{\"x\":\"{}\"}}", "y".repeat(900)); 100].join(",")
    );
    let floor = || {
        let metrics = broker.get("/metrics");
        let line = metrics
            .text()
            .lines()
            .find_map(|line| line.strip_prefix("glintcast_ledger_floor "));
        line.map_or(0.0, |floor| floor.parse().unwrap())
    };
    let place: f64 = cursor.split_once('-').unwrap().1.parse().unwrap();
    eventually("the record is gone", || {
        assert_eq!(
            broker.post("/glints", "application/json", &filler).status(),
            200
        );
        floor() > place
    });
    eventually("the memory is saved", || {
        broker
            .get("/metrics")
            .text()
            .contains("\nglintcast_accord_unsaved 0\n")
    });
    broker.signal("KILL");
    broker.wait();
    let broker = dir.broker(&small);
    assert_eq!(
        outcomes(&send(&broker, &first)),
        [("duplicate".to_owned(), cursor.clone())]
    );
    // Another content for the same claim is told apart, and not kept.
    let other = batch(
        &key(1),
        "agent",
        "first",
        "generic",
        r#"{"attempt_index":0,"x":1}"#,
    );
    assert_eq!(
        outcomes(&send(&broker, &other)),
        [("conflict".to_owned(), cursor)]
    );
    assert_eq!(kept(&broker), 0);
}
