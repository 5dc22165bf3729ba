//! GS1 frames, read strictly: every checksum, every number.

use std::collections::HashMap;

use glint::json::Value;
use wire::glyph;
use wire::gs1::{BinaryDecoder, Frame as Borrowed, Kind, Limits, TextDecoder};

/// A frame that owns its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub sid: u64,
    pub seq: u64,
    pub kind: Kind,
    pub base: Option<[u8; 32]>,
    pub payload: String,
}

impl Frame {
    fn owned(frame: Borrowed<'_>) -> Frame {
        let payload = String::from_utf8(frame.payload.to_vec()).expect("UTF-8");
        // The decoder has compared it; here it must be there at all.
        assert_eq!(
            frame.crc.is_some(),
            !payload.is_empty(),
            "a checksum: {payload}"
        );
        Frame {
            sid: frame.sid,
            seq: frame.seq,
            kind: frame.kind,
            base: frame.base,
            payload,
        }
    }

    /// The payload as a value.
    pub fn value(&self) -> Value<'static> {
        let text: &'static str = Box::leak(self.payload.clone().into_boxed_str());
        glyph::parse(text).unwrap_or_else(|err| panic!("{err}: {text}"))
    }
}

/// Reads the one frame that `bytes` are.
pub fn text_frame(bytes: &[u8]) -> Frame {
    let mut decoder = TextDecoder::new(Limits::default());
    let mut input = bytes;
    let frame = decoder
        .next_frame(&mut input)
        .expect("a whole frame")
        .expect("a good frame");
    let frame = Frame::owned(frame);
    assert_eq!(input, b"\n", "one frame and its end: {frame:?}");
    frame
}

/// Reads the one binary frame that `bytes` are.
pub fn binary_frame(bytes: &[u8]) -> Frame {
    let mut decoder = BinaryDecoder::new(Limits::default());
    let mut input = bytes;
    let frame = decoder
        .next_frame(&mut input)
        .expect("a whole frame")
        .expect("a good frame");
    let frame = Frame::owned(frame);
    assert_eq!(input, b"", "one frame: {frame:?}");
    frame
}

/// What a strict reader keeps: the last number of each stream.
#[derive(Debug, Default)]
pub struct Cursors {
    last: HashMap<u64, u64>,
}

impl Cursors {
    /// Takes a frame that must follow the last one of its stream; the first may have any number.
    pub fn take(&mut self, frame: &Frame) {
        if let Some(last) = self.last.insert(frame.sid, frame.seq) {
            assert_eq!(frame.seq, last + 1, "sid {} jumped", frame.sid);
        }
    }
}
