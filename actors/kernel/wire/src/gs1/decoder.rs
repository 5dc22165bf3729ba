//! Frames of either form, told apart by the first byte.

use super::error::DecodeError;
use super::{BinaryDecoder, Frame, Header, Limits, TextDecoder};

/// Reads GS1-T or GS1-B frames, whichever the stream starts with.
///
/// A stream does not change its form. One that starts with neither is read as text, which says what is wrong with it.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    form: Option<Form>,
}

#[derive(Debug)]
enum Form {
    Text(TextDecoder),
    Binary(BinaryDecoder),
}

impl Decoder {
    /// Creates a strict decoder for a stream of either form.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, form: None }
    }

    /// Returns the next frame, or none when `input` is used up and more is needed.
    ///
    /// See [`TextDecoder::next_frame`].
    ///
    /// # Errors
    ///
    /// Yields an error for a frame that is refused. If [`DecodeError::ends_stream`], the rest of the stream is
    /// swallowed and every later call returns none.
    pub fn next_frame<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Option<Result<Frame<'d>, DecodeError>> {
        if self.form.is_none() {
            self.form = Some(match input.first()? {
                b'G' => Form::Binary(BinaryDecoder::new(self.limits)),
                _ => Form::Text(TextDecoder::new(self.limits)),
            });
        }
        match self.form.as_mut()? {
            Form::Text(text) => text.next_frame(input),
            Form::Binary(binary) => binary.next_frame(input),
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    ///
    /// Fails if the stream ends inside a frame.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match &mut self.form {
            None => Ok(()),
            Some(Form::Text(text)) => text.finish().map_or(Ok(()), |last| last.map(|_| ())),
            Some(Form::Binary(binary)) => binary.finish(),
        }
    }

    /// Returns the header whose payload is still coming, so that room for it can be found or refused.
    #[must_use]
    pub fn awaiting(&self) -> Option<&Header> {
        match self.form.as_ref()? {
            Form::Text(text) => text.awaiting(),
            Form::Binary(binary) => binary.awaiting(),
        }
    }
}
