//! Clients, modelled after the specifications they follow and the habits that are known of them.

use wire::gs1::{BinaryDecoder, Frame, Kind, TextDecoder};

/// An event that an `EventSource` dispatched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) last_id: String,
}

/// What an `EventSource` made of a stream.
#[derive(Debug, Default)]
pub(crate) struct EventSource {
    pub(crate) messages: Vec<Message>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) last_id: String,
    name: String,
    data: String,
}

impl EventSource {
    /// Reads a whole stream as the HTML standard says, section 9.2.6.
    pub(crate) fn read(bytes: &[u8]) -> EventSource {
        let text = str::from_utf8(bytes).unwrap();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut source = EventSource::default();
        for line in text.strip_suffix('\n').unwrap().split('\n') {
            source.line(line);
        }
        assert!(
            source.data.is_empty() && source.name.is_empty(),
            "cut short"
        );
        source
    }

    /// What `addEventListener(name)` saw.
    pub(crate) fn named(&self, name: &str) -> Vec<&str> {
        let messages = self.messages.iter().filter(|message| message.name == name);
        messages.map(|message| message.data.as_str()).collect()
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.last_id = value.to_owned(),
            "retry" => self.retry_ms = Some(value.parse().unwrap()),
            // A comment.
            "" => {}
            _ => panic!("no such field: {line:?}"),
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if data.is_empty() {
            return;
        }
        self.messages.push(Message {
            name: if name.is_empty() {
                "message".to_owned()
            } else {
                name
            },
            data: data.strip_suffix('\n').unwrap().to_owned(),
            last_id: self.last_id.clone(),
        });
    }
}

/// What the existing line-oriented clients see: they cut decoded text at every line break that Unicode knows, and read
/// the JSON behind `data: `, whatever the event is called.
pub(crate) fn line_client(bytes: &[u8]) -> Vec<String> {
    let is_break = |ch| {
        matches!(
            ch,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let lines = str::from_utf8(bytes).unwrap().split(is_break);
    let seen = lines.filter_map(|line| line.strip_prefix("data: "));
    seen.map(str::to_owned).collect()
}

/// The frames that a WebSocket client takes: opcode and payload.
pub(crate) fn web_socket(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [head, len, rest @ ..] = bytes {
        assert_eq!(head & 0xF0, 0x80, "final, no extension");
        assert!(*len < 128, "a server does not mask");
        let (len, rest) = match len {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            127 => (
                u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize,
                &rest[8..],
            ),
            len => (usize::from(*len), rest),
        };
        frames.push((head & 0x0F, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "cut short");
    frames
}

/// A GS1 frame that came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) sid: u64,
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: String,
}

impl Received {
    fn of(frame: &Frame<'_>) -> Received {
        assert_eq!(frame.crc, Some(crc32fast::hash(frame.payload)));
        assert_eq!((frame.base, frame.is_final), (None, false));
        Received {
            sid: frame.sid,
            seq: frame.seq,
            kind: frame.kind,
            payload: str::from_utf8(frame.payload).unwrap().to_owned(),
        }
    }
}

/// Reads the one GS1-T frame that `bytes` are.
pub(crate) fn text_frame(mut bytes: &[u8]) -> Received {
    assert!(bytes.starts_with(b"@frame{") && bytes.ends_with(b"\n"));
    let mut decoder = TextDecoder::default();
    let received = Received::of(&decoder.next_frame(&mut bytes).unwrap().unwrap());
    assert!(decoder.next_frame(&mut bytes).is_none() && decoder.finish().is_none());
    received
}

/// Reads the one GS1-B frame that `bytes` are.
pub(crate) fn binary_frame(mut bytes: &[u8]) -> Received {
    let mut decoder = BinaryDecoder::default();
    let received = Received::of(&decoder.next_frame(&mut bytes).unwrap().unwrap());
    assert!(decoder.next_frame(&mut bytes).is_none() && decoder.finish().is_ok());
    received
}

/// Reads the GS1 frames of a stream in a numbered form.
pub(crate) fn gs1_client(form: wire::Form, bytes: &[u8]) -> Vec<Received> {
    match form {
        wire::Form::SseGs1 => {
            let messages = EventSource::read(bytes).messages.into_iter();
            let messages = messages.inspect(|message| assert_eq!(message.name, "message"));
            messages
                .map(|message| text_frame(message.data.as_bytes()))
                .collect()
        }
        wire::Form::WsGs1Text => {
            let frames = web_socket(bytes)
                .into_iter()
                .filter(|(opcode, _)| *opcode < 8);
            let frames = frames.inspect(|(opcode, _)| assert_eq!(*opcode, 1));
            frames.map(|(_, payload)| text_frame(&payload)).collect()
        }
        wire::Form::WsGs1Binary => {
            let frames = web_socket(bytes)
                .into_iter()
                .filter(|(opcode, _)| *opcode < 8);
            let frames = frames.inspect(|(opcode, _)| assert_eq!(*opcode, 2));
            frames.map(|(_, payload)| binary_frame(&payload)).collect()
        }
        other => panic!("{other:?} has no frames"),
    }
}
