//! What a client understands of the bytes that it is sent.

use glint::Offset;
use glint::json::{self, Value};
use wire::gs1::{self, Kind};
use wire::{Form, glyph};

/// One thing that was said on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Hello {
        cursor: Option<Offset>,
        recovered: bool,
        /// Sids that were announced.
        sids: Vec<u64>,
    },
    Event(Heard),
    Gap {
        from: Offset,
        to: Offset,
        reason: String,
    },
    Keepalive,
    /// Where the stream is, as nothing for it came of late.
    Cursor(Offset),
    /// How far behind the stream is.
    Status(u64),
    /// How many events were left out for the latest.
    Conflated(u64),
    Farewell(String),
    /// A frame on sid 0 that says that something is wrong.
    Error(String),
    Answer(String),
    Closed(u16),
}

/// An event, as far as its form tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Heard {
    pub(super) name: String,
    pub(super) cursor: Option<Offset>,
    pub(super) id: Option<String>,
    pub(super) place: Option<(u64, u64)>,
}

/// Reads a chunk, which must consist of whole frames.
pub(super) fn read(form: Form, chunk: &[u8]) -> Vec<Said> {
    match form {
        Form::Ndjson => {
            let text = std::str::from_utf8(chunk).expect("UTF-8");
            assert!(text.ends_with('\n'), "half a line: {text:?}");
            text.lines().map(of_line).collect()
        }
        Form::WsPlain | Form::WsGs1Text | Form::WsGs1Binary => read_ws(chunk),
        _ => read_sse(form, chunk),
    }
}

fn read_ws(mut chunk: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    while !chunk.is_empty() {
        let (head, len) = match chunk[1] {
            126 => (4, u16::from_be_bytes([chunk[2], chunk[3]]).into()),
            127 => (
                10,
                u64::from_be_bytes(chunk[2..10].try_into().expect("8 bytes")) as usize,
            ),
            len => (2, usize::from(len)),
        };
        let payload = &chunk[head..head + len];
        match (chunk[0], payload.first()) {
            (0x81, Some(b'@')) | (0x82, _) => said.push(of_gs1(payload)),
            (0x81, _) => said.push(of_line(std::str::from_utf8(payload).expect("UTF-8"))),
            (0x89, _) => said.push(Said::Keepalive),
            (0x88, _) => said.push(Said::Closed(u16::from_be_bytes([payload[0], payload[1]]))),
            other => panic!("a frame of {other:?}"),
        }
        chunk = &chunk[head + len..];
    }
    // A keepalive in WebSocket JSON is said in words and as a ping: one sign of life.
    said.dedup_by(|a, b| *a == Said::Keepalive && *b == Said::Keepalive);
    said
}

fn read_sse(form: Form, chunk: &[u8]) -> Vec<Said> {
    let mut rest = std::str::from_utf8(chunk).expect("UTF-8");
    let mut said = Vec::new();
    while let Some(after) = rest.strip_prefix(":\n") {
        said.push(Said::Keepalive);
        rest = after;
    }
    if rest.is_empty() {
        return said;
    }
    let whole = rest.strip_suffix("\n\n").expect("whole events");
    said.extend(
        whole
            .split("\n\n")
            .filter_map(|block| of_block(form, block)),
    );
    said
}

fn of_block(form: Form, block: &str) -> Option<Said> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let cursor = field("id: ").map(|id| id.parse::<Offset>().expect("an offset"));
    if block.starts_with("retry: ") || block.starts_with("data:{") {
        return None;
    }
    if form == Form::SseGs1 {
        let data: Vec<&str> = block
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        let said = of_gs1(data.join("\n").as_bytes());
        if let (Said::Event(heard), Some(_)) = (&said, cursor) {
            assert_eq!(heard.cursor, cursor, "the id says what the payload says");
        }
        return Some(said);
    }
    let data = field("data: ").expect("data");
    if form == Form::SsePlain {
        return Some(of_line(data));
    }
    if data == "{}" {
        return cursor.map(Said::Cursor);
    }
    let value = json::parse(data).expect("JSON");
    if value.get("recovered").is_some() {
        return Some(Said::Hello {
            cursor,
            recovered: flag(&value, "recovered"),
            sids: Vec::new(),
        });
    }
    let (name, inner) = match form {
        Form::SseEnvelope => (text(&value, "event"), value.get("data").expect("data")),
        _ => (field("event: ").expect("a name").to_owned(), &value),
    };
    Some(match name.as_str() {
        "keepalive" => Said::Keepalive,
        "status" => Said::Status(count(inner, "behind")),
        "conflated" => Said::Conflated(count(inner, "merged")),
        "gap" => gap(inner),
        "farewell" => Said::Farewell(text(inner, "reason")),
        _ => Said::Event(Heard {
            id: [inner.get("id"), inner.at(&["glint", "id"])]
                .into_iter()
                .flatten()
                .find_map(|id| id.as_str().map(str::to_owned)),
            name,
            cursor,
            place: None,
        }),
    })
}

