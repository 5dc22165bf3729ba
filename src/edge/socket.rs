//! The WebSocket side of a stream: the handshake, and what clients say.
//!
//! What goes out is the same lane as everywhere. What comes in, one message at a time:
//!
//! | form | publishes | acknowledges | pings | asks to begin anew |
//! | --- | --- | --- | --- | --- |
//! | `gs1-t.v1`, `gs1-b.v1` | `doc`, `row` frame, GLYPH or JSON payload | `ack` frame | `ping` frame | `ui` frame `ResyncRequest{…}` |
//! | `glintcast.json.v1` | `{"op": "publish", "glint": {…}}` | `{"op": "ack"}` | `{"op": "ping"}` | `{"op": "resync"}` |
//!
//! A frame that cannot be read is answered with an error and ends the connection: 1007 when its bytes are wrong, 1009
//! when it is too large, 1003 when it is of the wrong type, 1002 when it is no WebSocket frame at all. A glint that is refused is answered and ends nothing.

use actix_web::body::MessageBody;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, ProtocolError};
use actors::emitter::Offer;
use actors::shard::{Line, Seat};
use futures_util::StreamExt;
use glint::json::{Value, object};
use glint::{Draft, Refusal, RefusalKind, draft, json};
use wire::gs1::{BinaryDecoder, DecodeError, Kind, Limits, TextDecoder};
use wire::{Control, Form, glyph};

use super::body::StreamBody;
use super::desk::Worker;
use super::negotiate::SUBPROTOCOLS;
use super::problem::problem;

/// WebSocket close codes (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const BAD_DATA: u16 = 1007;
const TOO_LARGE: u16 = 1009;

/// What may stand around a glint in a message: the header of a frame, or the members beside it.
const WRAPPING_BYTES: usize = 1024;

/// Turns a request into a WebSocket that carries `seat`.
pub fn open(
    http: &HttpRequest,
    payload: Payload,
    worker: Worker,
    seat: Seat,
    form: Form,
) -> HttpResponse {
    let (response, _session, messages) =
        match actix_ws::handle_with_protocols(http, payload, &SUBPROTOCOLS) {
            Ok(parts) => parts,
            Err(err) => {
                let detail = format!("this is no WebSocket handshake: {err}");
                return problem(&Refusal::invalid("handshake_malformed", detail), |_| {});
            }
        };
    let max_bytes = worker.desk().limits.glint_bytes + WRAPPING_BYTES;
    let messages = messages
        .max_frame_size(max_bytes)
        .aggregate_continuations()
        .max_continuation_size(max_bytes);
    rt::spawn(listen(
        messages,
        Peer {
            worker,
            form,
            line: seat.line(),
        },
    ));
    // The library's own body sends nothing; its end is what tells the reader that the connection is gone.
    response.map_body(|_, companion| StreamBody::with_companion(seat, companion).boxed())
}

async fn listen(mut messages: AggregatedMessageStream, peer: Peer) {
    while let Some(message) = messages.next().await {
        let heard = match message {
            Ok(AggregatedMessage::Text(text)) => peer.text(text.as_ref()).await,
            Ok(AggregatedMessage::Binary(bytes)) => peer.binary(&bytes).await,
            Ok(AggregatedMessage::Ping(payload)) => {
                peer.line.say(&Control::Pong(&payload));
                Ok(())
            }
            Ok(AggregatedMessage::Pong(_)) => Ok(()),
            Ok(AggregatedMessage::Close(_)) => {
                peer.line.hang_up("closed", NORMAL);
                return;
            }
            Err(ProtocolError::Overflow) => Err(Fatal::new(
                TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                &"the message is too long",
            )),
            // The connection broke, or a text is not UTF-8.
            Err(ProtocolError::Io(err)) => Err(Fatal::new(BAD_DATA, "FRAME_INVALID", &err)),
            Err(err) => Err(Fatal::new(PROTOCOL_ERROR, "FRAME_INVALID", &err)),
        };
        if let Err(fatal) = heard {
            peer.line.say(&Control::Error {
                code: fatal.code,
                detail: &fatal.detail,
            });
            peer.line.hang_up("bad_frame", fatal.close_code);
            return;
        }
    }
}

/// The client of one WebSocket.
struct Peer {
    worker: Worker,
    form: Form,
    line: Line,
}

/// What ends a connection.
struct Fatal {
    close_code: u16,
    code: &'static str,
    detail: String,
}

impl Fatal {
    fn new(close_code: u16, code: &'static str, detail: &dyn std::fmt::Display) -> Fatal {
        Fatal {
            close_code,
            code,
            detail: detail.to_string(),
        }
    }

    fn of_frame(err: &DecodeError) -> Fatal {
        let close_code = if err.code() == "PAYLOAD_TOO_LARGE" {
            TOO_LARGE
        } else {
            BAD_DATA
        };
        Fatal::new(close_code, err.code(), &err)
    }
}

