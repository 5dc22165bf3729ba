//! What a decoder said, apart from the bytes that it read it from.

use wire::gs1::{DecodeError, Decoder, Frame, Limits};

/// Small enough that inputs run into them.
pub(crate) const TIGHT: Limits = Limits {
    max_payload: 300,
    max_header: 200,
};

pub(crate) type Said = Result<Owned, DecodeError>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owned {
    header: Frame<'static>,
    payload: Vec<u8>,
}

impl Owned {
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        Self {
            header: Frame {
                payload: b"",
                ..*frame
            },
            payload: frame.payload.to_vec(),
        }
    }

    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame {
            payload: &self.payload,
            ..self.header
        }
    }
}

/// Feeds `bytes` in pieces of `size` (at least one) and returns all that `step` said.
pub(crate) fn feed(
    bytes: &[u8],
    size: usize,
    mut step: impl FnMut(&mut &[u8]) -> Option<Said>,
) -> Vec<Said> {
    let mut said = Vec::new();
    for mut input in bytes.chunks(size.max(1)) {
        while let Some(one) = step(&mut input) {
            said.push(one);
        }
        assert!(input.is_empty(), "none means that the input is used up");
    }
    said
}

/// What the decoder that tells both forms apart says.
pub(crate) fn said_by_either(bytes: &[u8], size: usize) -> Vec<Said> {
    let mut decoder = Decoder::new(TIGHT);
    let mut said = feed(bytes, size, |input| {
        decoder
            .next_frame(input)
            .map(|step| step.map(|frame| Owned::of(&frame)))
    });
    said.extend(decoder.finish().err().map(Err));
    said
}
