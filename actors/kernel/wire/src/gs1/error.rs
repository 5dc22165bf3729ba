//! What can be wrong with a frame, its stable code and its place in the stream.

/// Longest part of a refused value that an error repeats.
const CLIP_BYTES: usize = 48;

/// Reports a frame that was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {fault}")]
pub struct DecodeError {
    /// Offset of the offending byte, counted from the start of the stream.
    pub at: u64,
    /// What is wrong there.
    pub fault: Fault,
}

impl DecodeError {
    /// Returns the stable GS1 code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// Returns whether the decoder is dead after this error.
    ///
    /// A fault in a header leaves no way to tell where the next frame starts. A fault in a payload does: that frame
    /// is skipped and the next one can be read.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        !matches!(
            self.fault,
            Fault::CrcMismatch { .. } | Fault::PayloadNotUtf8 { .. }
        )
    }
}

/// Names what is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A line does not open a text frame.
    #[error(
        "expected a line that starts with `@frame{{`, found {found:?}; a payload is followed by at most one LF"
    )]
    Prefix {
        /// The start of the line.
        found: Box<str>,
    },
    /// A header line has no closing brace.
    #[error("the header line has no `}}`; close it before the LF")]
    MissingBrace,
    /// Something follows the closing brace of a header line.
    #[error("text after the `}}` of the header line: {found:?}; end the line there")]
    TextAfterBrace {
        /// What follows.
        found: Box<str>,
    },
    /// A header token has no `=`.
    #[error("header token {token:?} has no `=`; write `key=value` without spaces around `=`")]
    BareToken {
        /// The token.
        token: Box<str>,
    },
    /// A header token has nothing before its `=`.
    #[error("header token {token:?} has no key; write `key=value`")]
    EmptyKey {
        /// The token.
        token: Box<str>,
    },
    /// A quote in a header line is not closed before the brace.
    #[error("header token {token:?} opens a quote and does not close it; close the quote")]
    UnclosedQuote {
        /// The token.
        token: Box<str>,
    },
    /// A header token is not UTF-8.
    #[error("header token {token:?} is not UTF-8; encode header values as UTF-8")]
    HeaderNotUtf8 {
        /// The token, its broken bytes replaced.
        token: Box<str>,
    },
    /// A key that means something stands twice in a header.
    #[error("header key `{key}` stands twice; send it once")]
    DuplicateKey {
        /// The key.
        key: &'static str,
    },
    /// A header lacks a key that every frame has.
    #[error("header key `{key}` is missing; v, sid, seq, kind and len are required")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A header value does not have the form its key needs.
    #[error("header key `{key}`: {value:?} is not {want}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value as it came.
        value: Box<str>,
        /// The form that would be accepted.
        want: &'static str,
    },
    /// A frame is of another version of GS1.
    #[error("version {found:?} is not supported; send v=1")]
    Version {
        /// The version as it came.
        found: Box<str>,
    },
    /// A header line is too long.
    #[error("the header line is longer than {limit} bytes; move long values into the payload")]
    HeaderTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A payload is too long.
    #[error("header key `len`: {len} is above the limit of {limit} bytes; split the payload")]
    PayloadTooLarge {
        /// The length the header announced.
        len: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// A text frame has a payload that is not UTF-8. The frame is skipped.
    #[error("the payload of sid {sid} seq {seq} is not UTF-8; send such bytes in a GS1-B frame")]
    PayloadNotUtf8 {
        /// Stream id of the frame.
        sid: u64,
        /// Sequence number of the frame.
        seq: u64,
    },
    /// A payload does not have the checksum its header announced. The frame is skipped.
    #[error(
        "the payload of sid {sid} seq {seq} has crc {got:08x} but its header says {want:08x}; send the frame again"
    )]
    CrcMismatch {
        /// Stream id of the frame.
        sid: u64,
        /// Sequence number of the frame.
        seq: u64,
        /// The checksum the header announced.
        want: u32,
        /// The checksum of the bytes that came.
        got: u32,
    },
    /// The stream ended inside a header.
    #[error("the stream ends inside a header; send whole frames")]
    TruncatedHeader,
    /// The stream ended inside a payload.
    #[error(
        "the stream ends {missing} bytes before the end of a payload; check that `len` counts bytes"
    )]
    TruncatedPayload {
        /// How many bytes are missing.
        missing: u64,
    },
    /// Bytes do not open a binary frame.
    #[error("expected the magic bytes `GS1`; binary frames follow each other without a separator")]
    Magic,
    /// A binary frame has a flag that GS1 v1 does not define.
    #[error(
        "flags {flags:#04x} has undefined bits; only 0x01 (crc), 0x02 (base) and 0x04 (final) are supported"
    )]
    UndefinedFlags {
        /// The flags byte.
        flags: u8,
    },
    /// A binary frame has a compressed payload.
    #[error("flags {flags:#04x} marks a compressed payload; send it uncompressed, without 0x08")]
    Compressed {
        /// The flags byte.
        flags: u8,
    },
}

impl Fault {
    /// Returns the stable GS1 code of this fault.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "VERSION_UNSUPPORTED",
            Self::HeaderTooLarge { .. } => "HEADER_TOO_LARGE",
            Self::PayloadTooLarge { .. } => "PAYLOAD_TOO_LARGE",
            Self::CrcMismatch { .. } => "CRC_MISMATCH",
            _ => "FRAME_INVALID",
        }
    }

    pub(super) fn at(self, at: u64) -> DecodeError {
        DecodeError { at, fault: self }
    }
}

/// Reports a frame that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than the 32-bit length of GS1-B can say.
    #[error("a payload of {len} bytes does not fit the 32-bit length of GS1-B; split it")]
    PayloadTooLarge {
        /// The length of the payload.
        len: usize,
    },
}

impl EncodeError {
    /// Returns the stable GS1 code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PayloadTooLarge { .. } => "PAYLOAD_TOO_LARGE",
        }
    }
}

/// Returns as much of `bytes` as an error may repeat.
pub(super) fn clip(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(CLIP_BYTES)]).into()
}
