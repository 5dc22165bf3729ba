//! One address, and every subscriber gets what it asked for or hears by name what was wrong with the question.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use support::ndjson::Lines;
use support::{Broker, count_at, parse, text_at};

/// A broker whose breath is slow enough to stay out of the way.
fn quiet() -> Broker {
    Broker::with(&[("breath.tick_ms", "60000")]).breathing()
}

static NTH: AtomicU64 = AtomicU64::new(0);

/// Publishes `count` glints with ids from 1 on and returns their cursors.
fn publish(broker: &Broker, count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| {
            // No two are the same glint.
            let nth = NTH.fetch_add(1, Ordering::Relaxed);
            broker.publish(&format!(r#"{{"id":"{number}","nth":{nth}}}"#))
        })
        .collect()
}

/// The ids of the next `count` glints.
fn ids(lines: &mut Lines, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| text_at(&lines.next_named("glint_emission"), &["id"]).to_owned())
        .collect()
}

/// The ids of a stream that ends by itself.
fn all_ids(lines: &mut Lines) -> Vec<String> {
    let all = lines.rest();
    assert_eq!(text_at(all.last().unwrap(), &["reason"]), "timeout");
    let glints = all
        .iter()
        .filter(|line| text_at(line, &["event"]) == "glint_emission");
    glints
        .map(|line| text_at(line, &["id"]).to_owned())
        .collect()
}

