//! Bytes as hexadecimal digits, lower case: how hashes, ids and signatures stand in texts.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Bytes whose digits are handed over at once.
const AT_ONCE: usize = 32;

/// Displays bytes as their digits.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = [0; 2 * AT_ONCE];
        for bytes in self.0.chunks(AT_ONCE) {
            let digits = &mut room[..2 * bytes.len()];
            for (two, byte) in digits.chunks_exact_mut(2).zip(bytes) {
                two.copy_from_slice(&pair(*byte));
            }
            f.write_str(str::from_utf8(digits).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

/// Iterates over the digits of bytes, in ASCII.
pub fn digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| pair(*byte))
}

fn pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// Fills `bytes` from their digits: exactly as many as are needed, all lower case, as [`Hex`] writes them.
#[must_use]
pub fn read(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, two) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(two[0])? << 4 | digit(two[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_lower_case_digits_and_reads_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = Hex(&bytes).to_string();
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        let mut again = vec![0; 256];
        assert_eq!(read(&text, &mut again), Some(()));
        assert_eq!(again, bytes);
        assert!(digits(&bytes).eq(text.bytes()));
        assert_eq!(Hex(&[]).to_string(), "");
    }

    #[test]
    fn what_would_not_be_written_so_is_not_read() {
        for text in ["", "0", "000", "0G", "AB", "0x", "é", "+1"] {
            assert_eq!(read(text, &mut [0]), None, "{text}");
        }
    }
}
