//! Messages out of the bytes of a WebSocket client.

use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use actix_web::web::{Bytes, BytesMut};
use tokio_util::codec::Decoder as _;

/// A whole message from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// "Are you there?", with what the answer has to repeat.
    Ping(Bytes),
    /// The client closes.
    Close,
}

/// What is wrong with what a client sent. It cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// A message is longer than it may be.
    TooLong,
    /// A text is not UTF-8.
    NotText(String),
    /// It is no WebSocket frame, or not one that may come here.
    NotFrame(String),
}

/// The longest head of a frame (RFC 6455, section 5.2).
const HEAD_BYTES: usize = 14;

/// Reads messages. Owns no memory while it is between two.
#[derive(Debug)]
pub struct Frames {
    codec: Codec,
    max_bytes: usize,
    buffer: BytesMut,
    /// A message of which not all fragments have come.
    fragments: Option<Fragments>,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    bytes: Vec<u8>,
}

impl Frames {
    /// Makes a reader of messages of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Frames {
        Frames {
            codec: Codec::new().max_size(max_bytes),
            max_bytes,
            buffer: BytesMut::new(),
            fragments: None,
        }
    }

    /// Takes bytes in pieces of any length.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next whole message, or nothing until there are more bytes.
    ///
    /// # Errors
    /// When what comes next cannot be read. Nothing after it can be, either.
    pub fn read(&mut self) -> Result<Option<Message>, Broken> {
        loop {
            let Some(frame) = self.codec.decode(&mut self.buffer).map_err(broken)? else {
                // The codec looks at the length only when all of the frame is there.
                if self.buffer.len() > self.max_bytes + HEAD_BYTES {
                    return Err(Broken::TooLong);
                }
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return Ok(None);
            };
            let message = match frame {
                Frame::Text(bytes) => text(bytes.into())?,
                Frame::Binary(bytes) => Message::Binary(bytes),
                Frame::Ping(bytes) => Message::Ping(bytes),
                Frame::Close(_) => Message::Close,
                Frame::Pong(_) => continue,
                Frame::Continuation(item) => match self.fragment(item)? {
                    Some(message) => message,
                    None => continue,
                },
            };
            return Ok(Some(message));
        }
    }

    /// Adds a fragment; the codec sees to it that they come in order.
    fn fragment(&mut self, item: Item) -> Result<Option<Message>, Broken> {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) => (self.begin(true, bytes), false),
            Item::FirstBinary(bytes) => (self.begin(false, bytes), false),
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(fragments) = &mut self.fragments else {
            return Err(Broken::NotFrame("a fragment of nothing".into()));
        };
        if fragments.bytes.len() + bytes.len() > self.max_bytes {
            return Err(Broken::TooLong);
        }
        fragments.bytes.extend_from_slice(&bytes);
        if !is_last {
            return Ok(None);
        }
        let whole = self.fragments.take().map(|whole| match whole.is_text {
            true => text(whole.bytes),
            false => Ok(Message::Binary(whole.bytes.into())),
        });
        whole.transpose()
    }

    fn begin(&mut self, is_text: bool, bytes: Bytes) -> Bytes {
        self.fragments = Some(Fragments {
            is_text,
            bytes: Vec::new(),
        });
        bytes
    }
}

fn text(bytes: Vec<u8>) -> Result<Message, Broken> {
    let text = String::from_utf8(bytes).map_err(|err| Broken::NotText(err.to_string()))?;
    Ok(Message::Text(text))
}

fn broken(err: ProtocolError) -> Broken {
    match err {
        ProtocolError::Overflow => Broken::TooLong,
        err => Broken::NotFrame(err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A frame as a client sends it: masked (RFC 6455, section 5.3).
    fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
        assert!(payload.len() < 126, "short ones are enough here");
        let mut bytes = vec![head, 0x80 | payload.len() as u8];
        bytes.extend(MASK);
        bytes.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }

    fn read(frames: &mut Frames, bytes: &[u8]) -> Vec<Message> {
        frames.feed(bytes);
        let mut read = Vec::new();
        while let Some(message) = frames.read().expect("readable") {
            read.push(message);
        }
        read
    }

    #[test]
    fn messages_come_out_whole_however_the_bytes_come_in() {
        let mut bytes = frame(0x81, "grüß dich".as_bytes());
        bytes.extend(frame(0x02, b"one "));
        bytes.extend(frame(0x89, b"there?"));
        bytes.extend(frame(0x80, b"two"));
        bytes.extend(frame(0x8A, b""));
        bytes.extend(frame(0x88, b""));
        for step in 1..=bytes.len() {
            let mut frames = Frames::new(100);
            let read: Vec<_> = bytes
                .chunks(step)
                .flat_map(|piece| read(&mut frames, piece))
                .collect();
            assert_eq!(
                read,
                [
                    Message::Text("grüß dich".into()),
                    Message::Ping(Bytes::from_static(b"there?")),
                    Message::Binary(Bytes::from_static(b"one two")),
                    Message::Close,
                ],
                "in pieces of {step}"
            );
            assert_eq!(frames.buffer.capacity(), 0);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there_whole() {
        let mut frames = Frames::new(10);
        let head = [0x82, 0x80 | 127, 0, 0, 0, 0, 0xFF, 0, 0, 0, 1, 2, 3, 4];
        frames.feed(&head);
        frames.feed(&[b'x'; 10]);
        assert_eq!(frames.read(), Ok(None));
        frames.feed(b"x");
        assert_eq!(frames.read(), Err(Broken::TooLong));
        let mut frames = Frames::new(10);
        frames.feed(&frame(0x81, b"eleven long"));
        assert_eq!(frames.read(), Err(Broken::TooLong));
        let mut frames = Frames::new(10);
        frames.feed(&frame(0x01, b"123456"));
        assert_eq!(frames.read(), Ok(None));
        frames.feed(&frame(0x00, b"789ab"));
        assert_eq!(frames.read(), Err(Broken::TooLong));
    }

    #[test]
    fn what_is_no_text_and_no_frame_is_told_apart() {
        let next = |bytes: &[u8]| {
            let mut frames = Frames::new(10);
            frames.feed(bytes);
            frames.read()
        };
        assert!(matches!(
            next(&frame(0x81, b"\xFF")),
            Err(Broken::NotText(_))
        ));
        assert!(matches!(next(&frame(0x80, b"x")), Err(Broken::NotFrame(_))));
        assert!(matches!(next(&frame(0x83, b"x")), Err(Broken::NotFrame(_))));
        assert!(
            matches!(next(&[0x81, 1, b'x']), Err(Broken::NotFrame(_))),
            "not masked"
        );
    }
}
