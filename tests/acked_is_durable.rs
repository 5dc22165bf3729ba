//! What was acknowledged is there after a kill at any moment: once, in its place, under its id.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use glint::json::Value;
use support::dir::Dir;
use support::gs1::{Cursors, text_frame};
use support::ndjson::Lines;
use support::sse::Events;
use support::{Broker, PATIENCE, count_at, eventually, parse, text_at};

/// Kills, when `GLINTCAST_KILL_ROUNDS` says nothing else.
const ROUNDS: usize = 20;
/// Publishers at once.
const PUBLISHERS: usize = 3;

impl Dir {
    /// Starts a broker on it that says nothing of its own after its first words.
    fn silent_broker(&self, settings: &[(&str, &str)]) -> Broker {
        let own = [("data.dir", self.text()), ("breath.tick_ms", "60000")];
        Broker::with(&[&own, settings].concat()).breathing()
    }

    /// The newest segment.
    fn newest_segment(&self) -> PathBuf {
        let entries = fs::read_dir(self.0.join("log")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
        paths.filter(is_segment).max().expect("a segment")
    }
}

/// Ends a broker without a chance to do anything more.
fn kill(mut broker: Broker) {
    broker.signal("KILL");
    broker.wait();
}

/// Starts a broker that is to refuse, and returns its exit code and what it said.
fn refusal(dir: &Path) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut status = None;
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("it refuses", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
    }));
    let _ = child.kill();
    let _ = child.wait();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(waited.is_ok(), "it started: {said}");
    (status.unwrap().code().expect("an exit code"), said)
}

/// Sends glints; `None` when no whole answer comes back.
fn try_publish(broker: &Broker, body: &str) -> Option<Value<'static>> {
    let mut stream = TcpStream::connect(broker.address()).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    let head = format!(
        "POST /glints HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let is_whole = length.expect("a length").parse() == Ok(body.len());
    is_whole.then(|| parse(body))
}

/// The number of a cursor, and the epoch before it.
fn place(cursor: &str) -> (String, u64) {
    let (epoch, seq) = cursor.split_once('-').expect("a cursor");
    (epoch.to_owned(), seq.parse().expect("a number"))
}

/// An id and its cursor, as a receipt or an event says them.
type Kept = (String, String);

/// Publishes numbered glints, alone and in small batches, until the broker is gone; returns what was acknowledged.
fn publish_on(broker: &Broker, name: &str, acked: &AtomicUsize) -> Vec<Kept> {
    let (mut kept, mut number) = (Vec::new(), 0_u64);
    loop {
        let ids: Vec<String> = (number..=number + number % 4)
            .map(|n| format!("{name}-{n}"))
            .collect();
        number += ids.len() as u64;
        let glints: Vec<String> = ids
            .iter()
            .map(|id| format!("{{\"id\":\"{id}\"}}"))
            .collect();
        let body = match &glints[..] {
            [one] => one.clone(),
            many => format!("[{}]", many.join(",")),
        };
        let Some(answer) = try_publish(broker, &body) else {
            return kept;
        };
        assert_eq!(text_at(&answer, &["durability"]), "fsync");
        let items = match answer.get("items") {
            Some(Value::Array(items)) => items.clone(),
            _ => vec![answer],
        };
        assert_eq!(items.len(), ids.len());
        for (item, id) in items.iter().zip(ids) {
            assert_eq!(text_at(item, &["id"]), id);
            kept.push((id, text_at(item, &["cursor"]).to_owned()));
        }
        acked.fetch_add(items.len(), Ordering::Relaxed);
    }
}

/// A reader that comes back to its last cursor after each kill.
struct Follower<S> {
    stream: Option<S>,
    heard: Vec<Kept>,
}

impl<S> Follower<S> {
    fn new() -> Follower<S> {
        Follower {
            stream: None,
            heard: Vec::new(),
        }
    }

    fn cursor(&self) -> Option<&str> {
        self.heard.last().map(|(_, cursor)| cursor.as_str())
    }

    /// Tells whether it has heard `last`, if anything in particular is waited for.
    fn has(&self, last: Option<&str>) -> bool {
        last.is_some() && self.cursor() == last
    }
}

fn resumed(cursor: Option<&str>) -> Vec<(&'static str, &str)> {
    cursor.iter().map(|id| ("Last-Event-ID", *id)).collect()
}

