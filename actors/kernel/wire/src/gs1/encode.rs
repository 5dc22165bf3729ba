//! Frames into bytes.
//!
//! Numbers are written by hand: a broker writes one header per event, and the formatting machinery of the standard
//! library costs more than the rest of the header together.

use glint::hex;

use super::{EncodeError, Frame};

/// Longest header line with every key at its widest, and the LF on both sides of the payload.
const TEXT_OVERHEAD: usize = 192;

pub(super) const MAGIC: [u8; 3] = *b"GS1";
pub(super) const BINARY_VERSION: u8 = 1;
pub(super) const FLAG_CRC: u8 = 0x01;
pub(super) const FLAG_BASE: u8 = 0x02;
pub(super) const FLAG_FINAL: u8 = 0x04;
pub(super) const FLAG_COMPRESSED: u8 = 0x08;
/// Length of a binary header before the optional checksum and base.
pub(super) const BINARY_FIXED: usize = 26;

/// Appends `frame` as GS1-T.
///
/// With `auto_crc` a non-empty payload gets a checksum. One the frame carries is written as it is, whatever
/// `auto_crc` says. The payload bytes go out as they are: what may travel as text is the caller's rule.
pub fn encode_text(frame: &Frame<'_>, auto_crc: bool, out: &mut Vec<u8>) {
    out.reserve(TEXT_OVERHEAD + frame.payload.len());
    out.extend_from_slice(b"@frame{v=1 sid=");
    push_decimal(frame.sid, out);
    out.extend_from_slice(b" seq=");
    push_decimal(frame.seq, out);
    out.extend_from_slice(b" kind=");
    match frame.kind.name() {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => push_decimal(u64::from(frame.kind.number()), out),
    }
    out.extend_from_slice(b" len=");
    push_decimal(frame.payload.len() as u64, out);
    if let Some(crc) = checksum(frame, auto_crc) {
        out.extend_from_slice(b" crc=");
        out.extend(hex::digits(&crc.to_be_bytes()));
    }
    if let Some(base) = &frame.base {
        out.extend_from_slice(b" base=sha256:");
        out.extend(hex::digits(base));
    }
    if frame.is_final {
        out.extend_from_slice(b" final=true");
    }
    out.extend_from_slice(b"}\n");
    out.extend_from_slice(frame.payload);
    out.push(b'\n');
}

/// Appends `frame` as GS1-B.
///
/// The checksum follows the same rule as in [`encode_text`].
///
/// # Errors
///
/// Returns [`EncodeError::PayloadTooLarge`], and appends nothing, if the length does not fit 32 bits.
pub fn encode_binary(
    frame: &Frame<'_>,
    auto_crc: bool,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let Ok(len) = u32::try_from(frame.payload.len()) else {
        return Err(EncodeError::PayloadTooLarge {
            len: frame.payload.len(),
        });
    };
    let crc = checksum(frame, auto_crc);
    let mut flags = 0;
    if crc.is_some() {
        flags |= FLAG_CRC;
    }
    if frame.base.is_some() {
        flags |= FLAG_BASE;
    }
    if frame.is_final {
        flags |= FLAG_FINAL;
    }
    out.reserve(BINARY_FIXED + 4 + 32 + frame.payload.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[BINARY_VERSION, flags, frame.kind.number()]);
    out.extend_from_slice(&frame.sid.to_be_bytes());
    out.extend_from_slice(&frame.seq.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    if let Some(crc) = crc {
        out.extend_from_slice(&crc.to_be_bytes());
    }
    if let Some(base) = &frame.base {
        out.extend_from_slice(base);
    }
    out.extend_from_slice(frame.payload);
    Ok(())
}

fn checksum(frame: &Frame<'_>, auto_crc: bool) -> Option<u32> {
    if frame.crc.is_some() {
        return frame.crc;
    }
    (auto_crc && !frame.payload.is_empty()).then(|| crc32fast::hash(frame.payload))
}

fn push_decimal(mut number: u64, out: &mut Vec<u8>) {
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
