//! Everybody gets every accepted glint exactly once, in one order, with the content that was published.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use glint::Draft;
use glint::json::Value;
use support::gs1::Cursors;
use support::{Broker, count_at, fixtures, parse, same_in_doubles, text_at, ws};

/// Readers of each kind.
const EACH: usize = 2;
/// The id of the glint after which a reader is done.
const LAST: &str = "the last one";

/// Every shape that agents are known to send, and what is hard about each; all of them are taken.
const SHAPES: &[&str] = &[
    r#"{"event": "glint_emission", "timestamp": "2025-07-01T10:00:00.000001", "data": {"glint": {"id": "a-1", "timestamp": "2025-07-01T10:00:00.000001", "module": "spiral.emitter", "phase": "inhale", "context": {"k": [1, 2.50, null]}, "type": "module_invocation", "stream_sync": true}, "breath_state": {"phase": "inhale", "progress": 0.48999999999999994, "climate": "clear"}}}"#,
    r#"{"glint.id": "glint-1751337600000", "glint.timestamp": 1751337600000, "glint.source": "spiral.linter", "glint.content": "Silent awareness", "glint.toneform": "practical", "glint.hue": "cyan", "glint.intensity": 1, "glint.phase": "hold", "glint.glyph": "•", "glint.rule_glyph": "", "glint.vector": {"from": "a", "to": "b", "via": "c"}}"#,
    r#"{"glint.id": "glint-1751337600000", "glint.timestamp": 1751337600.25, "glint.content": "the same id, another content"}"#,
    r#"{"timestamp": "2025-07-01T10:00:02Z", "phase": "Hold", "toneform": "spiritual", "content": "no id", "source": "agent", "metadata": {"metadata": {"deep": 1}}}"#,
    r#"{"glint": {"content": "recursion depth exceeded", "phase": "error", "toneform": "silence.density.check"}, "timestamp": "2025-07-04T02:37:23.123456", "source": "direct_post"}"#,
    r#"{"glint": {"content": "only a glint"}, "timestamp": "2025-07-04T02:37:25"}"#,
    r#"{"glint_id": "e-1", "resonance": 0.1, "phase": "exhale.cast"}"#,
    r#"{"id": "glint_0123456789abcdef", "resonance": {"level": 1e-7}, "related_glints": ["glint_1", "glint_2"]}"#,
    r#"{"glint_vector": [1, -0.0, 1E+2], "resonance_trace": [], "suggestion": "breathe"}"#,
    r#"{"glint_type": "oracle", "payload": {"ritual_phase": "calibration"}}"#,
    r#"{"path": "C:\\spiral\\rituals\\a.breathe", "text": "one\ntwo\r\nthree\u0085four\u2028five", "quote": "\"q\""}"#,
    r#"{"emoji": "🌀☍️", "escaped": "\ud83c\udf00\u260d\ufe0f", "javanese": "꧁꧂", "delta": "ΔPLANT.001"}"#,
    r#"{"number": 123456789012345678901234567890, "float": 0.10, "exponent": 1e5, "negative": -17}"#,
    r#"{"twice": 1, "other": 2, "twice": 3}"#,
    r#"{"progress": 1.0417, "phase": "ritual.begin", "ritual_phase": "calibration", "next_phase": "Hold"}"#,
    r#"{"t": "t", "f": "f", "_": "_", "null": null, "true": true, "nothing": {}, "none": [], "tab": "a|b"}"#,
    r#"{"list": [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 3}], "mixed": ["word", {"x": 1}]}"#,
    r#"{"data": {"no": "glint"}, "id": 17}"#,
    r#"{"event": "heartbeat", "state": {"phase": "hold"}, "id": "pretender"}"#,
    "{}",
];

/// One glint as a reader got it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    /// Its cursor; in GS1 over a WebSocket the payload says it.
    cursor: String,
    /// The payload, as text.
    text: String,
}

type Reader = JoinHandle<Vec<Got>>;

fn is_last(text: &str) -> bool {
    text.contains(LAST)
}

