//! With `patch=on`, the topics that are documents come as what changes in them, and every reader arrives at the same.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::HashMap;

use glint::json::Value;
use support::gs1::{Cursors, Frame, text_frame};
use support::rituals::set;
use support::sigils::{QUIET, seal, upload};
use support::sse::Events;
use support::ws::Socket;
use support::{Broker, count_at, text_at};
use wire::glyph::{self, state_hash};
use wire::gs1::Kind;

/// A client that knows nothing but the frames: documents by sid, and patches to them.
#[derive(Debug, Default)]
struct Mirror {
    /// The topic of each sid, and its document.
    documents: HashMap<u64, (String, Value<'static>)>,
    cursors: Cursors,
    patches: usize,
    wholes: usize,
    /// Bytes of patches, and of the documents that they made.
    bytes: (usize, usize),
}

impl Mirror {
    fn take(&mut self, frame: &Frame) {
        self.cursors.take(frame);
        if frame.sid == 0 {
            let said = frame.value();
            if frame.kind == Kind::Doc && text_at(&said, &["event"]) == "document" {
                let document = said.get("data").cloned().unwrap();
                assert_eq!(text_at(&said, &["hash"]), hex(&document), "{said:?}");
                let topic = text_at(&said, &["topic"]).to_owned();
                self.documents
                    .insert(count_at(&said, &["sid"]), (topic, document));
            }
            return;
        }
        let is_beat =
            |said: &Value<'_>| said.get("topic").and_then(Value::as_str) == Some("heartbeat");
        if frame.kind == Kind::Doc && is_beat(&frame.value()) {
            // It comes along with the state.
            return;
        }
        let known = self.documents.get_mut(&frame.sid);
        let (_, document) = known.unwrap_or_else(|| panic!("nothing before {frame:?}"));
        match frame.kind {
            Kind::Doc => {
                self.wholes += 1;
                *document = frame.value();
            }
            Kind::Patch => {
                self.patches += 1;
                assert_eq!(
                    frame.base.unwrap(),
                    state_hash(document).unwrap(),
                    "{frame:?}"
                );
                apply(&frame.payload, document);
                let mut whole = String::new();
                glyph::write(document, glyph::Form::Profile, &mut whole).unwrap();
                self.bytes.0 += frame.payload.len();
                self.bytes.1 += whole.len();
            }
            other => panic!("{other:?}"),
        }
    }

    fn document(&self, topic: &str) -> &Value<'static> {
        let mut documents = self.documents.values();
        let found = documents.find(|(of, _)| of == topic);
        &found.unwrap_or_else(|| panic!("no {topic} in {self:?}")).1
    }

    fn hash(&self, topic: &str) -> String {
        hex(self.document(topic))
    }

    fn seal(&self) -> &str {
        text_at(self.document("seals"), &["seal"])
    }
}