#[test]
fn modules_are_chosen_by_glob_and_phases_whatever_their_case() {
    let broker = quiet();
    for (id, module, phase) in [
        ("a", "spiral.linter", "hold"),
        ("b", "spiral.echo", "Hold.recognition"),
        ("c", "Spiral.linter", "HOLD"),
        ("d", "other", "inhale"),
    ] {
        broker.publish(&format!(
            r#"{{"id":"{id}","module":"{module}","phase":"{phase}"}}"#
        ));
    }
    broker.publish(r#"{"id":"e"}"#);
    let cases = [
        ("", &["a", "b", "c", "d", "e"][..]),
        ("&module=spiral.*", &["a", "b"]),
        ("&module=spiral.linter,other", &["a", "d"]),
        ("&module=%3Fpiral.linter", &["a", "c"]),
        ("&phase=hold", &["a", "c"]),
        ("&phase=HOLD*", &["a", "b", "c"]),
        ("&phase=hold*&module=spiral.e*", &["b"]),
        ("&event=phase_update", &[]),
        ("&event=glint_emission,phase_update&phase=inhale", &["d"]),
    ];
    // All at once: each ends a moment after its time.
    let open =
        |query: &str| broker.lines(&format!("?from=earliest&topics=glints&timeout=0.5{query}"));
    let mut streams = cases.map(|(query, expected)| (query, expected, open(query)));
    for (query, expected, lines) in &mut streams {
        assert_eq!(all_ids(lines), *expected, "{query}");
    }
}

#[test]
fn topics_are_kept_apart() {
    let broker = Broker::with(&[("breath.tick_ms", "10")]).breathing();
    let mut glints = broker.lines("?topics=glints");
    let mut state = broker.lines("?topics=state");
    let mut beats = broker.lines("?topics=heartbeat");
    for stream in [&mut glints, &mut state, &mut beats] {
        stream.next();
    }
    broker.publish("{}");
    broker.get("/stream/test");
    broker.publish("{}");
    for _ in 0..2 {
        assert_eq!(text_at(&glints.next(), &["topic"]), "glints");
        assert_eq!(text_at(&beats.next(), &["topic"]), "heartbeat");
    }
    let test = state.next_named("test_event");
    assert_eq!(text_at(&test, &["topic"]), "state");
    assert_eq!(
        text_at(&state.next(), &["topic"]),
        "heartbeat",
        "the state once a second is part of the state"
    );
}

#[test]
fn a_stream_begins_where_it_is_told_to() {
    let broker = quiet();
    let cursors = publish(&broker, 5);
    for (query, expected) in [
        ("?from=earliest", &["1", "2", "3", "4", "5", "6"][..]),
        ("?from=-2", &["4", "5", "6"]),
        ("?from=-99", &["1", "2", "3", "4", "5", "6"]),
        ("?from=-0", &["6"]),
        ("?from=now", &["6"]),
        ("", &["6"]),
        (&format!("?from={}", cursors[2]), &["4", "5", "6"]),
        (&format!("?from={}", cursors[4]), &["6"]),
    ] {
        // The end of this stream is known: everything up to the sixth.
        let mut lines = broker.lines(&format!(
            "{query}{}topics=glints",
            if query.is_empty() { "?" } else { "&" }
        ));
        let hello = lines.next();
        assert_eq!(text_at(&hello, &["event"]), "hello");
        assert_eq!(
            hello.get("recovered").unwrap().to_ascii(),
            "true",
            "{query}"
        );
        if expected.len() == 1 {
            assert_eq!(text_at(&hello, &["cursor"]), cursors[4], "{query}");
        }
        let old = ids(&mut lines, expected.len() - 1);
        assert_eq!(old, expected[..expected.len() - 1], "{query}");
    }
    let mut now = broker.lines("?topics=glints&from=now");
    let mut last = broker.lines("?topics=glints&from=-1&module=nobody");
    now.next();
    last.next();
    publish(&broker, 1);
    broker.publish(r#"{"id":"mine","module":"nobody"}"#);
    assert_eq!(ids(&mut now, 2), ["1", "mine"]);
    assert_eq!(ids(&mut last, 1), ["mine"], "the last ones that match");
}

#[test]
fn a_client_resumes_by_header_or_by_any_spelling_in_the_address_and_the_header_wins() {
    let broker = quiet();
    let cursors = publish(&broker, 3);
    for parameter in [
        "last_event_id",
        "lastEventId",
        "lastEventID",
        "Last-Event-ID",
        "last-event-id",
    ] {
        let mut lines = broker.lines(&format!("?topics=glints&{parameter}={}", cursors[1]));
        lines.next();
        assert_eq!(ids(&mut lines, 1), ["3"], "{parameter}");
    }
    let query = format!("?topics=glints&from=earliest&last_event_id={}", cursors[1]);
    let mut lines = broker.lines_with(&query, &[("Last-Event-ID", &cursors[0])]);
    lines.next();
    assert_eq!(ids(&mut lines, 2), ["2", "3"], "the header wins over both");
    let mut lines = broker.lines(&query);
    lines.next();
    assert_eq!(ids(&mut lines, 1), ["3"], "an id wins over a place");
    let mut lines = broker.lines_with("?topics=glints&from=-1", &[("Last-Event-ID", "")]);
    lines.next();
    assert_eq!(ids(&mut lines, 1), ["3"], "an empty id is none");
}

#[test]
fn an_id_of_somebody_else_is_a_gap_and_then_everything_that_is_left() {
    let broker = quiet();
    let cursors = publish(&broker, 2);
    let head = cursors[1].split_once('-').unwrap();
    let ahead = format!("{}-{}", head.0, head.1.parse::<u64>().unwrap() + 50);
    for (id, reason, rest) in [
        ("urn:uuid:somebody", "unknown_epoch", &["1", "2"][..]),
        ("7-1", "unknown_epoch", &["1", "2"]),
        (&ahead, "unknown_cursor", &[]),
    ] {
        let mut lines = broker.lines_with("?topics=glints", &[("Last-Event-ID", id)]);
        assert_eq!(
            lines.next().get("recovered").unwrap().to_ascii(),
            "false",
            "{id}"
        );
        let gap = lines.next();
        assert_eq!(
            (text_at(&gap, &["event"]), text_at(&gap, &["reason"])),
            ("gap", reason),
            "{id}"
        );
        assert_eq!(ids(&mut lines, rest.len()), rest);
    }
}

#[test]
fn a_limit_ends_a_stream_after_so_many_events() {
    let broker = quiet();
    publish(&broker, 5);
    let mut lines = broker.lines("?topics=glints&from=earliest&limit=3");
    let all = lines.rest();
    let events: Vec<&str> = all.iter().map(|line| text_at(line, &["event"])).collect();
    assert_eq!(
        events,
        [
            "hello",
            "glint_emission",
            "glint_emission",
            "glint_emission",
            "farewell"
        ]
    );
    assert_eq!(text_at(&all[4], &["reason"]), "limit");
    let mut events = broker.events("?topics=glints&from=-5&limit=2");
    let names: Vec<String> = events.rest().into_iter().map(|event| event.name).collect();
    assert_eq!(
        names,
        ["message", "glint_emission", "glint_emission", "farewell"]
    );
    assert!(events.is_complete(), "an end in good order");
    let mut live = broker.lines("?topics=glints&limit=1");
    live.next();
    publish(&broker, 3);
    assert_eq!(live.rest().len(), 2);
}

#[test]
fn a_timeout_ends_a_stream_that_has_nothing_to_say() {
    let broker = quiet();
    let mut events = broker.events("?module=nobody&timeout=0.2");
    let all = events.rest();
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[1].name.as_str(), text_at(&all[1].json(), &["reason"])),
        ("farewell", "timeout")
    );
    assert!(events.is_complete() && events.retry_ms.is_some());
}