impl Follower<Lines> {
    fn come_back(&mut self, broker: &Broker) {
        let mut lines = broker.lines_with("?topics=glints&from=earliest", &resumed(self.cursor()));
        let hello = lines.next();
        assert_eq!(hello.get("recovered"), Some(&Value::Bool(true)));
        self.stream = Some(lines);
    }

    /// Reads on to the event of `last`, or to the end of the broker.
    fn read(&mut self, last: Option<&str>) {
        let mut lines = self.stream.take().expect("it came back");
        while let Some(text) = lines.try_text() {
            let line = parse(&text);
            match text_at(&line, &["event"]) {
                "glint_emission" => {
                    let id = text_at(&line, &["data", "id"]).to_owned();
                    self.heard
                        .push((id, text_at(&line, &["cursor"]).to_owned()));
                }
                name => assert!(name != "gap" && name != "farewell", "{text}"),
            }
            if self.has(last) {
                return;
            }
        }
        assert_eq!(last, None, "the stream ended");
    }
}

impl Follower<Events> {
    fn come_back(&mut self, broker: &Broker) {
        let query = "?topics=glints&from=earliest&framing=gs1";
        let mut events = broker.events_with(query, &resumed(self.cursor()));
        let hello = text_frame(events.next().data.as_bytes()).value();
        let recovered = hello.get("recovered").unwrap().to_ascii();
        assert_eq!(recovered, "true");
        self.stream = Some(events);
    }

    /// Reads on to the event of `last`, or to the end of the broker; the numbers of the frames go on over all lives.
    fn read(&mut self, last: Option<&str>, cursors: &mut Cursors) {
        let mut events = self.stream.take().expect("it came back");
        while let Some(event) = events.try_next() {
            let frame = text_frame(event.data.as_bytes());
            if frame.sid == 0 {
                assert!(!frame.payload.contains("GAP"), "{frame:?}");
                continue;
            }
            cursors.take(&frame);
            let id = text_at(&frame.value(), &["data", "id"]).to_owned();
            self.heard.push((id, event.last_id));
            if self.has(last) {
                return;
            }
        }
        assert_eq!(last, None, "the stream ended");
    }
}

/// Everything up to the glint of `last`, in order.
fn history(broker: &Broker, last: &str) -> Vec<Kept> {
    let mut follower = Follower::<Lines>::new();
    follower.come_back(broker);
    follower.read(Some(last));
    follower.heard
}

/// Checks that all of `acked` is in `history` in its place, and that nothing is there twice.
fn check(history: &[Kept], acked: &[Kept]) {
    let places: Vec<(String, u64)> = history.iter().map(|(_, cursor)| place(cursor)).collect();
    for pair in places.windows(2) {
        assert_eq!(pair[0].0, pair[1].0, "one epoch");
        assert!(pair[0].1 < pair[1].1, "in the order of cursors: {pair:?}");
    }
    let ids: HashSet<&str> = history.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids.len(), history.len(), "no id twice");
    let by_cursor: BTreeMap<&str, &str> = history
        .iter()
        .map(|(id, cursor)| (cursor.as_str(), id.as_str()))
        .collect();
    for (id, cursor) in acked {
        assert_eq!(
            by_cursor.get(cursor.as_str()),
            Some(&id.as_str()),
            "{cursor}"
        );
    }
}

#[test]
fn whatever_was_acknowledged_survives_every_kill_and_readers_go_on_without_a_hole() {
    let rounds = std::env::var("GLINTCAST_KILL_ROUNDS");
    let rounds: usize = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let dir = Dir::new("kills");
    let mut acked: Vec<Kept> = Vec::new();
    let (mut lines, mut frames) = (Follower::<Lines>::new(), Follower::<Events>::new());
    let mut cursors = Cursors::default();
    for round in 0..=rounds {
        let broker = Broker::with(&[("data.dir", dir.text())]);
        lines.come_back(&broker);
        frames.come_back(&broker);
        let id = format!("start-{round}");
        let start = broker.publish(&format!("{{\"id\":\"{id}\"}}"));
        acked.push((id, start.clone()));
        let whole = history(&broker, &start);
        check(&whole, &acked);
        if round == rounds {
            lines.read(Some(&start));
            frames.read(Some(&start), &mut cursors);
            assert_eq!(lines.heard, whole);
            assert_eq!(frames.heard, whole);
            break;
        }
        let count = AtomicUsize::new(0);
        let enough = 3 + round * 37 % 120;
        let (broker, count) = (&broker, &count);
        let kept = thread::scope(|scope| {
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|nth| {
                    scope.spawn(move || publish_on(broker, &format!("r{round}p{nth}"), count))
                })
                .collect();
            scope.spawn(|| lines.read(None));
            scope.spawn(|| frames.read(None, &mut cursors));
            // A publisher that panicked ends the wait: the readers go only when the broker does.
            eventually("enough is acknowledged", || {
                count.load(Ordering::Relaxed) >= enough
                    || publishers.iter().any(|publisher| publisher.is_finished())
            });
            broker.signal("KILL");
            publishers
                .into_iter()
                .flat_map(|publisher| publisher.join().expect("a publisher"))
                .collect::<Vec<Kept>>()
        });
        assert!(kept.len() >= enough);
        acked.extend(kept);
    }
}

