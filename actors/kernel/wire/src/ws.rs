//! WebSocket frames from server to client: unmasked, unfragmented (RFC 6455, section 5.2).

/// What a WebSocket frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end, with a code and a reason.
    Close = 0x8,
    /// "Are you there?"
    Ping = 0x9,
    /// "I am."
    Pong = 0xA,
}

/// Appends one whole frame.
pub fn push_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode as u8);
    match payload.len() {
        len @ 0..=125 => out.push(len as u8),
        len @ 126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a close frame. A reason over 123 bytes is cut, at a character, as the protocol demands.
pub fn push_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(123)]);
    push_frame(Opcode::Close, &payload, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_fewest_bytes() {
        let head = |len: usize| {
            let mut out = Vec::new();
            push_frame(Opcode::Text, &vec![b'x'; len], &mut out);
            assert!(out.ends_with(&vec![b'x'; len]));
            out.truncate(out.len() - len);
            out
        };
        assert_eq!(head(0), [0x81, 0]);
        assert_eq!(head(125), [0x81, 125]);
        assert_eq!(head(126), [0x81, 126, 0, 126]);
        assert_eq!(head(65_535), [0x81, 126, 0xFF, 0xFF]);
        assert_eq!(head(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_close_reason_stays_within_a_control_frame() {
        let mut out = Vec::new();
        push_close(1012, &"é".repeat(100), &mut out);
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xF4]);
        assert_eq!(out.len(), 2 + 124);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }
}
