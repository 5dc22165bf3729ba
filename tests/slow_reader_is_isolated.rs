//! A subscriber that stops reading costs nobody else anything, and gets what is left of its past when it reads again.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::{HashMap, HashSet};

use glint::json::Value;
use support::gs1::{Cursors, Frame, text_frame};
use support::sse::Events;
use support::{Broker, count_at, text_at, ws};
use wire::gs1::Kind;

/// Bytes of each glint, and how many there are: several times of what sockets and lanes hold.
const GLINT_BYTES: usize = 64 << 10;
const GLINTS: u64 = 400;

/// The name of what is published. Who lags for some seconds is told so in between, under another.
const GLINT: &str = "glint_emission";

fn glint(number: u64) -> String {
    format!(
        r#"{{"n": {number}, "text": "{}"}}"#,
        "x".repeat(GLINT_BYTES)
    )
}

/// Publishes everything while a reader that keeps up hears each glint before the next one is published.
///
/// That is the isolation, without a clock: were the reader or the publisher held up by somebody, this would not end.
fn publish_beside_a_reader_that_keeps_up(broker: &Broker) {
    let mut quick = broker.listen("?topics=glints");
    for number in 0..GLINTS {
        broker.publish(&glint(number));
        assert_eq!(count_at(&quick.next_named(GLINT).json(), &["n"]), number);
    }
}

#[test]
fn a_reader_that_stops_gets_everything_that_history_holds_when_it_goes_on() {
    let broker = Broker::with(&[("lane.window_bytes", "262144")]);
    let mut events = broker.listen("?topics=glints");
    let mut lines = broker.lines("?topics=glints");
    lines.next();
    let mut socket = broker.socket("?topics=glints", &[ws::JSON]);
    socket.next();
    publish_beside_a_reader_that_keeps_up(&broker);
    for number in 0..GLINTS {
        let event = events.next_named(GLINT);
        assert_eq!(count_at(&event.json(), &["n"]), number);
        let line = lines.next_named(GLINT);
        assert_eq!(count_at(&line, &["data", "n"]), number);
        let message = socket.next_named(GLINT);
        assert_eq!(count_at(&message, &["data", "n"]), number);
    }
    let falls = broker.get("/metrics");
    let falls = falls
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("glintcast_lane_falls_total "))
        .unwrap()
        .to_owned();
    assert_ne!(falls, "0", "they were behind by more than a window");
    assert!(falls.parse::<u64>().unwrap() >= 3);
}

fn next_data_frame(events: &mut Events) -> Frame {
    loop {
        let frame = text_frame(events.next().data.as_bytes());
        if frame.sid != 0 {
            return frame;
        }
    }
}

#[test]
fn a_strict_reader_that_stops_finds_the_numbers_without_a_hole() {
    let broker = Broker::with(&[("lane.window_bytes", "262144")]);
    let mut events = broker.listen("?topics=glints&framing=gs1");
    let mut filtered = broker.listen("?topics=glints&framing=gs1&event=glint_emission");
    let mut socket = broker.socket("?topics=glints", &[ws::GS1_BINARY]);
    socket.next();
    publish_beside_a_reader_that_keeps_up(&broker);
    let mut cursors = [(); 3].map(|()| Cursors::default());
    for number in 0..GLINTS {
        let frames = [
            next_data_frame(&mut events),
            next_data_frame(&mut filtered),
            socket.next_frame_that(|frame| frame.sid != 0),
        ];
        for (frame, cursors) in frames.iter().zip(&mut cursors) {
            assert_eq!(count_at(&frame.value(), &["data", "n"]), number);
            cursors.take(frame);
        }
    }
}

/// Adds up what a reader heard: the glints, and the gaps it was told of, must make up everything.
#[derive(Default)]
struct Account {
    heard: Vec<u64>,
    /// From each gap, the numbers of the order that are in it.
    gone: Vec<(u64, u64)>,
}

fn seq(cursor: &str) -> u64 {
    cursor.split_once('-').unwrap().1.parse().unwrap()
}

impl Account {
    fn gap(&mut self, gap: &Value<'_>) {
        assert_eq!(text_at(gap, &["reason"]), "evicted");
        self.gone
            .push((seq(text_at(gap, &["from"])), seq(text_at(gap, &["to"]))));
    }