fn of_gs1(bytes: &[u8]) -> Said {
    let mut decoder = gs1::Decoder::new(gs1::Limits::default());
    let mut input = bytes;
    let frame = decoder
        .next_frame(&mut input)
        .expect("a frame")
        .expect("a good frame");
    assert!(matches!(input, b"" | b"\n"), "one frame a message");
    let payload = std::str::from_utf8(frame.payload).expect("UTF-8");
    if frame.kind == Kind::Err {
        assert_eq!(frame.sid, 0);
        let Some((_, history)) = payload.split_once("history from ") else {
            return Said::Error(payload.to_owned());
        };
        let words: Vec<&str> = history.split([' ', ':', '"']).collect();
        let offset = |word: &str| word.parse().expect("an offset");
        return Said::Gap {
            from: offset(words[0]),
            to: offset(words[2]),
            reason: words[6].to_owned(),
        };
    }
    let value = glyph::parse(payload).expect("GLYPH");
    match of_value(&value) {
        Said::Event(heard) => Said::Event(Heard {
            place: Some((frame.sid, frame.seq)),
            ..heard
        }),
        control => {
            assert_eq!(frame.sid, 0, "{control:?}");
            control
        }
    }
}

fn of_line(line: &str) -> Said {
    of_value(&json::parse(line).expect("JSON"))
}

fn of_value(value: &Value<'_>) -> Said {
    let name = text(value, "event");
    match name.as_str() {
        "hello" => Said::Hello {
            cursor: offset(value, "cursor"),
            recovered: flag(value, "recovered"),
            sids: sids(value),
        },
        "keepalive" => Said::Keepalive,
        "cursor" => Said::Cursor(offset(value, "cursor").expect("a cursor")),
        "status" => Said::Status(count(value, "behind")),
        "conflated" => Said::Conflated(count(value, "merged")),
        "gap" => gap(value),
        "farewell" => Said::Farewell(text(value, "reason")),
        "error" => Said::Error(text(value, "code")),
        "directory" | "" => Said::Answer(value.to_ascii()),
        _ => Said::Event(Heard {
            name,
            cursor: offset(value, "cursor"),
            id: value.get("id").and_then(Value::as_str).map(str::to_owned),
            place: None,
        }),
    }
}

fn gap(value: &Value<'_>) -> Said {
    Said::Gap {
        from: offset(value, "from").expect("from"),
        to: offset(value, "to").expect("to"),
        reason: text(value, "reason"),
    }
}

fn count(value: &Value<'_>, key: &str) -> u64 {
    value.get(key).and_then(Value::as_f64).expect("a count") as u64
}

fn sids(value: &Value<'_>) -> Vec<u64> {
    let Some(Value::Array(streams)) = value.get("streams") else {
        return Vec::new();
    };
    let sid = |stream: &Value<'_>| stream.get("sid").and_then(Value::as_f64).expect("a sid") as u64;
    streams.iter().map(sid).collect()
}

fn text(value: &Value<'_>, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn offset(value: &Value<'_>, key: &str) -> Option<Offset> {
    let word = value.get(key).and_then(Value::as_str)?;
    Some(word.parse().expect("an offset"))
}

fn flag(value: &Value<'_>, key: &str) -> bool {
    matches!(value.get(key), Some(Value::Bool(true)))
}
