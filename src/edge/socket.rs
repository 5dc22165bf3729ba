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

use std::cell::Cell;
use std::rc::Rc;

use actix_http::ws;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use actors::emitter::{Offer, Once};
use actors::shard::{Business, Ear, Line, Seat};
use futures_util::StreamExt as _;
use glint::json::{Value, object};
use glint::{Draft, Refusal, RefusalKind, draft, json};
use wire::gs1::{BinaryDecoder, DecodeError, Kind, Limits, TextDecoder};
use wire::{Control, Form, glyph};

use super::body::StreamBody;
use super::desk::Worker;
use super::frames::{Broken, Frames, Message};
use super::negotiate;
use super::problem::problem;
use super::provenance;
use super::transport::Berth;

/// WebSocket close codes (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const BAD_DATA: u16 = 1007;
const TOO_LARGE: u16 = 1009;

/// What may stand around a glint in a message: the header of a frame, or the members beside it.
const WRAPPING_BYTES: usize = 1024;

/// Turns a request into a WebSocket that carries `seat`, with the socket of the connection for itself when there is a
/// berth.
pub fn open(
    http: &HttpRequest,
    payload: Payload,
    worker: Worker,
    seat: Seat,
    form: Form,
    berth: Option<Rc<Berth>>,
) -> HttpResponse {
    let mut head = match ws::handshake(http.head()) {
        Ok(head) => head,
        Err(err) => {
            let detail = format!("this is no WebSocket handshake: {err}");
            return problem(&Refusal::invalid("handshake_malformed", detail), |_| {});
        }
    };
    if let Some(protocol) = negotiate::subprotocol(http) {
        head.insert_header((SEC_WEBSOCKET_PROTOCOL, protocol));
    }
    let listener = Listener::new(worker, form, seat.line());
    let body = match berth {
        Some(berth) => berth
            .claim(seat, Some((Box::new(listener), payload)))
            .boxed(),
        None => {
            rt::spawn(listen(payload, listener));
            StreamBody::new(seat).boxed()
        }
    };
    answer(head, body)
}

fn answer(mut head: actix_http::ResponseBuilder, body: BoxBody) -> HttpResponse {
    match head.message_body(body) {
        Ok(response) => response.into(),
        Err(err) => HttpResponse::from_error(actix_web::Error::from(err)),
    }
}

/// Listens to a client whose connection actix-http keeps: its payload ends with the connection.
async fn listen(mut payload: Payload, mut listener: Listener) {
    while let Some(Ok(bytes)) = payload.next().await {
        if let Some(business) = listener.hear(&bytes) {
            business.await;
        }
        if listener.peer.is_over.get() || listener.peer.line.is_over() {
            return;
        }
    }
}

/// Hears the client of one WebSocket.
#[derive(Debug)]
struct Listener {
    frames: Frames,
    peer: Rc<Peer>,
}

impl Listener {
    fn new(worker: Worker, form: Form, line: Line) -> Listener {
        let max_bytes = worker.desk().limits.glint_bytes + WRAPPING_BYTES;
        let peer = Peer {
            worker,
            form,
            line,
            is_over: Cell::new(false),
        };
        Listener {
            frames: Frames::new(max_bytes),
            peer: Rc::new(peer),
        }
    }
}

impl Ear for Listener {
    fn hear(&mut self, bytes: &[u8]) -> Option<Business> {
        if self.peer.is_over.get() {
            return None;
        }
        self.frames.feed(bytes);
        let mut messages = Vec::new();
        let broken = loop {
            match self.frames.read() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break None,
                Err(broken) => break Some(broken),
            }
        };
        if messages.is_empty() && broken.is_none() {
            return None;
        }
        Some(Box::pin(self.peer.clone().attend(messages, broken)))
    }
}

/// The client of one WebSocket.
#[derive(Debug)]
struct Peer {
    worker: Worker,
    form: Form,
    line: Line,
    /// Whether it was hung up on: what it says now is not heard any more.
    is_over: Cell<bool>,
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

impl From<Broken> for Fatal {
    fn from(broken: Broken) -> Fatal {
        match broken {
            Broken::TooLong => {
                Fatal::new(TOO_LARGE, "PAYLOAD_TOO_LARGE", &"the message is too long")
            }
            Broken::NotText(detail) => Fatal::new(BAD_DATA, "FRAME_INVALID", &detail),
            Broken::NotFrame(detail) => Fatal::new(PROTOCOL_ERROR, "FRAME_INVALID", &detail),
        }
    }
}

impl Peer {
    /// Deals with messages one after the other, and then with what could not be read.
    async fn attend(self: Rc<Self>, messages: Vec<Message>, broken: Option<Broken>) {
        for message in messages {
            let heard = match message {
                Message::Text(text) => self.text(&text).await,
                Message::Binary(bytes) => self.binary(&bytes).await,
                Message::Ping(payload) => {
                    self.line.say(&Control::Pong(&payload));
                    Ok(())
                }
                Message::Close => return self.hang_up("closed", NORMAL),
            };
            if let Err(fatal) = heard {
                return self.fail(&fatal);
            }
        }
        if let Some(broken) = broken {
            self.fail(&Fatal::from(broken));
        }
    }

    fn fail(&self, fatal: &Fatal) {
        self.line.say(&Control::Error {
            code: fatal.code,
            detail: &fatal.detail,
        });
        self.hang_up("bad_frame", fatal.close_code);
    }

    fn hang_up(&self, reason: &'static str, close_code: u16) {
        self.is_over.set(true);
        self.line.hang_up(reason, close_code);
    }

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
        let draft =
            glint.and_then(|glint| provenance::draft(glint, &self.worker, Draft::from_value));
        let draft = draft.and_then(|draft| limits.check(draft));
        let receipt = match draft {
            Ok(draft) => {
                self.worker
                    .offer(Offer {
                        drafts: vec![draft],
                        once: Once::Content,
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
