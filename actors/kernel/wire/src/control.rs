//! What is said to one subscriber alone: hello, keepalive, gap, farewell, and answers to its frames.

use std::borrow::Cow;

use glint::json::{Value, object};
use glint::{Offset, Stamp, State, Topic, Zone};

use crate::form::{Form, push_ws_gs1, push_ws_gs1_binary, to_glyph};
use crate::glyph;
use crate::gs1::{Frame, Kind};
use crate::payload::state_members;
use crate::sse;
use crate::standing::Document;
use crate::ws::{Opcode, push_close, push_frame};

/// The first word on a stream.
#[derive(Debug, Clone)]
pub struct Hello<'a> {
    /// The state now.
    pub state: State,
    /// The time now.
    pub stamp: Stamp,
    /// Where the stream begins: the place of the last event before it.
    pub cursor: Offset,
    /// Longest silence to expect, in milliseconds; a client may take twice that for a dead connection.
    pub keepalive_ms: u32,
    /// How long to wait before reconnecting, in milliseconds.
    pub retry_ms: u32,
    /// Whether everything after the cursor that was asked for will come.
    pub recovered: bool,
    /// The streams to come, for numbered forms.
    pub streams: &'a [Stream],
}

/// An entry of the directory: GS1 frames do not say which topic they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The sid of its frames.
    pub sid: u64,
    /// Its topics.
    pub topics: Vec<Topic>,
    /// Whether only a part of those topics is in it.
    pub filtered: bool,
}