impl Peer {
    async fn text(&self, text: &str) -> Result<(), Fatal> {
        match self.form {
            Form::WsGs1Text => {
                let mut decoder = TextDecoder::new(self.limits());
                let mut input = text.as_bytes();
                while let Some(frame) = decoder.next_frame(&mut input) {
                    let frame = frame.map_err(|err| Fatal::of_frame(&err))?;
                    self.frame(frame.kind, frame.payload).await?;
                }
                match decoder.finish() {
                    Some(Err(err)) => Err(Fatal::of_frame(&err)),
                    _ => Ok(()),
                }
            }
            Form::WsGs1Binary => Err(Fatal::new(
                UNSUPPORTED,
                "FRAME_INVALID",
                &"gs1-b.v1 is spoken in binary messages",
            )),
            _ => self.operation(text).await,
        }
    }

    async fn binary(&self, bytes: &[u8]) -> Result<(), Fatal> {
        if self.form != Form::WsGs1Binary {
            return Err(Fatal::new(
                UNSUPPORTED,
                "FRAME_INVALID",
                &"this subprotocol is spoken in text messages",
            ));
        }
        let mut decoder = BinaryDecoder::new(self.limits());
        let mut input = bytes;
        while let Some(frame) = decoder.next_frame(&mut input) {
            let frame = frame.map_err(|err| Fatal::of_frame(&err))?;
            self.frame(frame.kind, frame.payload).await?;
        }
        decoder.finish().map_err(|err| Fatal::of_frame(&err))
    }

    fn limits(&self) -> Limits {
        let max_payload = u32::try_from(self.worker.desk().limits.glint_bytes).unwrap_or(u32::MAX);
        Limits {
            max_payload,
            ..Limits::default()
        }
    }

    async fn frame(&self, kind: Kind, payload: &[u8]) -> Result<(), Fatal> {
        match kind {
            Kind::Doc | Kind::Row => {
                let text = std::str::from_utf8(payload).map_err(|err| {
                    Fatal::new(
                        BAD_DATA,
                        "FRAME_INVALID",
                        &format!("the payload is not UTF-8: {err}"),
                    )
                })?;
                self.publish(
                    glyph::parse(text).map_err(|err| Refusal::invalid("glyph_malformed", err)),
                )
                .await;
            }
            Kind::Ping => self.line.say(&Control::Beat),
            Kind::Ui if payload.starts_with(b"ResyncRequest") => self.line.directory(),
            // Positions are the client's to keep; what it shows people is none of our business.
            Kind::Ack | Kind::Pong | Kind::Err | Kind::Ui => {}
            Kind::Patch | Kind::Unknown(_) => {
                let detail = "send doc, row, ack, ping or ui frames; patches go out only";
                self.line.say(&Control::Error {
                    code: "KIND_UNSUPPORTED",
                    detail,
                });
            }
        }
        Ok(())
    }

    async fn operation(&self, text: &str) -> Result<(), Fatal> {
        let max_bytes = self.worker.desk().limits.glint_bytes + WRAPPING_BYTES;
        let value = match draft::read_json(text.as_bytes(), max_bytes) {
            Ok(value) => value,
            Err(refusal) if refusal.kind == RefusalKind::TooLarge => {
                return Err(Fatal::new(TOO_LARGE, refusal.code, &refusal.detail));
            }
            Err(refusal) => return Err(Fatal::new(BAD_DATA, refusal.code, &refusal.detail)),
        };
        match value.get("op").and_then(Value::as_str) {
            Some("publish") => {
                let glint = value.get("glint").cloned();
                let missing = || {
                    Refusal::invalid("glint_missing", "publish carries a member glint").on("glint")
                };
                self.publish(glint.ok_or_else(missing)).await;
            }
            Some("ping") => self.line.say(&Control::Beat),
            Some("resync") => self.line.directory(),
            Some("ack") => {}
            _ => {
                let detail = "op is one of: publish, ack, ping, resync";
                self.line.say(&Control::Error {
                    code: "op_unknown",
                    detail,
                });
            }
        }
        Ok(())
    }

    /// Offers a glint, and tells the client what became of it.
    async fn publish(&self, glint: Result<json::Value<'_>, Refusal>) {
        let limits = &self.worker.desk().limits;
        let draft = glint.and_then(|glint| Draft::from_value(glint, self.worker.fresh_id()));
        let draft = draft.and_then(|draft| limits.check(draft));
        let receipt = match draft {
            Ok(draft) => {
                self.worker
                    .desk()
                    .offer(Offer {
                        drafts: vec![draft],
                        key: None,
                    })
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        match receipt {
            Ok(receipt) => {
                for item in receipt.items.iter() {
                    let mut line = String::with_capacity(128);
                    object(&mut line, |object| {
                        object
                            .text("event", "receipt")
                            .text("id", &item.id)
                            .display("cursor", item.offset);
                        object.text("durability", self.worker.desk().durability.as_str());
                    });
                    self.line.say(&Control::Answer(&line));
                }
            }
            Err(refusal) => {
                self.line.say(&Control::Error {
                    code: refusal.code,
                    detail: &refusal.detail,
                });
            }
        }
    }
}