    /// Checks it against the place that each glint was given.
    fn check(&self, places: &HashMap<u64, u64>) {
        assert!(
            !self.gone.is_empty(),
            "history holds far less than was missed"
        );
        assert!(
            self.heard.is_sorted_by(|one, other| one < other),
            "in order, and nothing twice"
        );
        assert_eq!(self.heard.last(), Some(&(GLINTS - 1)));
        for number in 0..GLINTS {
            let place = places[&number];
            let is_gone = self
                .gone
                .iter()
                .any(|(from, to)| (from + 1..=*to).contains(&place));
            let is_heard = self.heard.contains(&number);
            assert!(
                is_heard != is_gone,
                "{number} at {place}: heard {is_heard}, gone {is_gone}"
            );
        }
    }
}

#[test]
fn a_reader_that_stops_for_too_long_is_told_exactly_what_it_lost() {
    let broker = Broker::with(&[
        ("lane.window_bytes", "262144"),
        ("tail.events", "20"),
        ("breath.tick_ms", "60000"),
    ])
    .breathing();
    let mut events = broker.listen("?topics=glints");
    let mut lines = broker.lines("?topics=glints");
    lines.next();
    let mut framed = broker.listen("?topics=glints&framing=gs1");
    let mut places = HashMap::new();
    for number in 0..GLINTS {
        places.insert(number, seq(&broker.publish(&glint(number))));
    }
    let mut account = Account::default();
    while account.heard.last() != Some(&(GLINTS - 1)) {
        let event = events.next();
        match event.name.as_str() {
            "gap" => account.gap(&event.json()),
            "status" => {}
            name => {
                assert_eq!(name, GLINT);
                account.heard.push(count_at(&event.json(), &["n"]));
            }
        }
    }
    account.check(&places);
    let mut account = Account::default();
    while account.heard.last() != Some(&(GLINTS - 1)) {
        let line = lines.next();
        match text_at(&line, &["event"]) {
            "gap" => account.gap(&line),
            "status" => {}
            _ => account.heard.push(count_at(&line, &["data", "n"])),
        }
    }
    account.check(&places);
    let (mut told, mut last) = (false, None);
    let mut sids = HashSet::new();
    while last != Some(GLINTS - 1) {
        let frame = text_frame(framed.next().data.as_bytes());
        if frame.sid == 0 && frame.kind == Kind::Doc {
            let value = frame.value();
            assert!(["directory", "status"].contains(&text_at(&value, &["event"])));
            continue;
        }
        if frame.sid == 0 {
            assert_eq!(frame.kind, Kind::Err);
            assert!(
                frame.payload.starts_with("Error{code=SEQ_GAP "),
                "{frame:?}"
            );
            told = true;
            continue;
        }
        assert!(
            !told || !sids.contains(&frame.sid),
            "sid {} goes on behind a gap",
            frame.sid
        );
        sids.insert(frame.sid);
        let number = count_at(&frame.value(), &["data", "n"]);
        let is_next = last.is_none_or(|last| number == last + 1);
        assert!(
            is_next || told,
            "{number} after {last:?}, and nothing was said"
        );
        (told, last) = (false, Some(number));
    }
}

#[test]
fn a_client_that_asks_and_never_reads_the_answers_is_cut_off() {
    let broker = Broker::start();
    let mut socket = broker.socket("?module=nobody", &[ws::JSON]);
    socket.next();
    // Each is answered; nobody reads the answers, and they may not pile up for ever.
    let question = format!(r#"{{"op":"{}"}}"#, "x".repeat(100));
    let mut asked = 0_u64;
    while socket
        .inner
        .send(tungstenite::Message::text(question.clone()))
        .is_ok()
    {
        asked += 1;
        assert!(asked < 10_000_000, "it takes questions without end");
        if asked.is_multiple_of(10_000)
            && support::count_at(
                &broker.get("/stream/status").json(),
                &["active_connections"],
            ) == 0
        {
            break;
        }
    }
    support::eventually("it is gone", || {
        support::count_at(
            &broker.get("/stream/status").json(),
            &["active_connections"],
        ) == 0
    });
}
