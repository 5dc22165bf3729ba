//! The ways in which a subscriber can be spoken to, and an event spelt in each of them.

use std::borrow::Cow;
use std::cell::OnceCell;

use glint::event::{Event, Name};
use glint::json::{self, Value, object};
use glint::{Offset, Topic, Zone};

use crate::gs1::{self, Frame};
use crate::shadow::push_envelope;
use crate::standing::{self, Change, Document};
use crate::ws::{Opcode, push_frame};
use crate::{glyph, sse};

/// A dialect in a framing: only those pairs that make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// Server-sent events with names and flat JSON: what existing line clients and `EventSource` listeners read.
    SseNamed,
    /// As [`Form::SseNamed`], and after each event a normalised envelope that only `onmessage` sees.
    SseBilingual,
    /// Unnamed server-sent events with normalised envelopes, for `onmessage` dashboards.
    SseEnvelope,
    /// Server-sent events with names and this broker's own JSON.
    SsePlain,
    /// GS1-T frames as server-sent events.
    SseGs1,
    /// This broker's own JSON, one WebSocket text message an event.
    WsPlain,
    /// GS1-T frames, one WebSocket text message each.
    WsGs1Text,
    /// GS1-B frames, one WebSocket binary message each.
    WsGs1Binary,
    /// This broker's own JSON, one line an event.
    Ndjson,
}

impl Form {
    /// All forms, each at the place of its number.
    pub const ALL: [Form; 9] = [
        Form::SseNamed,
        Form::SseBilingual,
        Form::SseEnvelope,
        Form::SsePlain,
        Form::SseGs1,
        Form::WsPlain,
        Form::WsGs1Text,
        Form::WsGs1Binary,
        Form::Ndjson,
    ];

    /// Returns a name for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Form::SseNamed => "sse_named",
            Form::SseBilingual => "sse_bilingual",
            Form::SseEnvelope => "sse_envelope",
            Form::SsePlain => "sse_plain",
            Form::SseGs1 => "sse_gs1",
            Form::WsPlain => "ws_plain",
            Form::WsGs1Text => "ws_gs1t",
            Form::WsGs1Binary => "ws_gs1b",
            Form::Ndjson => "ndjson",
        }
    }

    /// Tells whether frames carry a sid and a seq.
    #[must_use]
    pub fn is_numbered(self) -> bool {
        matches!(self, Form::SseGs1 | Form::WsGs1Text | Form::WsGs1Binary)
    }

    /// Tells whether this is a WebSocket.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Form::WsPlain | Form::WsGs1Text | Form::WsGs1Binary)
    }
}

/// The number of a frame: its stream and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Stream id, see [`sid_of_topic`] and [`sid_of_view`].
    pub sid: u64,
    /// Number within the stream, from 1.
    pub seq: u64,
}

/// Bits of a sid below the epoch.
const STREAM_BITS: u32 = 20;
/// First stream number that is not a topic's.
const FIRST_VIEW: u64 = 0x100;
/// Stream numbers of one life of the topics.
const LIFE_STRIDE: u64 = 32;

/// Lives of a topic's sid: a subscriber takes the next with each gap.
pub const TOPIC_LIVES: u8 = (FIRST_VIEW / LIFE_STRIDE) as u8;

const _: () = assert!(
    Topic::ALL.len() < LIFE_STRIDE as usize,
    "a topic has no number"
);

/// Returns the sid of a whole topic in an epoch: the same for every subscriber in the same life, so that frames can be
/// shared. `life` is the number of gaps that the subscriber met, below [`TOPIC_LIVES`].
///
/// Epoch and life are part of it, because a strict reader that met a jump within one sid would stay stuck for ever.
#[must_use]
pub fn sid_of_topic(epoch: u64, topic: Topic, life: u8) -> u64 {
    let life = u64::from(life % TOPIC_LIVES);
    (epoch << STREAM_BITS) | (life * LIFE_STRIDE + topic.index() as u64 + 1)
}

/// Returns the sid of the `number`th filtered stream in an epoch, distinct for 2^20 - 256 numbers in a row.
#[must_use]
pub fn sid_of_view(epoch: u64, number: u64) -> u64 {
    (epoch << STREAM_BITS) | (FIRST_VIEW + number % ((1 << STREAM_BITS) - FIRST_VIEW))
}

/// One event on its way into any number of lanes: each spelling of the payload is made at most once.
#[derive(Debug)]
pub struct Rendering<'e> {
    event: &'e Event,
    zone: Zone,
    plain: OnceCell<String>,
    envelope: OnceCell<String>,
    glyph: OnceCell<String>,
}

