//! Text frames out of a byte stream.

use memchr::memchr;

use super::carry::{Carry, Piece};
use super::error::{DecodeError, Fault};
use super::head::{self, Reading};
use super::{Frame, Header, Limits};

/// Reads GS1-T frames out of a byte stream that comes in chunks of any size.
///
/// A frame is ready with the last byte of its payload; the LF behind it is taken when it comes.
#[derive(Debug)]
pub struct TextDecoder {
    limits: Limits,
    reading: Reading,
    carry: Carry,
    /// The header whose payload is not complete.
    awaiting: Option<Header>,
    /// Whether an LF may still come that belongs to the frame before.
    is_after_payload: bool,
    /// Whether the rest of a line is to be dropped; only when reading leniently.
    is_draining: bool,
    is_dead: bool,
}

impl Default for TextDecoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl TextDecoder {
    /// Creates a decoder that refuses whatever GS1 v1 leaves to guessing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_reading(limits, Reading::Strict)
    }

    /// Creates a decoder that guesses as the reference reader does.
    ///
    /// It is there to compare the two. Missing keys get defaults, the last of a doubled key counts, unknown tokens,
    /// text behind the brace and malformed flags are passed over, payloads may be any bytes, and after a bad header
    /// the next line is read as a header.
    #[must_use]
    pub fn lenient(limits: Limits) -> Self {
        Self::with_reading(limits, Reading::Lenient)
    }

    fn with_reading(limits: Limits, reading: Reading) -> Self {
        Self {
            limits,
            reading,
            carry: Carry::default(),
            awaiting: None,
            is_after_payload: false,
            is_draining: false,
            is_dead: false,
        }
    }

    /// Returns the next frame, or none when `input` is used up and more is needed.
    ///
    /// Call it with the same `input`, which shrinks, until it returns none; then with the next chunk. The payload is
    /// borrowed from `input` where it lies whole in it.
    ///
    /// # Errors
    ///
    /// Yields an error for a frame that is refused. If [`DecodeError::ends_stream`], the rest of the stream is
    /// swallowed and every later call returns none.
    pub fn next_frame<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Option<Result<Frame<'d>, DecodeError>> {
        self.carry.renew();
        if self.is_dead {
            *input = &[];
            return None;
        }
        let header = match self.awaiting.take() {
            Some(header) => header,
            None => match self.next_header(input)? {
                Ok(header) => header,
                Err(err) => return Some(Err(err)),
            },
        };
        let Some(payload) = self.carry.exactly(header.len as usize, input) else {
            self.awaiting = Some(header);
            return None;
        };
        self.is_after_payload = true;
        Some(check(header, &payload, self.reading))
    }

    /// Ends the stream; a missing last LF is fine, half a frame is an error.
    ///
    /// # Errors
    ///
    /// Yields an error if the stream ends inside a frame. Yields a frame only when reading leniently, for a header
    /// without LF that announces no payload.
    pub fn finish(&mut self) -> Option<Result<Frame<'static>, DecodeError>> {
        if std::mem::replace(&mut self.is_dead, true) {
            return None;
        }
        let held = self.carry.held();
        let end = self.carry.at();
        if let Some(header) = self.awaiting.take() {
            return Some(Err(truncated(&header, held.len(), end)));
        }
        if held.is_empty() {
            return None;
        }
        if self.reading == Reading::Strict {
            return Some(Err(Fault::TruncatedHeader.at(end)));
        }
        Some(self.last_header(end))
    }

    /// Returns the header whose payload is still coming, so that room for it can be found or refused.
    #[must_use]
    pub fn awaiting(&self) -> Option<&Header> {
        self.awaiting.as_ref()
    }

    fn next_header(&mut self, input: &mut &[u8]) -> Option<Result<Header, DecodeError>> {
        self.skip_to_line(input)?;
        let held = self.carry.held().len();
        let start = self.carry.at() - held as u64;
        // The LF itself does not count, so it may be the first byte behind the limit.
        let window = self
            .limits
            .max_header
            .saturating_add(1)
            .saturating_sub(held);
        let seen = &input[..input.len().min(window)];
        let Some(len) = memchr(b'\n', seen) else {
            if seen.len() < window {
                self.carry.hold(seen.len(), input);
                return None;
            }
            return Some(Err(self.overlong(start)));
        };
        let parsed = if held == 0 {
            head::parse(self.carry.take(len, input), start, self.reading)
        } else {
            self.carry.hold(len, input);
            head::parse(self.carry.held(), start, self.reading)
        };
        self.carry.forget();
        self.carry.take(1, input);
        let checked = parsed.and_then(|header| self.admit(header, start));
        self.is_dead = checked.is_err() && self.reading == Reading::Strict;
        Some(checked)
    }

    /// Takes what may stand before a header line; returns none if `input` ends before the line starts.
    fn skip_to_line(&mut self, input: &mut &[u8]) -> Option<()> {
        if self.is_draining {
            let Some(end) = memchr(b'\n', input) else {
                self.carry.take(input.len(), input);
                return None;
            };
            self.is_draining = false;
            self.carry.take(end + 1, input);
        }
        let first = *input.first()?;
        if self.is_after_payload && first == b'\n' {
            self.carry.take(1, input);
        }
        self.is_after_payload = false;
        Some(())
    }

    fn overlong(&mut self, start: u64) -> DecodeError {
        self.carry.forget();
        self.is_dead = self.reading == Reading::Strict;
        self.is_draining = self.reading == Reading::Lenient;
        let limit = self.limits.max_header;
        Fault::HeaderTooLarge { limit }.at(start + limit as u64)
    }

    fn admit(&self, header: Header, start: u64) -> Result<Header, DecodeError> {
        let limit = self.limits.max_payload;
        if header.len > limit {
            return Err(Fault::PayloadTooLarge {
                len: header.len,
                limit,
            }
            .at(start));
        }
        Ok(header)
    }

    fn last_header(&self, end: u64) -> Result<Frame<'static>, DecodeError> {
        let line = self.carry.held();
        let start = end - line.len() as u64;
        let header = self.admit(head::parse(line, start, self.reading)?, start)?;
        if header.len > 0 {
            return Err(truncated(&header, 0, end));
        }
        let payload = Piece {
            bytes: &[],
            at: end,
        };
        check(header, &payload, self.reading)
    }
}

fn truncated(header: &Header, held: usize, end: u64) -> DecodeError {
    let missing = u64::from(header.len) - held as u64;
    Fault::TruncatedPayload { missing }.at(end)
}

fn check<'d>(
    header: Header,
    payload: &Piece<'d>,
    reading: Reading,
) -> Result<Frame<'d>, DecodeError> {
    let frame = header.frame(payload.bytes);
    check_crc(&frame, payload.at)?;
    if reading == Reading::Strict
        && let Err(err) = str::from_utf8(payload.bytes)
    {
        let (sid, seq) = (frame.sid, frame.seq);
        return Err(Fault::PayloadNotUtf8 { sid, seq }.at(payload.at + err.valid_up_to() as u64));
    }
    Ok(frame)
}

/// Compares the payload with the checksum of the header, which an empty payload has too; `at` is where it starts.
pub(super) fn check_crc(frame: &Frame<'_>, at: u64) -> Result<(), DecodeError> {
    let Some(want) = frame.crc else {
        return Ok(());
    };
    let got = crc32fast::hash(frame.payload);
    if got == want {
        return Ok(());
    }
    let (sid, seq) = (frame.sid, frame.seq);
    Err(Fault::CrcMismatch {
        sid,
        seq,
        want,
        got,
    }
    .at(at))
}
