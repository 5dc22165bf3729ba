//! Whoever comes back with its last id gets what it missed: no hole, nothing twice, while glints keep flowing.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::gs1::text_frame;
use support::sse::Event;
use support::{Broker, count_at, text_at, ws};

/// Glints that a client must hear before it may stop.
const ENOUGH: usize = 400;

/// Publishes numbered glints until `work` is done.
fn while_flowing<T>(broker: &Broker, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flow = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                let glints: Vec<String> = (number..number + 7)
                    .map(|n| format!("{{\"n\":{n}}}"))
                    .collect();
                let answer = broker.post("/glints", "application/x-ndjson", glints.join("\n"));
                assert_eq!(answer.status(), 200);
                number += 7;
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        flow.join().expect("the flow");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Checks that the numbers heard over all connections are a run without holes or repeats.
fn check(heard: &[u64]) {
    let expected: Vec<u64> = (heard[0]..heard[0] + heard.len() as u64).collect();
    assert_eq!(heard, expected);
}

/// Listens in turns of growing length, coming back each time with the last id; `number` reads what an event says.
fn in_turns(broker: &Broker, query: &str, number: impl Fn(&Event) -> Option<u64>) -> Vec<u64> {
    let (mut heard, mut last_id) = (Vec::new(), None::<String>);
    for turn in 1.. {
        let headers: Vec<(&str, &str)> = last_id
            .iter()
            .map(|id| ("Last-Event-ID", id.as_str()))
            .collect();
        let mut events = broker.events_with(query, &headers);
        let mut left = turn * 3;
        while left > 0 {
            let event = events.next();
            assert_ne!(event.name, "gap", "{}", event.data);
            if let Some(number) = number(&event) {
                heard.push(number);
                left -= 1;
            }
        }
        last_id = Some(events.last_id.clone());
        if heard.len() >= ENOUGH {
            break;
        }
    }
    heard
}

#[test]
fn a_named_stream_goes_on_where_it_broke_off() {
    let broker = Broker::start();
    let heard = while_flowing(&broker, || {
        in_turns(&broker, "", |event| {
            (event.name == "glint_emission").then(|| count_at(&event.json(), &["n"]))
        })
    });
    check(&heard);
}

#[test]
fn a_bilingual_stream_goes_on_for_both_of_its_readers() {
    let broker = Broker::start();
    let (named, shadows) = while_flowing(&broker, || {
        let named = in_turns(&broker, "?dialect=bilingual", |event| {
            (event.name == "glint_emission").then(|| count_at(&event.json(), &["n"]))
        });
        let shadows = in_turns(&broker, "?dialect=bilingual", |event| {
            let is_shadow =
                event.name == "message" && event.data.starts_with("{\"event\": \"glint_emission\"");
            is_shadow.then(|| count_at(&event.json(), &["data", "glint", "n"]))
        });
        (named, shadows)
    });
    check(&named);
    check(&shadows);
}

#[test]
fn a_gs1_stream_goes_on_where_it_broke_off_with_the_same_numbers() {
    let broker = Broker::start();
    let (heard, seqs) = while_flowing(&broker, || {
        let seqs = std::cell::RefCell::new(Vec::new());
        let heard = in_turns(&broker, "?framing=gs1&topics=glints", |event| {
            let frame = text_frame(event.data.as_bytes());
            if frame.sid == 0 {
                return None;
            }
            seqs.borrow_mut().push((frame.sid, frame.seq));
            Some(count_at(&frame.value(), &["data", "n"]))
        });
        (heard, seqs.into_inner())
    });
    check(&heard);
    let (sid, first) = seqs[0];
    let expected: Vec<(u64, u64)> = (0..seqs.len() as u64)
        .map(|nth| (sid, first + nth))
        .collect();
    assert_eq!(
        seqs, expected,
        "a strict reader keeps its cursor over connections"
    );
}

#[test]
fn lines_go_on_where_they_broke_off() {
    let broker = Broker::start();
    let heard = while_flowing(&broker, || {
        let (mut heard, mut cursor) = (Vec::new(), String::new());
        while heard.len() < ENOUGH {
            let mut lines = broker.lines_with("", &[("Last-Event-ID", &cursor)]);
            let hello = lines.next();
            assert_eq!(hello.get("recovered").unwrap().to_ascii(), "true");
            for _ in 0..25 {
                let line = lines.next_named("glint_emission");
                heard.push(count_at(&line, &["data", "n"]));
                cursor = text_at(&line, &["cursor"]).to_owned();
            }
        }
        heard
    });
    check(&heard);
}

#[test]
fn a_socket_goes_on_where_it_broke_off() {
    let broker = Broker::start();
    let heard = while_flowing(&broker, || {
        let (mut heard, mut cursor) = (Vec::new(), String::new());
        while heard.len() < ENOUGH {
            let mut socket = broker.socket(&format!("?last_event_id={cursor}"), &[ws::JSON]);
            for _ in 0..25 {
                let event = socket.next_named("glint_emission");
                heard.push(count_at(&event, &["data", "n"]));
                cursor = text_at(&event, &["cursor"]).to_owned();
            }
        }
        heard
    });
    check(&heard);
}

#[test]
fn the_greeting_alone_is_a_place_to_come_back_to() {
    let broker = Broker::start();
    let place = broker.listen("?topics=glints").last_id;
    assert!(!place.is_empty());
    broker.publish(r#"{"id":"missed"}"#);
    let mut again = broker.events_with("?topics=glints", &[("Last-Event-ID", &place)]);
    again.next();
    assert_eq!(again.next().data, r#"{"id": "missed"}"#);
}

#[test]
fn a_client_that_finds_no_room_keeps_its_place_until_there_is() {
    let settings = [
        ("edge.streams_max", "1"),
        ("edge.refusal_delay_ms", "0"),
        ("breath.tick_ms", "60000"),
    ];
    let broker = Broker::with(&settings).breathing();
    let known = broker.publish(r#"{"n":0}"#);
    for (query, id, first) in [("", Some(known.as_str()), 1), ("&from=earliest", None, 0)] {
        for dialect in ["named", "bilingual", "envelope", "plain"] {
            let query = format!("?topics=glints&dialect={dialect}{query}");
            let occupant = broker.listen("?module=nobody");
            if broker
                .get("/api/glint/stats")
                .json()
                .to_ascii()
                .contains("\"total\": 1,")
            {
                broker.publish(r#"{"n":1}"#);
            }
            let header: Vec<_> = id.iter().map(|id| ("Last-Event-ID", *id)).collect();
            let mut refused = broker.events_with(&query, &header);
            assert!(
                refused
                    .rest()
                    .pop()
                    .expect("a farewell")
                    .data
                    .contains("streams_full")
            );
            drop(occupant);
            support::eventually("there is room", || {
                count_at(
                    &broker.get("/stream/status").json(),
                    &["active_connections"],
                ) == 0
            });
            let header = [("Last-Event-ID", refused.last_id.as_str())];
            let mut again = broker.events_with(&format!("{query}&limit={}", 2 - first), &header);
            let heard = again.rest().into_iter().filter(|event| {
                event.data.contains("\"n\": ") && !event.raw.starts_with(b"data:{")
            });
            let heard: Vec<String> = heard.map(|event| event.data).collect();
            assert_eq!(heard.len() as u64, 2 - first, "{query}: {heard:?}");
            assert!(
                heard[0].contains(&format!("\"n\": {first}")),
                "{query}: {heard:?}"
            );
            support::eventually("it has left", || {
                count_at(
                    &broker.get("/stream/status").json(),
                    &["active_connections"],
                ) == 0
            });
        }
    }
}

#[test]
fn a_filtered_stream_gets_what_it_missed_and_nothing_else() {
    let broker = Broker::start();
    let mut events = broker.listen("?module=mine");
    broker.publish(r#"{"n":0,"module":"mine"}"#);
    let first = events.next();
    drop(events);
    for number in 1..50 {
        let module = if number % 7 == 0 { "mine" } else { "yours" };
        broker.publish(&format!(r#"{{"n":{number},"module":"{module}"}}"#));
    }
    let mut again = broker.events_with("?module=mine", &[("Last-Event-ID", &first.last_id)]);
    again.next();
    for number in (7..50).step_by(7) {
        assert_eq!(count_at(&again.next().json(), &["n"]), number);
    }
}

#[test]
fn history_that_is_gone_is_said_and_the_rest_comes() {
    let broker = Broker::with(&[("tail.events", "10"), ("breath.tick_ms", "60000")]).breathing();
    let first = broker.publish(r#"{"n":0}"#);
    for number in 1..=30 {
        broker.publish(&format!(r#"{{"n":{number}}}"#));
    }
    let header = [("Last-Event-ID", first.as_str())];
    let mut named = broker.events_with("?topics=glints", &header);
    assert_eq!(
        named.next().json().get("recovered").unwrap().to_ascii(),
        "false"
    );
    let gap = named.next();
    assert_eq!(gap.name, "gap");
    let gap = gap.json();
    assert_eq!(
        (text_at(&gap, &["from"]), text_at(&gap, &["reason"])),
        (first.as_str(), "evicted")
    );
    let to = text_at(&gap, &["to"]);
    let mut lines = broker.lines_with("?topics=glints", &header);
    assert_eq!(lines.next().get("recovered").unwrap().to_ascii(), "false");
    let same = lines.next();
    assert_eq!(
        (text_at(&same, &["event"]), text_at(&same, &["to"])),
        ("gap", to)
    );
    for number in 21..=30 {
        assert_eq!(count_at(&named.next().json(), &["n"]), number);
        let line = lines.next();
        assert_eq!(count_at(&line, &["data", "n"]), number);
        if number == 21 {
            let seq = |cursor: &str| cursor.split_once('-').unwrap().1.parse::<u64>().unwrap();
            assert_eq!(
                seq(text_at(&line, &["cursor"])),
                seq(to) + 1,
                "the gap ends where it says"
            );
        }
    }
    let mut framed = broker.events_with("?topics=glints&framing=gs1", &header);
    let hello = text_frame(framed.next().data.as_bytes());
    assert_eq!(hello.value().get("recovered").unwrap().to_ascii(), "false");
    let error = text_frame(framed.next().data.as_bytes());
    assert!(
        error.payload.starts_with("Error{code=SEQ_GAP "),
        "{error:?}"
    );
}

#[test]
fn a_place_at_the_edge_of_history_is_no_gap() {
    let broker = Broker::with(&[("tail.events", "10"), ("breath.tick_ms", "60000")]).breathing();
    let cursors: Vec<String> = (0..30)
        .map(|number| broker.publish(&format!(r#"{{"n":{number}}}"#)))
        .collect();
    let mut lines = broker.lines_with("?topics=glints", &[("Last-Event-ID", &cursors[19])]);
    assert_eq!(lines.next().get("recovered").unwrap().to_ascii(), "true");
    assert_eq!(count_at(&lines.next(), &["data", "n"]), 20);
    let mut lines = broker.lines_with("?topics=glints", &[("Last-Event-ID", &cursors[18])]);
    assert_eq!(lines.next().get("recovered").unwrap().to_ascii(), "false");
}
