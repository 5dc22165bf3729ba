//! Server-sent events. Lines end with LF; every payload is one line, so nothing in it can end one.

use std::io::Write as _;

use glint::Offset;

use crate::gs1;

/// Appends an event with one line of data. The id comes last, where line-oriented clients do not look.
pub(crate) fn push_event(name: Option<&str>, data: &[u8], id: Option<Offset>, out: &mut Vec<u8>) {
    out.reserve(data.len() + 80);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.push(b'\n');
    push_id(id, out);
    out.push(b'\n');
}

/// Appends an unnamed event that only real `EventSource`s read: there is no space after `data:`, and line-oriented
/// clients look for one.
pub(crate) fn push_shadow(data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data:");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Appends a GS1-T frame as an unnamed event whose data is the frame to the byte.
pub(crate) fn push_frame_event(frame: &[u8], id: Option<Offset>, out: &mut Vec<u8>) {
    gs1::push_sse_lines(frame, out);
    push_id(id, out);
    out.push(b'\n');
}

pub(crate) fn push_retry(retry_ms: u32, out: &mut Vec<u8>) {
    // Writing to a Vec never fails.
    let _ = writeln!(out, "retry: {retry_ms}");
}

pub(crate) fn push_id(id: Option<Offset>, out: &mut Vec<u8>) {
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
}