/// Reads server-sent events with names; with `shadows`, each glint is followed by its envelope.
fn named(broker: &Broker, query: &str, shadows: bool) -> Reader {
    let mut events = broker.listen(query);
    thread::spawn(move || {
        let mut got: Vec<Got> = Vec::new();
        loop {
            let event = events.next();
            if event.name != "glint_emission" {
                assert_ne!(event.name, "gap", "{}", event.data);
                continue;
            }
            assert!(event.data.is_ascii());
            let cursor = event.own_id().expect("a glint has an id").to_owned();
            if shadows {
                let shadow = events.next();
                assert_eq!(shadow.name, "message");
                assert!(
                    shadow.raw.starts_with(b"data:{"),
                    "no space: line clients look for one"
                );
                let shadow = shadow.json();
                assert_eq!(text_at(&shadow, &["event"]), "glint_emission");
                for key in ["id", "module", "phase", "type", "timestamp"] {
                    text_at(&shadow, &["data", "glint", key]);
                }
            }
            let text = event.data;
            let done = is_last(&text);
            got.push(Got { cursor, text });
            if done {
                return got;
            }
        }
    })
}

/// Reads this broker's own JSON, from wherever `next` has it.
fn plain(mut next: impl FnMut() -> String + Send + 'static) -> Reader {
    thread::spawn(move || {
        let mut got = Vec::new();
        loop {
            let line = next();
            let value = parse(&line);
            match text_at(&value, &["event"]) {
                "glint_emission" => {}
                "gap" => panic!("{line}"),
                _ => continue,
            }
            // The payload stands as it is at the end of the line, so it can be taken out without being read.
            let at = line.find("\"data\": ").expect("data") + "\"data\": ".len();
            let text = line[at..line.len() - 1].to_owned();
            let cursor = text_at(&value, &["cursor"]).to_owned();
            let done = is_last(&text);
            got.push(Got { cursor, text });
            if done {
                return got;
            }
        }
    })
}

/// Reads GS1 frames; what they carry is given as JSON again.
fn framed(mut next: impl FnMut() -> support::gs1::Frame + Send + 'static) -> Reader {
    thread::spawn(move || {
        let (mut got, mut cursors) = (Vec::new(), Cursors::default());
        loop {
            let frame = next();
            cursors.take(&frame);
            if frame.sid == 0 {
                continue;
            }
            let value = frame.value();
            assert_eq!(
                text_at(&value, &["event"]),
                "glint_emission",
                "topics=glints"
            );
            let cursor = text_at(&value, &["cursor"]).to_owned();
            let text = value.get("data").expect("data").to_ascii();
            let done = is_last(&text);
            got.push(Got { cursor, text });
            if done {
                return got;
            }
        }
    })
}

/// Readers that see the payload as JSON text, and readers that see it as GLYPH.
struct Audience {
    json: Vec<Reader>,
    glyph: Vec<Reader>,
}

fn audience(broker: &Broker) -> Audience {
    let (mut json, mut glyph) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        json.push(named(broker, "", false));
        json.push(named(broker, "?dialect=bilingual", true));
        let mut plain_events = broker.listen("?dialect=plain");
        json.push(plain(move || plain_events.next().data));
        let mut lines = broker.lines("");
        lines.next();
        json.push(plain(move || lines.try_text().expect("a line")));
        let mut socket = broker.socket("", &[ws::JSON]);
        socket.next_json();
        json.push(plain(move || match socket.next() {
            tungstenite::Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }));
        let mut events = broker.listen("?framing=gs1&topics=glints");
        glyph.push(framed(move || {
            support::gs1::text_frame(events.next().data.as_bytes())
        }));
        for protocol in [ws::GS1_TEXT, ws::GS1_BINARY] {
            let mut socket = broker.socket("?topics=glints", &[protocol]);
            socket.next_frame();
            glyph.push(framed(move || socket.next_frame()));
        }
    }
    Audience { json, glyph }
}

impl Audience {
    /// Waits for everybody to have heard the last glint, and compares what they heard with what was `posted`.
    fn check(self, posted: &[String]) {
        let expected: Vec<Value<'static>> = posted.iter().map(|line| as_sent(line)).collect();
        let mut heard = self
            .json
            .into_iter()
            .map(|reader| reader.join().expect("a reader"));
        let first = heard.next().expect("a reader");
        assert_eq!(
            first.len(),
            expected.len() + 1,
            "every glint and the last one"
        );
        for (nth, (got, expected)) in first.iter().zip(&expected).enumerate() {
            assert_eq!(
                &parse(&got.text),
                expected,
                "glint {nth}, lexemes and order of members included"
            );
        }
        for others in heard {
            let same = others
                .iter()
                .zip(&first)
                .position(|(other, first)| other != first);
            assert_eq!(
                (same, others.len()),
                (None, first.len()),
                "everybody hears the same"
            );
        }
        for reader in self.glyph {
            let got = reader.join().expect("a reader");
            assert_eq!(got.len(), first.len());
            for (got, first) in got.iter().zip(&first) {
                assert_eq!(got.cursor, first.cursor);
                assert!(
                    same_in_doubles(&parse(&got.text), &parse(&first.text)),
                    "{} is {}",
                    got.text,
                    first.text
                );
            }
        }
    }
}