/// Something said to one subscriber.
#[derive(Debug, Clone)]
pub enum Control<'a> {
    /// The greeting.
    Hello(&'a Hello<'a>),
    /// Further streams, for numbered forms; says nothing in others.
    Directory(&'a [Stream]),
    /// A sign of life.
    Keepalive(Stamp),
    /// History that was asked for and is gone.
    Gap {
        /// The place of the last event before the gap.
        from: Offset,
        /// The place of the last event in the gap.
        to: Offset,
        /// Why: a word for programs.
        reason: &'static str,
        /// The time now.
        stamp: Stamp,
    },
    /// Nothing came for this view, up to here: a client that resumes from here misses nothing.
    Cursor(Offset),
    /// How far behind the newest event this subscriber is.
    Status {
        /// Where it is.
        cursor: Offset,
        /// Events between there and the newest, whether they match or not.
        behind: u64,
        /// The time now.
        stamp: Stamp,
    },
    /// A slow reader gets the latest of each source instead of all that it missed.
    Conflated {
        /// The place of the last event before.
        from: Offset,
        /// The place of the last event that went into it.
        to: Offset,
        /// Events left out, as a later one of the same source follows.
        merged: u64,
        /// The time now.
        stamp: Stamp,
    },
    /// Where a topic stands, for a subscriber that asked for it and did not hear how it came there.
    Snapshot {
        /// The name of the event.
        name: &'static str,
        /// The topic.
        topic: Topic,
        /// The time now.
        stamp: Stamp,
        /// The payload: one line of ASCII JSON, an object.
        data: &'a str,
    },
    /// A topic as a document, for a subscriber that asked for patches to it; says nothing in forms without numbers.
    Document {
        /// The document.
        document: &'a Document,
        /// The sid on which changes of it come.
        sid: u64,
        /// The time now.
        stamp: Stamp,
    },
    /// The end: the stream closes after this.
    Farewell {
        /// Why: a word for programs.
        reason: &'static str,
        /// When to come back, in milliseconds.
        retry_ms: u32,
        /// The WebSocket close code.
        close_code: u16,
        /// The time now.
        stamp: Stamp,
    },
    /// A frame of the client's that was not taken.
    Error {
        /// A code for programs.
        code: &'a str,
        /// What is wrong.
        detail: &'a str,
    },
    /// An answer to a WebSocket ping.
    Pong(&'a [u8]),
    /// An answer to a ping in the client's own dialect.
    Beat,
    /// A receipt or another answer: one line of ASCII JSON, an object.
    Answer(&'a str),
}

impl Control<'_> {
    /// Appends this in `form`. `seq` counts the control frames of the connection: numbered forms send them on sid 0.
    pub fn push(&self, form: Form, zone: Zone, seq: &mut u64, out: &mut Vec<u8>) {
        match form {
            Form::SseNamed | Form::SseBilingual | Form::SseEnvelope => {
                self.push_compatible(form, zone, out)
            }
            Form::SsePlain => self.push_sse_plain(zone, out),
            Form::SseGs1 => self.push_gs1(zone, seq, out, |frame, out| {
                let mut bytes = Vec::new();
                crate::gs1::encode_text(frame, true, &mut bytes);
                sse::push_frame_event(&bytes, None, out);
            }),
            Form::WsGs1Text => self.push_gs1(zone, seq, out, push_ws_gs1),
            Form::WsGs1Binary => self.push_gs1(zone, seq, out, push_ws_gs1_binary),
            Form::WsPlain => {
                if let Some(line) = self.line(zone) {
                    push_frame(Opcode::Text, line.as_bytes(), out);
                }
            }
            Form::Ndjson => {
                if let Some(line) = self.line(zone) {
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
            }
        }
        self.push_ending(form, out);
    }

    /// What only some framings have: the lines that tell an `EventSource` when and where to return, WebSocket pings and
    /// closes.
    fn push_ending(&self, form: Form, out: &mut Vec<u8>) {
        match (self, form.is_websocket()) {
            (Control::Keepalive(_), true) => push_frame(Opcode::Ping, b"", out),
            (Control::Pong(payload), true) => push_frame(Opcode::Pong, payload, out),
            // No blank line: some clients take each one for an event, here one without data.
            (Control::Keepalive(_), false) if form == Form::SseGs1 => out.extend_from_slice(b":\n"),
            // Within the event of the frame. Without the place, a connection that is lost before its first event would
            // come back behind what it missed, and nobody would know.
            (Control::Hello(hello), false) if form == Form::SseGs1 => {
                out.pop();
                sse::push_retry(hello.retry_ms, out);
                sse::push_id(Some(hello.cursor), out);
                out.push(b'\n');
            }
            (Control::Cursor(cursor), false) if form == Form::SseGs1 => {
                out.pop();
                sse::push_id(Some(*cursor), out);
                out.push(b'\n');
            }
            (
                Control::Farewell {
                    close_code, reason, ..
                },
                true,
            ) => push_close(*close_code, reason, out),
            (Control::Farewell { retry_ms, .. }, false) if form != Form::Ndjson => {
                // Within the event that says farewell, before the blank line that ends it.
                out.pop();
                sse::push_retry(*retry_ms, out);
                out.push(b'\n');
            }
            _ => {}
        }
    }

    /// The dialects of the existing clients: the first frame is the bare state, its first six bytes are `data: `.
    fn push_compatible(&self, form: Form, zone: Zone, out: &mut Vec<u8>) {
        if let Control::Hello(hello) = self {
            let mut line = String::with_capacity(192);
            object(&mut line, |object| {
                state_members(object, &hello.state, hello.stamp, zone);
                object
                    .count("keepalive_ms", hello.keepalive_ms.into())
                    .flag("recovered", hello.recovered);
            });
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
            sse::push_retry(hello.retry_ms, out);
            sse::push_id(Some(hello.cursor), out);
            out.push(b'\n');
            return;
        }
        if let Control::Cursor(cursor) = self {
            let name = (form != Form::SseEnvelope).then_some("cursor");
            return sse::push_event(name, b"{}", Some(*cursor), out);
        }
        let Some((name, stamp, members)) = self.notice(zone) else {
            return;
        };
        if form != Form::SseEnvelope {
            return sse::push_event(Some(name), members.as_bytes(), None, out);
        }
        let mut line = String::with_capacity(members.len() + 96);
        object(&mut line, |object| {
            object
                .text("event", name)
                .display("timestamp", stamp.naive(zone))
                .json("data", &members);
        });
        sse::push_event(None, line.as_bytes(), None, out);
    }

    /// Name, time and flat members, in the manner of the existing events.
    fn notice(&self, zone: Zone) -> Option<(&'static str, Stamp, String)> {
        let mut members = String::with_capacity(96);
        let (name, stamp) = match self {
            Control::Keepalive(stamp) => ("keepalive", *stamp),
            Control::Gap { stamp, .. } => ("gap", *stamp),
            Control::Status { stamp, .. } => ("status", *stamp),
            Control::Conflated { stamp, .. } => ("conflated", *stamp),
            Control::Farewell { stamp, .. } => ("farewell", *stamp),
            Control::Snapshot {
                name, stamp, data, ..
            } => return Some((name, *stamp, (*data).to_owned())),
            _ => return None,
        };
        object(&mut members, |object| {
            match self {
                Control::Gap {
                    from, to, reason, ..
                } => {
                    object
                        .display("from", from)
                        .display("to", to)
                        .text("reason", reason);
                }
                Control::Farewell {
                    reason, retry_ms, ..
                } => {
                    object
                        .text("reason", reason)
                        .count("retry_ms", (*retry_ms).into());
                }
                Control::Status { cursor, behind, .. } => {
                    object.display("cursor", cursor).count("behind", *behind);
                }
                Control::Conflated {
                    from, to, merged, ..
                } => {
                    object
                        .display("from", from)
                        .display("to", to)
                        .count("merged", *merged);
                }
                _ => {}
            }
            object.display("timestamp", stamp.naive(zone));
        });
        Some((name, stamp, members))
    }

    fn push_sse_plain(&self, zone: Zone, out: &mut Vec<u8>) {
        let Some(line) = self.line(zone) else { return };
        let Control::Hello(hello) = self else {
            let name = match self {
                Control::Keepalive(_) => "keepalive",
                Control::Gap { .. } => "gap",
                Control::Farewell { .. } => "farewell",
                Control::Cursor(_) => "cursor",
                Control::Status { .. } => "status",
                Control::Conflated { .. } => "conflated",
                Control::Snapshot { name, .. } => name,
                _ => "answer",
            };
            let id = if let Control::Cursor(cursor) = self {
                Some(*cursor)
            } else {
                None
            };
            return sse::push_event(Some(name), line.as_bytes(), id, out);
        };
        out.extend_from_slice(b"event: hello\ndata: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        sse::push_retry(hello.retry_ms, out);
        sse::push_id(Some(hello.cursor), out);
        out.push(b'\n');
    }

    /// This broker's own JSON; none where there is nothing to say or the framing has a frame for it.
    fn line(&self, zone: Zone) -> Option<String> {
        let mut line = String::with_capacity(256);
        match self {
            Control::Directory(_) | Control::Pong(_) => return None,
            Control::Document {
                document,
                sid,
                stamp,
            } => {
                let hash: String = document
                    .hash
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                object(&mut line, |object| {
                    object
                        .text("event", "document")
                        .text("topic", document.topic.as_str())
                        .count("sid", *sid)
                        .text("hash", &hash)
                        .display("time", stamp)
                        .json("data", &document.text);
                });
            }
            Control::Answer(json) => return Some((*json).to_owned()),
            Control::Hello(hello) => object(&mut line, |object| {
                object
                    .text("event", "hello")
                    .display("cursor", hello.cursor)
                    .display("time", hello.stamp);
                object
                    .count("keepalive_ms", hello.keepalive_ms.into())
                    .count("retry_ms", hello.retry_ms.into());
                object.flag("recovered", hello.recovered);
                if !hello.streams.is_empty() {
                    push_streams(object, hello.streams);
                }
                object.object("data", |data| {
                    state_members(data, &hello.state, hello.stamp, zone)
                });
            }),
            Control::Keepalive(stamp) => object(&mut line, |object| {
                object.text("event", "keepalive").display("time", stamp);
            }),
            Control::Gap {
                from,
                to,
                reason,
                stamp,
            } => object(&mut line, |object| {
                object
                    .text("event", "gap")
                    .display("from", from)
                    .display("to", to);
                object.text("reason", reason).display("time", stamp);
            }),
            Control::Farewell {
                reason,
                retry_ms,
                stamp,
                ..
            } => object(&mut line, |object| {
                object
                    .text("event", "farewell")
                    .text("reason", reason)
                    .count("retry_ms", (*retry_ms).into());
                object.display("time", stamp);
            }),
            Control::Cursor(cursor) => object(&mut line, |object| {
                object.text("event", "cursor").display("cursor", cursor);
            }),
            Control::Status {
                cursor,
                behind,
                stamp,
            } => object(&mut line, |object| {
                object
                    .text("event", "status")
                    .display("cursor", cursor)
                    .count("behind", *behind);
                object.display("time", stamp);
            }),
            Control::Conflated {
                from,
                to,
                merged,
                stamp,
            } => object(&mut line, |object| {
                object
                    .text("event", "conflated")
                    .display("from", from)
                    .display("to", to);
                object.count("merged", *merged).display("time", stamp);
            }),
            Control::Snapshot {
                name,
                topic,
                stamp,
                data,
            } => object(&mut line, |object| {
                object
                    .text("event", name)
                    .text("topic", topic.as_str())
                    .display("time", stamp)
                    .json("data", data);
            }),
            Control::Beat => object(&mut line, |object| {
                object.text("event", "pong");
            }),
            Control::Error { code, detail } => object(&mut line, |object| {
                object
                    .text("event", "error")
                    .text("code", code)
                    .text("detail", detail);
            }),
        }
        Some(line)
    }

    fn push_gs1(
        &self,
        zone: Zone,
        seq: &mut u64,
        out: &mut Vec<u8>,
        carry: fn(&Frame<'_>, &mut Vec<u8>),
    ) {
        let (kind, payload) = match self {
            Control::Keepalive(_) | Control::Pong(_) => return,
            Control::Beat => (Kind::Pong, String::new()),
            Control::Directory(streams) => {
                let mut line = String::from("{\"event\": \"directory\"");
                let mut rest = String::new();
                object(&mut rest, |object| push_streams(object, streams));
                line.push_str(", ");
                line.push_str(&rest[1..]);
                (Kind::Doc, to_glyph(&line))
            }
            Control::Gap {
                from, to, reason, ..
            } => (
                Kind::Err,
                error_payload(
                    "SEQ_GAP",
                    &format!("history from {from} to {to} is gone: {reason}"),
                ),
            ),
            Control::Error { code, detail } => (Kind::Err, error_payload(code, detail)),
            _ => (Kind::Doc, to_glyph(&self.line(zone).unwrap_or_default())),
        };
        *seq += 1;
        carry(
            &Frame {
                sid: 0,
                seq: *seq,
                kind,
                payload: payload.as_bytes(),
                ..Frame::default()
            },
            out,
        );
    }
}

fn push_streams(object: &mut glint::json::Object<'_>, streams: &[Stream]) {
    object.array("streams", streams, |stream, out| {
        glint::json::object(out, |object| {
            object
                .count("sid", stream.sid)
                .array("topics", &stream.topics, |topic, out| {
                    glint::json::write_ascii_string(topic.as_str(), out);
                });
            object.flag("filtered", stream.filtered);
        });
    });
}

/// The error struct of GS1, members sorted as its readers expect.
fn error_payload(code: &str, message: &str) -> String {
    let mut text = String::new();
    let message = Value::String(Cow::Borrowed(message));
    // A string has a spelling, always.
    let _ = glyph::write(&message, glyph::Form::Profile, &mut text);
    format!("Error{{code={code} msg={text}}}")
}