fn offer(broker: &Broker, key: &str, body: &str) -> (u16, Value<'static>) {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    let answer = broker.send("POST", "/glints", &headers, body.as_bytes());
    (answer.status(), answer.json())
}

#[test]
fn a_glint_that_comes_again_after_a_kill_has_the_place_that_it_got() {
    let dir = Dir::new("again");
    let broker = dir.silent_broker(&[]);
    let glint = r#"{"id":"a","source":"s","content":"c"}"#;
    let first = broker.publish(glint);
    kill(broker);
    let broker = dir.silent_broker(&[]);
    assert_eq!(broker.publish(glint), first);
    let other = broker.publish(r#"{"id":"a","source":"s","content":"d"}"#);
    let kept = [first, other].map(|cursor| ("a".to_owned(), cursor));
    assert_eq!(history(&broker, &kept[1].1), kept);
}

#[test]
fn an_idempotency_key_survives_a_kill() {
    let dir = Dir::new("keys");
    let broker = dir.silent_broker(&[]);
    let bodies = [r#"[{"id":"a"},{"id":"b"},{"n":3}]"#, r#"{"id":"c"}"#];
    let firsts: Vec<Value<'_>> = bodies
        .iter()
        .map(|body| {
            let (status, receipt) = offer(&broker, body.get(..1).unwrap(), body);
            assert_eq!(status, 200);
            receipt
        })
        .collect();
    kill(broker);
    let broker = dir.silent_broker(&[]);
    for (body, first) in bodies.iter().zip(firsts) {
        let key = body.get(..1).unwrap();
        let (status, again) = offer(&broker, key, body);
        assert_eq!(status, 200, "{}", again.to_ascii());
        assert_eq!(again.get("replayed"), Some(&Value::Bool(true)));
        for member in ["accepted", "items", "id", "cursor", "durability"] {
            assert_eq!(again.get(member), first.get(member), "{member}");
        }
        let (status, other) = offer(&broker, key, r#"{"id":"other"}"#);
        assert_eq!(status, 422);
        assert_eq!(text_at(&other, &["code"]), "idempotency_conflict");
    }
    let last = broker.publish(r#"{"id":"last"}"#);
    let mut lines = broker.lines("?topics=glints&from=earliest");
    let mut heard = 1;
    while text_at(&lines.next_named("glint_emission"), &["cursor"]) != last {
        heard += 1;
    }
    assert_eq!(heard, 5, "nothing was taken twice");
}

#[test]
fn receipts_say_how_safely_a_glint_is_kept() {
    let dir = Dir::new("words");
    for (durability, settings) in [("fsync", &[][..]), ("os", &[("data.durability", "os")])] {
        let broker = dir.silent_broker(settings);
        for (path, body) in [
            ("/glints", "{}"),
            ("/glints", "[{},{}]"),
            ("/stream/glint", "{\"n\":1}"),
        ] {
            let receipt = broker.post(path, "application/json", body).json();
            assert_eq!(text_at(&receipt, &["durability"]), durability, "{path}");
        }
        kill(broker);
    }
    let broker = dir.silent_broker(&[]);
    let last = broker.publish(r#"{"id":"last"}"#);
    let mut lines = broker.lines("?topics=glints&from=earliest");
    let mut heard = 1;
    while text_at(&lines.next_named("glint_emission"), &["cursor"]) != last {
        heard += 1;
    }
    assert_eq!(
        heard, 9,
        "the end of a process takes nothing from the system"
    );
}

#[test]
fn a_second_broker_on_the_same_directory_refuses_and_the_first_goes_on() {
    let dir = Dir::new("second");
    let broker = dir.silent_broker(&[]);
    let first = broker.publish(r#"{"id":"a"}"#);
    let (code, said) = refusal(&dir.0);
    assert_ne!(code, 0);
    assert!(said.contains("another process uses"), "{said}");
    assert!(said.contains(dir.text()), "{said}");
    assert!(said.contains("--data"), "it names a way out: {said}");
    let second = broker.publish(r#"{"id":"b"}"#);
    assert!(place(&first) < place(&second));
    kill(broker);
    let broker = dir.silent_broker(&[]);
    let third = broker.publish(r#"{"id":"c"}"#);
    let heard = history(&broker, &third);
    let ids: Vec<&str> = heard.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

/// Publishes `count` glints one after the other, and kills the broker; returns their cursors.
fn filled(dir: &Dir, count: u64) -> Vec<String> {
    let broker = dir.silent_broker(&[]);
    let cursors = (0..count)
        .map(|n| broker.publish(&format!("{{\"id\":\"g{n}\",\"n\":{n}}}")))
        .collect();
    kill(broker);
    cursors
}

#[test]
fn damage_is_refused_and_put_aside_only_when_that_is_asked_for() {
    let dir = Dir::new("damage");
    let cursors = filled(&dir, 30);
    let file = dir.newest_segment();
    let mut bytes = fs::read(&file).unwrap();
    // Behind the last record the file is filled with zeros.
    let middle = bytes.windows(5).position(|text| text == b"\"g15\"");
    bytes[middle.unwrap() + 1] ^= 0x40;
    fs::write(&file, &bytes).unwrap();
    for _ in 0..2 {
        let (code, said) = refusal(&dir.0);
        assert_eq!(code, 74, "{said}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name), "{said}");
        assert!(
            said.contains("quarantine") && said.contains("copy"),
            "{said}"
        );
        assert_eq!(fs::read(&file).unwrap(), bytes, "a refusal changes nothing");
    }
    let broker = dir.silent_broker(&[("data.damaged", "quarantine")]);
    let fresh = broker.publish(r#"{"id":"fresh","n":99}"#);
    assert!(
        place(&fresh).0 > place(&cursors[0]).0,
        "a new epoch: {fresh}"
    );
    for old in [&cursors[0], &cursors[29]] {
        let mut lines = broker.lines_with("?topics=glints", &[("Last-Event-ID", old)]);
        assert_eq!(lines.next().get("recovered"), Some(&Value::Bool(false)));
        let gap = lines.next();
        assert_eq!(text_at(&gap, &["event"]), "gap");
        assert_eq!(text_at(&gap, &["reason"]), "unknown_epoch");
        assert_eq!(text_at(&gap, &["from"]), old);
        assert_eq!(
            count_at(&lines.next_named("glint_emission"), &["data", "n"]),
            99
        );
    }
    let aside = fs::read_dir(dir.0.join("log")).unwrap();
    let kept = aside
        .map(|entry| entry.unwrap().path())
        .any(|path| path.to_string_lossy().ends_with(".damaged"));
    assert!(kept, "what is damaged is not thrown away");
    kill(broker);
    let broker = dir.silent_broker(&[]);
    let next = broker.publish(r#"{"id":"next","n":100}"#);
    assert_eq!(place(&next).0, place(&fresh).0, "the new life goes on");
    check(&history(&broker, &next), &[("fresh".to_owned(), fresh)]);
}

#[test]
fn a_torn_end_costs_what_is_torn_and_nothing_else() {
    for torn in [1, 7, 60] {
        let dir = Dir::new(&format!("torn-{torn}"));
        let cursors = filled(&dir, 20);
        let path = dir.newest_segment();
        let last = b"19}";
        let bytes = fs::read(&path).unwrap();
        let begin = bytes.windows(last.len()).position(|text| text == last);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len((begin.unwrap() + last.len() - torn) as u64)
            .unwrap();
        if torn == 7 {
            // Only the beginning came to where zeros were.
            file.set_len(bytes.len() as u64).unwrap();
        }
        drop(file);
        let broker = dir.silent_broker(&[]);
        assert!(broker.log().contains("torn"), "{}", broker.log());
        let next = broker.publish(r#"{"id":"next"}"#);
        let mut expected: Vec<Kept> = (0..19)
            .map(|n| (format!("g{n}"), cursors[n].clone()))
            .collect();
        expected.push(("next".to_owned(), next.clone()));
        assert_eq!(history(&broker, &next), expected);
    }
}
