//! WebSockets.

use std::net::TcpStream;

use glint::json::Value;
use tungstenite::handshake::client::Request;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::{CloseFrame, Message};
use tungstenite::{Error, WebSocket, client};

use super::gs1::{self, Frame};
use super::{Broker, parse, text_at};

/// The GS1-T subprotocol.
pub const GS1_TEXT: &str = "gs1-t.v1";
/// The GS1-B subprotocol.
pub const GS1_BINARY: &str = "gs1-b.v1";
/// The JSON subprotocol.
pub const JSON: &str = "glintcast.json.v1";

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    pub inner: WebSocket<TcpStream>,
    /// The subprotocol that the broker chose.
    pub protocol: Option<String>,
}

impl Socket {
    /// Sends a message.
    pub fn send(&mut self, message: Message) {
        self.inner.send(message).expect("sent");
    }

    pub fn say(&mut self, text: &str) {
        self.send(Message::text(text));
    }

    /// Reads the next message of whatever kind; a close comes as a message.
    pub fn message(&mut self) -> Message {
        self.inner.read().expect("a message")
    }

    /// Reads on to a message that carries something or ends the connection.
    pub fn next(&mut self) -> Message {
        loop {
            let message = self.message();
            if !message.is_ping() && !message.is_pong() {
                return message;
            }
        }
    }

    /// Reads the next message as JSON.
    pub fn next_json(&mut self) -> Value<'static> {
        match self.next() {
            Message::Text(text) => parse(&text),
            other => panic!("no text: {other:?}"),
        }
    }

    /// Reads on to an event of this name.
    pub fn next_named(&mut self, name: &str) -> Value<'static> {
        loop {
            let event = self.next_json();
            if text_at(&event, &["event"]) == name {
                return event;
            }
        }
    }

    /// Reads the next message as a frame, text or binary.
    pub fn next_frame(&mut self) -> Frame {
        match self.next() {
            Message::Text(text) => gs1::text_frame(text.as_bytes()),
            Message::Binary(bytes) => gs1::binary_frame(&bytes),
            other => panic!("no frame: {other:?}"),
        }
    }

    /// Reads on to a frame that `is` one.
    pub fn next_frame_that(&mut self, is: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next_frame();
            if is(&frame) {
                return frame;
            }
        }
    }

    /// Reads on to the close, then makes sure that the connection ends.
    pub fn close(&mut self) -> CloseFrame {
        let frame = loop {
            match self.next() {
                Message::Close(frame) => break frame,
                Message::Text(_) | Message::Binary(_) => {}
                other => panic!("{other:?}"),
            }
        };
        match self.inner.read() {
            Err(Error::ConnectionClosed) => {}
            other => panic!("the connection goes on after the close: {other:?}"),
        }
        frame.expect("a close with a code")
    }
}

/// A request to become a WebSocket with these subprotocols.
pub fn handshake(broker: &Broker, query: &str, protocols: &[&str]) -> Request {
    let address = broker.address();
    let mut request = Request::builder()
        .uri(format!("ws://{address}/stream{query}"))
        .header("Host", address.to_string())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .expect("a request");
    if !protocols.is_empty() {
        let value = HeaderValue::from_str(&protocols.join(", ")).expect("protocols");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", value);
    }
    request
}

impl Broker {
    /// Opens a WebSocket; the greeting is still to be read.
    pub fn socket(&self, query: &str, protocols: &[&str]) -> Socket {
        let request = handshake(self, query, protocols);
        let (inner, answer) = client(request, self.connect()).expect("a handshake");
        let protocol = answer.headers().get("sec-websocket-protocol");
        Socket {
            protocol: protocol.map(|value| value.to_str().expect("text").to_owned()),
            inner,
        }
    }
}