/// What a posted line is to be on its way out: itself, except that nobody else speaks in the broker's name.
fn as_sent(line: &str) -> Value<'static> {
    let mut value = parse(line);
    let Value::Object(members) = &mut value else {
        panic!("{line}")
    };
    let spoken = Value::String("glint_emission".into());
    if let Some(at) = members
        .iter()
        .position(|(key, value)| key == "event" && *value != spoken)
    {
        let posted = std::mem::replace(&mut members[at].1, spoken);
        members.insert(at + 1, ("posted_event".into(), posted));
    }
    value
}

/// Publishes lines with the command line's own `publish`, and returns how many it reports as accepted.
fn publish(broker: &Broker, file: &str) -> u64 {
    let output = broker.run(&["publish", file, "--to", &broker.url(), "--batch", "500"]);
    let report = String::from_utf8(output.stderr).unwrap();
    let accepted = report
        .lines()
        .find_map(|line| line.strip_prefix("accepted "));
    accepted
        .unwrap_or_else(|| panic!("{report}"))
        .trim()
        .parse()
        .unwrap()
}

fn finish(broker: &Broker) {
    broker.publish(&format!(r#"{{"id": "{LAST}"}}"#));
}

#[test]
fn every_shape_reaches_every_reader_once_and_in_order() {
    let broker = Broker::start().breathing();
    let audience = audience(&broker);
    let posted: Vec<String> = (0..20)
        .flat_map(|_| SHAPES)
        .map(|line| (*line).to_owned())
        .collect();
    let file = format!(
        "{}/shapes-{}.jsonl",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    std::fs::write(&file, posted.join("\n")).unwrap();
    assert_eq!(publish(&broker, &file), posted.len() as u64);
    finish(&broker);
    audience.check(&posted);
}

#[test]
fn recorded_glints_reach_every_reader_once_and_in_order() {
    let Some(directory) = fixtures::directory("the recorded glints in one order") else {
        return;
    };
    let broker = Broker::start().breathing();
    let audience = audience(&broker);
    let mut posted = Vec::new();
    for file in fixtures::corpora(&directory) {
        let lines = good_lines(&file);
        assert_eq!(
            publish(&broker, file.to_str().unwrap()),
            lines.len() as u64,
            "{}",
            file.display()
        );
        posted.extend(lines);
    }
    finish(&broker);
    audience.check(&posted);
    let stats = broker.get("/api/glint/stats").json();
    assert_eq!(count_at(&stats, &["total"]), posted.len() as u64 + 1);
}

/// The lines of a file that are JSON objects.
fn good_lines(file: &PathBuf) -> Vec<String> {
    let bytes = std::fs::read(file).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let texts = lines.filter_map(|line| std::str::from_utf8(line).ok());
    texts
        .filter(|line| Draft::read(line.as_bytes(), 1 << 22, uuid::Uuid::nil()).is_ok())
        .map(str::to_owned)
        .collect()
}

#[test]
fn publishers_at_the_same_time_are_in_one_order_for_all() {
    let broker = Broker::start().breathing();
    let audience = audience(&broker);
    thread::scope(|scope| {
        for publisher in 0..4 {
            let broker = &broker;
            scope.spawn(move || {
                for number in 0..50 {
                    broker.publish(&format!(
                        r#"{{"id": "{publisher}-{number}", "source": "p{publisher}"}}"#
                    ));
                }
            });
        }
    });
    finish(&broker);
    let heard: Vec<Vec<Got>> = audience
        .json
        .into_iter()
        .chain(audience.glyph)
        .map(|reader| reader.join().unwrap())
        .collect();
    let ids = |got: &Vec<Got>| -> Vec<String> {
        got.iter()
            .map(|got| text_at(&parse(&got.text), &["id"]).to_owned())
            .collect()
    };
    let first = ids(&heard[0]);
    assert_eq!(first.len(), 201);
    for publisher in 0..4 {
        let own: Vec<&String> = first
            .iter()
            .filter(|id| id.starts_with(&format!("{publisher}-")))
            .collect();
        let sent: Vec<String> = (0..50)
            .map(|number| format!("{publisher}-{number}"))
            .collect();
        assert_eq!(
            own,
            sent.iter().collect::<Vec<_>>(),
            "a publisher's own order stands"
        );
    }
    for others in &heard {
        assert_eq!(ids(others), first);
    }
}
