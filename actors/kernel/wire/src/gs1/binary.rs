//! Binary frames out of a byte stream.

use super::carry::Carry;
use super::encode::{
    BINARY_FIXED, BINARY_VERSION, FLAG_BASE, FLAG_COMPRESSED, FLAG_CRC, FLAG_FINAL, MAGIC,
};
use super::error::{DecodeError, Fault};
use super::text::check_crc;
use super::{Frame, Header, Kind, Limits};

/// Longest header: the fixed part, the checksum and the base.
const LONGEST: usize = BINARY_FIXED + 4 + 32;

/// Reads GS1-B frames out of a byte stream that comes in chunks of any size.
#[derive(Debug, Default)]
pub struct BinaryDecoder {
    limits: Limits,
    carry: Carry,
    /// The header whose payload is not complete.
    awaiting: Option<Header>,
    is_dead: bool,
}

impl BinaryDecoder {
    /// Creates a decoder; of the limits, that on payloads applies.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
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
                Err(err) => {
                    self.is_dead = true;
                    return Some(Err(err));
                }
            },
        };
        let Some(payload) = self.carry.exactly(header.len as usize, input) else {
            self.awaiting = Some(header);
            return None;
        };
        let frame = header.frame(payload.bytes);
        Some(check_crc(&frame, payload.at).map(|()| frame))
    }

    /// Ends the stream.
    ///
    /// # Errors
    ///
    /// Fails if the stream ends inside a frame.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        if std::mem::replace(&mut self.is_dead, true) {
            return Ok(());
        }
        let held = self.carry.held().len();
        if let Some(header) = self.awaiting.take() {
            let missing = u64::from(header.len) - held as u64;
            return Err(Fault::TruncatedPayload { missing }.at(self.carry.at()));
        }
        if held > 0 {
            return Err(Fault::TruncatedHeader.at(self.carry.at()));
        }
        Ok(())
    }

    /// Returns the header whose payload is still coming, so that room for it can be found or refused.
    #[must_use]
    pub fn awaiting(&self) -> Option<&Header> {
        self.awaiting.as_ref()
    }

    fn next_header(&mut self, input: &mut &[u8]) -> Option<Result<Header, DecodeError>> {
        let held = self.carry.held().len();
        let start = self.carry.at() - held as u64;
        // A header is short: it is put together here, whether it came in one chunk or in many.
        let mut bytes = [0; LONGEST];
        let fresh = input.len().min(LONGEST - held);
        bytes[..held].copy_from_slice(self.carry.held());
        bytes[held..held + fresh].copy_from_slice(&input[..fresh]);
        match parse(&bytes[..held + fresh], self.limits.max_payload) {
            Ok(Some((header, len))) => {
                self.carry.forget();
                self.carry.take(len - held, input);
                Some(Ok(header))
            }
            Ok(None) => {
                self.carry.hold(fresh, input);
                None
            }
            Err((place, fault)) => Some(Err(fault.at(start + place as u64))),
        }
    }
}

/// Reads a header off the start of `bytes`; returns it with its length, or none if `bytes` are too few.
fn parse(bytes: &[u8], max_payload: u32) -> Result<Option<(Header, usize)>, (usize, Fault)> {
    if let Some(place) = bytes
        .iter()
        .zip(MAGIC)
        .position(|(byte, want)| *byte != want)
    {
        return Err((place, Fault::Magic));
    }
    let mut reader = Reader { bytes };
    let Some(fixed) = Fixed::read(&mut reader) else {
        return Ok(None);
    };
    fixed.check(max_payload)?;
    let mut header = Header {
        sid: fixed.sid,
        seq: fixed.seq,
        kind: Kind::from_number(fixed.kind),
        len: fixed.len,
        crc: None,
        base: None,
        is_final: fixed.flags & FLAG_FINAL != 0,
    };
    if fixed.flags & FLAG_CRC != 0 {
        let Some(crc) = reader.array() else {
            return Ok(None);
        };
        header.crc = Some(u32::from_be_bytes(crc));
    }
    if fixed.flags & FLAG_BASE != 0 {
        let Some(base) = reader.array() else {
            return Ok(None);
        };
        header.base = Some(base);
    }
    Ok(Some((header, bytes.len() - reader.bytes.len())))
}

/// Holds the part of a header that every binary frame has.
struct Fixed {
    version: u8,
    flags: u8,
    kind: u8,
    sid: u64,
    seq: u64,
    len: u32,
}

impl Fixed {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let _magic: [u8; 3] = reader.array()?;
        let [version, flags, kind] = reader.array()?;
        Some(Self {
            version,
            flags,
            kind,
            sid: u64::from_be_bytes(reader.array()?),
            seq: u64::from_be_bytes(reader.array()?),
            len: u32::from_be_bytes(reader.array()?),
        })
    }

    fn check(&self, max_payload: u32) -> Result<(), (usize, Fault)> {
        let flags = self.flags;
        if self.version != BINARY_VERSION {
            let found = self.version.to_string().into();
            return Err((3, Fault::Version { found }));
        }
        if flags & !(FLAG_CRC | FLAG_BASE | FLAG_FINAL | FLAG_COMPRESSED) != 0 {
            return Err((4, Fault::UndefinedFlags { flags }));
        }
        if flags & FLAG_COMPRESSED != 0 {
            return Err((4, Fault::Compressed { flags }));
        }
        if self.len > max_payload {
            let fault = Fault::PayloadTooLarge {
                len: self.len,
                limit: max_payload,
            };
            return Err((22, fault));
        }
        Ok(())
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }
}