impl<'e> Rendering<'e> {
    /// Makes a rendering; nothing is spelt yet. `zone` is what zoneless times are local to.
    #[must_use]
    pub fn new(event: &'e Event, zone: Zone) -> Rendering<'e> {
        Rendering {
            event,
            zone,
            plain: OnceCell::new(),
            envelope: OnceCell::new(),
            glyph: OnceCell::new(),
        }
    }

    /// Appends the event in `form`. `place` is used by numbered forms only.
    pub fn push(&self, form: Form, place: Place, out: &mut Vec<u8>) {
        let id = self.event.topic().is_stored().then_some(self.event.offset);
        match form {
            Form::SseNamed => self.push_named(id, out),
            Form::SseBilingual => {
                self.push_named(id, out);
                if self.event.name != Name::Heartbeat {
                    sse::push_shadow(self.envelope(), out);
                }
            }
            Form::SseEnvelope => sse::push_event(None, self.envelope().as_bytes(), id, out),
            Form::SsePlain => sse::push_event(
                Some(self.event.name.as_str()),
                self.plain().as_bytes(),
                id,
                out,
            ),
            Form::SseGs1 | Form::WsGs1Text | Form::WsGs1Binary => {
                self.push_frame(form, &self.frame(place), out);
            }
            Form::WsPlain => push_frame(Opcode::Text, self.plain().as_bytes(), out),
            Form::Ndjson => {
                out.extend_from_slice(self.plain().as_bytes());
                out.push(b'\n');
            }
        }
    }

    /// Appends the change that the event is to its document, in a numbered form: as a patch, if the reader has what it
    /// is made to, else as the document.
    pub fn push_change(
        &self,
        form: Form,
        place: Place,
        change: &Change,
        has_before: bool,
        out: &mut Vec<u8>,
    ) {
        let patch = change.patch.as_ref().filter(|_| has_before);
        match patch.zip(change.before.as_ref()) {
            Some((patch, before)) => {
                let frame = Frame {
                    kind: gs1::Kind::Patch,
                    sid: place.sid,
                    seq: place.seq,
                    base: Some(before.hash),
                    payload: patch.as_bytes(),
                    ..Frame::default()
                };
                self.push_frame(form, &frame, out);
            }
            None => self.push_document(form, place, &change.after, out),
        }
    }

    /// Appends what the event says by itself of the document that its topic is, in a numbered form; an event of any
    /// other topic as always.
    pub fn push_alone(&self, form: Form, place: Place, out: &mut Vec<u8>) {
        match standing::alone(self.event) {
            Some(document) if form.is_numbered() => self.push_document(form, place, &document, out),
            _ => self.push(form, place, out),
        }
    }

    fn push_document(&self, form: Form, place: Place, document: &Document, out: &mut Vec<u8>) {
        let frame = Frame {
            sid: place.sid,
            seq: place.seq,
            payload: document.glyph.as_bytes(),
            ..Frame::default()
        };
        self.push_frame(form, &frame, out);
    }

    fn push_frame(&self, form: Form, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let id = self.event.topic().is_stored().then_some(self.event.offset);
        match form {
            Form::WsGs1Text => push_ws_gs1(frame, out),
            Form::WsGs1Binary => push_ws_gs1_binary(frame, out),
            _ => {
                let mut bytes = Vec::with_capacity(frame.payload.len() + 192);
                gs1::encode_text(frame, true, &mut bytes);
                sse::push_frame_event(&bytes, id, out);
            }
        }
    }

    /// The reference clients act on `event`/`data` members of these two alone: with them on phase and climate updates
    /// too, a scheduler would count each transition twice.
    fn push_named(&self, id: Option<Offset>, out: &mut Vec<u8>) {
        let text = &*self.event.text;
        let name = self.event.name.as_str();
        let additive = matches!(self.event.name, Name::Heartbeat | Name::UsageUpdate);
        let Some(open) = text.strip_suffix('}').filter(|_| additive) else {
            return sse::push_event(Some(name), text.as_bytes(), id, out);
        };
        let line = format!("{open}, \"event\": \"{name}\", \"data\": {text}}}");
        sse::push_event(Some(name), line.as_bytes(), id, out);
    }

    fn envelope(&self) -> &str {
        self.envelope.get_or_init(|| {
            let mut out = String::with_capacity(self.event.text.len() + 160);
            push_envelope(self.event, self.zone, &mut out);
            out
        })
    }

    fn plain(&self) -> &str {
        self.plain.get_or_init(|| plain(self.event))
    }

    fn glyph(&self) -> &str {
        self.glyph.get_or_init(|| to_glyph(self.plain()))
    }

    fn frame(&self, place: Place) -> Frame<'_> {
        // How something goes is for people to look at; everything else is a document.
        let kind = match self.event.name {
            Name::RitualStatusUpdate => gs1::Kind::Ui,
            _ => gs1::Kind::Doc,
        };
        Frame {
            kind,
            sid: place.sid,
            seq: place.seq,
            payload: self.glyph().as_bytes(),
            ..Frame::default()
        }
    }
}

/// Spells `event` in this broker's own JSON: who, where and when around the payload as it was posted.
#[must_use]
pub fn plain(event: &Event) -> String {
    let mut out = String::with_capacity(event.text.len() + 224);
    object(&mut out, |object| {
        object.text("event", event.name.as_str());
        if event.topic().is_stored() {
            object.display("cursor", event.offset);
        }
        object
            .text("topic", event.topic().as_str())
            .display("time", event.stamp);
        let words = [
            ("id", &event.id),
            ("source", &event.source),
            ("phase", &event.phase),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                object.text(key, word);
            }
        }
        object.json("data", &event.text);
    });
    out
}

/// Spells one of our own JSON lines as GLYPH.
pub(crate) fn to_glyph(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let value = json::parse_to_depth(line, glyph::MAX_DEPTH).unwrap_or(Value::Null);
    if glyph::write(&value, glyph::Form::Profile, &mut out).is_err() {
        // Cannot happen: admission refuses what a double cannot hold. A reader sees the text rather than nothing.
        let text = Value::String(Cow::Borrowed(line));
        let _ = glyph::write(&text, glyph::Form::Profile, &mut out);
    }
    out
}

pub(crate) fn push_ws_gs1(frame: &Frame<'_>, out: &mut Vec<u8>) {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 192);
    gs1::encode_text(frame, true, &mut bytes);
    push_frame(Opcode::Text, &bytes, out);
}

pub(crate) fn push_ws_gs1_binary(frame: &Frame<'_>, out: &mut Vec<u8>) {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 64);
    // Payloads are bounded by the glint limit, far below the 4 GiB that this format counts to.
    if gs1::encode_binary(frame, true, &mut bytes).is_ok() {
        push_frame(Opcode::Binary, &bytes, out);
    }
}