#[test]
fn a_bad_parameter_is_refused_by_name() {
    let broker = quiet();
    let many = format!("?module={}", vec!["a"; 33].join(","));
    for (query, field) in [
        ("?topics=glint", "topics"),
        ("?event=glint", "event"),
        ("?dialect=klingon", "dialect"),
        ("?framing=gs2", "framing"),
        ("?limit=0", "limit"),
        ("?limit=many", "limit"),
        ("?timeout=-1", "timeout"),
        ("?timeout=nan", "timeout"),
        ("?timeout=1e9", "timeout"),
        ("?from=yesterday", "from"),
        ("?from=--1", "from"),
        (&many, "module"),
    ] {
        let answer = broker.get(&format!("/stream{query}"));
        assert_eq!(answer.status(), 400, "{query}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(text_at(&answer.json(), &["field"]), field, "{query}");
    }
    assert_eq!(broker.get("/stream?limit=1&limit=2").status(), 400);
    let answer = broker.send(
        "GET",
        "/stream?dialect=named",
        &[("Accept", "application/x-ndjson")],
        b"",
    );
    assert_eq!(
        (answer.status(), text_at(&answer.json(), &["field"])),
        (400, "dialect")
    );
}

#[test]
fn parameters_that_are_not_ours_are_left_alone() {
    let broker = quiet();
    let mut events = broker.listen("?_=1712&token=x&topics=glints");
    publish(&broker, 1);
    assert_eq!(events.next().name, "glint_emission");
}

#[test]
fn lines_are_for_those_who_accept_them() {
    let broker = quiet();
    let cursors = publish(&broker, 1);
    for accept in [
        "application/x-ndjson",
        "text/html, application/X-NDJSON;q=0.9, */*",
    ] {
        let (head, _) = broker.open("GET", "/stream", &[("Accept", accept)], b"");
        assert_eq!(
            head.header("content-type"),
            Some("application/x-ndjson"),
            "{accept}"
        );
    }
    for accept in ["*/*", "text/event-stream", "application/json"] {
        let (head, _) = broker.open("GET", "/stream", &[("Accept", accept)], b"");
        assert_eq!(
            head.header("content-type"),
            Some("text/event-stream; charset=utf-8"),
            "{accept}"
        );
    }
    let mut lines = broker.lines("?from=-1&topics=glints");
    let hello = lines.next();
    assert!(count_at(&hello, &["keepalive_ms"]) > 0 && count_at(&hello, &["retry_ms"]) > 0);
    assert_eq!(text_at(&hello, &["data", "phase"]), "inhale");
    assert_eq!(text_at(&lines.next(), &["cursor"]), cursors[0]);
}

#[test]
fn each_dialect_spells_the_same_event_in_its_own_way() {
    let broker = quiet();
    let cursor = broker.publish(r#"{"id":"a","module":"m"}"#);
    let first = |query: &str| {
        let mut events = broker.events(&format!("?topics=glints&from=-1&{query}"));
        let greeting = events.next();
        assert!(events.retry_ms.is_some(), "{query}: when to come back");
        (greeting, events.next())
    };
    let (_, named) = first("dialect=named");
    assert_eq!(
        (named.name.as_str(), named.data.as_str()),
        ("glint_emission", r#"{"id": "a", "module": "m"}"#)
    );
    assert!(
        named
            .raw
            .ends_with(format!("\nid: {cursor}\n\n").as_bytes()),
        "the id comes last"
    );
    let (_, envelope) = first("dialect=envelope");
    assert_eq!(envelope.name, "message");
    assert_eq!(text_at(&envelope.json(), &["data", "glint", "module"]), "m");
    let (hello, plain) = first("dialect=plain");
    assert_eq!(
        (hello.name.as_str(), plain.name.as_str()),
        ("hello", "glint_emission")
    );
    assert_eq!(text_at(&plain.json(), &["cursor"]), cursor);
    let mut gs1 = broker.events("?topics=glints&from=-1&framing=gs1");
    let hello = support::gs1::text_frame(gs1.next().data.as_bytes());
    assert_eq!((hello.sid, hello.seq), (0, 1));
    let streams = hello.value().get("streams").unwrap().to_ascii();
    let glint = gs1.next();
    assert_eq!(glint.name, "message");
    assert_eq!(glint.last_id, cursor);
    let frame = support::gs1::text_frame(glint.data.as_bytes());
    assert!(
        streams.contains(&frame.sid.to_string()),
        "the directory names it: {streams}"
    );
    assert_eq!(
        parse(&frame.value().get("data").unwrap().to_ascii()).to_ascii(),
        named.data
    );
}

#[test]
fn the_views_of_a_worker_are_bounded_and_one_too_many_is_told_so() {
    let broker = Broker::with(&[
        ("edge.views_max", "2"),
        ("edge.workers", "1"),
        ("edge.refusal_delay_ms", "0"),
    ]);
    let _first = broker.listen("?module=a");
    let _second = broker.listen("?module=b");
    let _shared = broker.listen("?module=a");
    let mut third = broker.events("?module=c");
    third.next();
    let farewell = third.next();
    assert_eq!(
        (
            farewell.name.as_str(),
            text_at(&farewell.json(), &["reason"])
        ),
        ("farewell", "views_full")
    );
    assert!(third.rest().is_empty() && third.is_complete());
}