fn hex(document: &Value<'_>) -> String {
    let hash = state_hash(document).unwrap();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Applies a patch of `=`, `+` and `-` at paths of quoted keys, and refuses everything else.
fn apply(patch: &str, document: &mut Value<'static>) {
    let lines = patch.strip_prefix("@patch\n").expect("a head");
    for line in lines.strip_suffix("@end").expect("an end").lines() {
        let (sign, mut rest) = line.split_at(2);
        let mut path = Vec::new();
        while let Some(key) = rest.strip_prefix("[\"") {
            let (key, after) = key.split_once("\"]").expect("the end of a key");
            path.push(key.to_owned());
            rest = after;
        }
        let last = path.pop().expect("a path");
        let mut place = &mut *document;
        for key in &path {
            let Value::Object(members) = place else {
                panic!("{line}")
            };
            let at = members.iter().position(|(name, _)| name == key);
            place = &mut members[at.unwrap_or_else(|| panic!("{line}"))].1;
        }
        let Value::Object(members) = place else {
            panic!("{line}")
        };
        let at = members.iter().position(|(name, _)| *name == last);
        let leaked: &'static str = Box::leak(rest.trim_start().to_owned().into_boxed_str());
        let value = || glyph::parse(leaked).unwrap_or_else(|err| panic!("{err}: {line}"));
        match (sign, at) {
            ("= ", Some(at)) => members[at].1 = value(),
            ("= ", None) => members.push((last.into(), value())),
            ("- ", Some(at)) => drop(members.remove(at)),
            ("+ ", Some(at)) => match &mut members[at].1 {
                Value::Array(items) if !items.is_empty() => items.push(value()),
                other => panic!("{line} on {other:?}"),
            },
            _ => panic!("{line}"),
        }
    }
}

/// A patched reader over any of the three carriers.
enum Reader {
    Sse(Box<Events>),
    Ws(Box<Socket>),
}

impl Reader {
    fn open_all(broker: &Broker, query: &str) -> Vec<(Reader, Mirror)> {
        let sse = Reader::Sse(Box::new(broker.events(&format!("{query}&framing=gs1"))));
        let sockets = ["gs1-t.v1", "gs1-b.v1"];
        let sockets = sockets.map(|name| Reader::Ws(Box::new(broker.socket(query, &[name]))));
        let readers = [sse].into_iter().chain(sockets);
        readers.map(|reader| (reader, Mirror::default())).collect()
    }

    fn next(&mut self) -> Frame {
        match self {
            Reader::Sse(events) => text_frame(events.next().data.as_bytes()),
            Reader::Ws(socket) => socket.next_frame(),
        }
    }

    fn read_until(&mut self, mirror: &mut Mirror, is_there: impl Fn(&Mirror) -> bool) {
        while !is_there(mirror) {
            mirror.take(&self.next());
        }
    }
}

fn has(topics: &[&str]) -> impl Fn(&Mirror) -> bool {
    let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    move |mirror| {
        let known = |topic: &String| mirror.documents.values().any(|(of, _)| of == topic);
        topics.iter().all(known)
    }
}

fn url(number: usize) -> String {
    // {"pulse":10}
    format!("https://peer.example/s/{number}?p=eyJwdWxzZSI6MTB9")
}

fn add(broker: &Broker, numbers: std::ops::Range<usize>) {
    let urls: Vec<String> = numbers.map(url).collect();
    assert_eq!(upload(broker, QUIET, &[&format!("{urls:?}")]).status(), 200);
}

const BOTH: &str = "?topics=seals,state&patch=on";

#[test]
fn patches_lead_every_reader_to_what_a_new_one_is_shown() {
    let broker = Broker::with(&[
        ("registry.seal_every_ms", "20"),
        ("edge.workers", "2"),
        ("admin.open_on_loopback", "true"),
    ]);
    let mut readers = Reader::open_all(&broker, BOTH);
    for (reader, mirror) in &mut readers {
        reader.read_until(mirror, has(&["seals", "state"]));
    }
    for round in 0..60 {
        add(&broker, round * 5..round * 5 + 1 + round % 5);
        if round % 10 == 0 {
            let usage = format!(r#"{{"usage": 0.{}}}"#, 10 + round);
            set(&broker, "/state/usage", &usage);
        }
    }
    set(&broker, "/state/climate", r#"{"climate": "suspicious"}"#);
    let caesura = r#"{"message": "so \"quiet\""}"#;
    let marked = broker.post("/state/caesura", "application/json", caesura);
    assert_eq!(marked.status(), 200, "{}", marked.text());
    set(&broker, "/state/usage", r#"{"usage": 0.05}"#);
    let last = seal(&broker);
    let is_there = |mirror: &Mirror| {
        has(&["seals", "state"])(mirror)
            && mirror.seal() == last
            && mirror
                .document("state")
                .get("usage")
                .and_then(Value::as_f64)
                == Some(0.05)
    };
    for (reader, mirror) in &mut readers {
        reader.read_until(mirror, is_there);
        assert!(mirror.patches > mirror.wholes, "{mirror:?}");
        // How much depends on how many changes were joined.
        assert!(mirror.bytes.0 < mirror.bytes.1 / 2, "{:?}", mirror.bytes);
    }
    let notice = readers[0]
        .1
        .document("state")
        .get("notice")
        .cloned()
        .unwrap();
    assert_eq!(text_at(&notice, &["message"]), "so \"quiet\"");
    // Many more than there are workers, so that each of them is asked.
    for _ in 0..3 {
        for (mut late, mut shown) in Reader::open_all(&broker, BOTH) {
            late.read_until(&mut shown, is_there);
            assert_eq!(
                (shown.patches, shown.wholes),
                (0, 0),
                "a greeting is enough"
            );
            for (_, mirror) in &readers {
                assert_eq!(shown.hash("seals"), mirror.hash("seals"));
                assert_eq!(shown.hash("state"), mirror.hash("state"));
            }
        }
    }
}

#[test]
fn whoever_lost_a_document_is_shown_it_again() {
    let broker = Broker::with(&[("registry.seal_every_ms", "0")]);
    let mut socket = Reader::Ws(Box::new(
        broker.socket("?topics=seals&patch=on", &["gs1-t.v1"]),
    ));
    let mut mirror = Mirror::default();
    socket.read_until(&mut mirror, has(&["seals"]));
    add(&broker, 0..1);
    let last = seal(&broker);
    socket.read_until(&mut mirror, |mirror| mirror.seal() == last);
    mirror.documents.clear();
    let Reader::Ws(inner) = &mut socket else {
        unreachable!()
    };
    let request = "@frame{v=1 sid=0 seq=1 kind=ui len=13}\nResyncRequest\n";
    inner.say(request);
    socket.read_until(&mut mirror, has(&["seals"]));
    add(&broker, 1..2);
    let last = seal(&broker);
    socket.read_until(&mut mirror, |mirror| mirror.seal() == last);
    assert_eq!(
        mirror.patches, 2,
        "the change fits what was shown: {mirror:?}"
    );
}

#[test]
fn what_was_missed_comes_whole_and_then_the_document_again() {
    let broker = Broker::with(&[("registry.seal_every_ms", "0")]);
    let query = "?topics=seals&patch=on&framing=gs1";
    let mut events = broker.events(query);
    let cursor = events.next().last_id;
    drop(events);
    let mut told = Vec::new();
    let mut live = broker.events("?topics=seals&dialect=plain");
    live.next();
    live.next();
    for number in 0..3 {
        add(&broker, number..number + 1);
        told.push(text_at(&live.next().json(), &["data", "after"]).to_owned());
    }
    let events = broker.events_with(query, &[("Last-Event-ID", &cursor)]);
    let (mut reader, mut frames) = (Reader::Sse(Box::new(events)), Vec::new());
    let is_document = |frame: &Frame| {
        frame.sid == 0 && frame.value().get("event").and_then(Value::as_str) == Some("document")
    };
    let shown = loop {
        let frame = reader.next();
        if is_document(&frame) {
            break frame;
        }
        frames.push(frame);
    };
    let past: Vec<&Frame> = frames.iter().filter(|frame| frame.sid != 0).collect();
    assert!(
        past.iter()
            .all(|frame| frame.kind == Kind::Doc && frame.base.is_none())
    );
    let seals: Vec<String> = past
        .iter()
        .map(|frame| text_at(&frame.value(), &["seal"]).to_owned())
        .collect();
    assert_eq!(seals, told);
    let mut mirror = Mirror::default();
    mirror.take(&shown);
    assert_eq!(mirror.seal(), told[2]);
    add(&broker, 3..4);
    let last = seal(&broker);
    reader.read_until(&mut mirror, |mirror| mirror.seal() == last);
    assert_eq!((mirror.patches, mirror.wholes), (1, 0));
}

#[test]
fn a_change_behind_one_that_was_filtered_out_comes_whole() {
    let broker = Broker::with(&[("admin.open_on_loopback", "true")]);
    let query = "?topics=state&event=usage_update&patch=on&framing=gs1";
    let mut reader = Reader::Sse(Box::new(broker.events(query)));
    let mut mirror = Mirror::default();
    reader.read_until(&mut mirror, has(&["state"]));
    let mut use_up = |usage: f64| {
        set(&broker, "/state/usage", &format!("{{\"usage\": {usage}}}"));
        reader.read_until(&mut mirror, |mirror| {
            mirror
                .document("state")
                .get("usage")
                .and_then(Value::as_f64)
                == Some(usage)
        });
        (
            mirror.patches,
            mirror.wholes,
            mirror.document("state").clone(),
        )
    };
    assert_eq!(use_up(0.5).0, 1);
    set(&broker, "/state/climate", r#"{"climate": "restricted"}"#);
    let (patches, wholes, document) = use_up(0.7);
    assert_eq!((patches, wholes), (1, 1));
    assert_eq!(text_at(&document, &["climate"]), "restricted");
    assert_eq!(use_up(0.9).0, 2);
}

#[test]
fn without_patches_nothing_is_said_that_was_not_said_before() {
    let broker = Broker::start();
    let mut events = broker.events("?topics=seals,state&framing=gs1");
    // The breath may beat meanwhile, as it does with patches.
    let mut next = || loop {
        let said = events.next().data;
        if !said.contains("event=heartbeat") {
            return said;
        }
    };
    for expected in ["event=hello", "event=seal_snapshot"] {
        let said = next();
        assert!(said.contains(expected), "{said}");
    }
    add(&broker, 0..1);
    let said = next();
    assert!(
        said.contains("kind=doc") && said.contains("event=seal_update"),
        "{said}"
    );
}

#[test]
fn patches_are_refused_where_no_frame_can_carry_them() {
    let broker = Broker::start();
    for (query, code) in [
        ("?patch=on", "patch_needs_gs1"),
        ("?patch=on&dialect=plain", "patch_needs_gs1"),
        ("?patch=maybe&framing=gs1", "patch_unknown"),
    ] {
        let answer = broker.get(&format!("/stream{query}"));
        assert_eq!(answer.status(), 400, "{query}");
        let problem = answer.json();
        assert_eq!(text_at(&problem, &["code"]), code);
        assert_eq!(text_at(&problem, &["field"]), "patch");
        assert!(text_at(&problem, &["detail"]).contains("patch"));
    }
}
