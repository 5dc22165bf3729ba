//! GS1 frames: text (GS1-T) and binary (GS1-B), written and read.
//!
//! Pure and synchronous. A frame is a header with a stream id, a sequence number and a kind, then opaque payload
//! bytes. This module does not know what a payload means, does not keep cursors and does not speak HTTP.
//!
//! The encoders write one shape only. The decoders accept what GS1 v1 allows and refuse what the existing readers
//! guess about: a key that is missing, doubled or malformed is an error here, never a default.
//!
//! Layout:
//! - `encode`: frames into bytes.
//! - `text`, `head`: text frames out of a byte stream; the header line.
//! - `binary`: binary frames out of a byte stream.
//! - `decoder`: either of them, told apart by the first byte.
//! - `carry`: what a decoder keeps between two chunks, and the bound on it.
//! - `error`: what can be wrong, its stable code and its place.
//! - `sse`: a text frame as the lines of a server-sent event.

mod binary;
mod carry;
mod decoder;
mod encode;
mod error;
mod head;
mod sse;
mod text;

pub use binary::BinaryDecoder;
pub use decoder::Decoder;
pub use encode::{encode_binary, encode_text};
pub use error::{DecodeError, EncodeError, Fault};
pub use sse::{has_carriage_return, push_sse_lines};
pub use text::TextDecoder;

/// Names what the payload of a frame is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A whole document: the state of the stream.
    #[default]
    Doc,
    /// A change to the state, on top of a base.
    Patch,
    /// One row of an append-only stream.
    Row,
    /// Something for a person to see: progress, a log line.
    Ui,
    /// Confirms everything up to a sequence number.
    Ack,
    /// Reports a failure.
    Err,
    /// Asks whether the peer is there.
    Ping,
    /// Answers a ping.
    Pong,
    /// A kind GS1 v1 has no name for, 8 to 255; carried along unread.
    Unknown(u8),
}

impl Kind {
    /// Returns the kind with this number; every number has one.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Doc,
            1 => Self::Patch,
            2 => Self::Row,
            3 => Self::Ui,
            4 => Self::Ack,
            5 => Self::Err,
            6 => Self::Ping,
            7 => Self::Pong,
            _ => Self::Unknown(number),
        }
    }

    /// Returns the number GS1-B writes for this kind.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Doc => 0,
            Self::Patch => 1,
            Self::Row => 2,
            Self::Ui => 3,
            Self::Ack => 4,
            Self::Err => 5,
            Self::Ping => 6,
            Self::Pong => 7,
            Self::Unknown(number) => number,
        }
    }

    /// Returns the name GS1-T writes for this kind, or none if it is written as a number.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        // By number, so that `Unknown(0)` built by hand is still written as the kind it is.
        match self.number() {
            0 => Some("doc"),
            1 => Some("patch"),
            2 => Some("row"),
            3 => Some("ui"),
            4 => Some("ack"),
            5 => Some("err"),
            6 => Some("ping"),
            7 => Some("pong"),
            _ => None,
        }
    }

    /// Returns the kind with this name; names are lower case.
    #[must_use]
    pub const fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"doc" => Some(Self::Doc),
            b"patch" => Some(Self::Patch),
            b"row" => Some(Self::Row),
            b"ui" => Some(Self::Ui),
            b"ack" => Some(Self::Ack),
            b"err" => Some(Self::Err),
            b"ping" => Some(Self::Ping),
            b"pong" => Some(Self::Pong),
            _ => None,
        }
    }
}

/// Holds what a frame says before its payload.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Stream id.
    pub sid: u64,
    /// Sequence number within the stream.
    pub seq: u64,
    /// What the payload is.
    pub kind: Kind,
    /// Payload length in bytes.
    pub len: u32,
    /// CRC-32 (IEEE) of the payload, if the frame carries one.
    pub crc: Option<u32>,
    /// SHA-256 of the state a patch applies to, if the frame carries one.
    pub base: Option<[u8; 32]>,
    /// Whether this is the last frame of the stream.
    pub is_final: bool,
}

impl Header {
    fn frame(self, payload: &[u8]) -> Frame<'_> {
        Frame {
            sid: self.sid,
            seq: self.seq,
            kind: self.kind,
            crc: self.crc,
            base: self.base,
            is_final: self.is_final,
            payload,
        }
    }
}

/// Holds one frame; the payload is borrowed, and its length is the length the frame has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Stream id.
    pub sid: u64,
    /// Sequence number within the stream.
    pub seq: u64,
    /// What the payload is.
    pub kind: Kind,
    /// CRC-32 (IEEE) of the payload, if the frame carries one; a decoder has verified it.
    pub crc: Option<u32>,
    /// SHA-256 of the state a patch applies to, if the frame carries one.
    pub base: Option<[u8; 32]>,
    /// Whether this is the last frame of the stream.
    pub is_final: bool,
    /// The bytes between the header and the end of the frame.
    pub payload: &'a [u8],
}

/// Bounds what one decoder may be made to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest payload, in bytes; a longer one is refused before anything is reserved for it.
    pub max_payload: u32,
    /// Longest text header line, in bytes without its LF.
    pub max_header: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 64 * 1024 * 1024,
            max_header: 64 * 1024,
        }
    }
}
