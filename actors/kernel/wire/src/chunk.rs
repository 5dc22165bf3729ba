//! The chunks of HTTP/1.1's transfer coding (RFC 9112, section 7.1).

use std::io::Write as _;

/// The chunk that ends a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Room for the longest head: sixteen digits and the end of the line.
const HEAD_BYTES: usize = 18;

/// Appends what `write` pushes as one chunk. For nothing it appends nothing, as an empty chunk would end the body.
pub fn push_chunk(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let len = out.len() - start;
    if len == 0 {
        return;
    }
    let mut head = [0; HEAD_BYTES];
    let mut room = &mut head[..];
    // The length is known only now. Sixteen digits are all that it can have, so the room is enough.
    let _ = write!(room, "{len:X}\r\n");
    let used = HEAD_BYTES - room.len();
    out.splice(start..start, head[..used].iter().copied());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_its_length_in_hexadecimal_before_it_and_leaves_the_rest_alone() {
        let mut out = b"before".to_vec();
        push_chunk(&mut out, |out| out.extend_from_slice(&[b'x'; 31]));
        assert_eq!(
            out,
            format!("before1F\r\n{}\r\n", "x".repeat(31)).as_bytes()
        );
        out.clear();
        push_chunk(&mut out, |out| out.extend_from_slice(b"a\r\nb"));
        assert_eq!(out, b"4\r\na\r\nb\r\n");
    }

    #[test]
    fn nothing_is_no_chunk() {
        let mut out = Vec::new();
        push_chunk(&mut out, |_| {});
        assert!(out.is_empty());
    }
}
