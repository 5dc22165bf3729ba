//! A text frame as the lines of a server-sent event.

use memchr::{memchr, memchr_iter};

/// Appends `frame` as `data:` lines; the caller writes the blank line that ends the event.
///
/// `frame` is a complete GS1-T frame with its last LF. That LF becomes a last, empty line: an event source drops
/// exactly one, so its data is the frame byte for byte. A frame in which [`has_carriage_return`] finds something must
/// not come here, because a reader ends lines at CR too and would take what follows for a field of its own.
pub fn push_sse_lines(frame: &[u8], out: &mut Vec<u8>) {
    // One space after the colon always: it is the one a reader removes, so spaces of the payload stay.
    const FIELD: &[u8] = b"data: ";
    // Most frames are a header, one line of payload, and the empty line.
    out.reserve(frame.len() + 3 * (FIELD.len() + 1));
    let mut start = 0;
    for end in memchr_iter(b'\n', frame) {
        out.extend_from_slice(FIELD);
        out.extend_from_slice(&frame[start..=end]);
        start = end + 1;
    }
    out.extend_from_slice(FIELD);
    out.extend_from_slice(&frame[start..]);
    out.push(b'\n');
}

/// Returns whether `payload` has a CR, which a server-sent event cannot carry.
#[must_use]
pub fn has_carriage_return(payload: &[u8]) -> bool {
    memchr(b'\r', payload).is_some()
}
