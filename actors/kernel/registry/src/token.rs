//! Base64 as senders really write it: either alphabet, with or without padding, with junk in between.

/// Decodes `text`, or returns nothing if it ends inside a quantum.
///
/// The text counts as padded with `=` to a multiple of four characters. Characters of neither alphabet are skipped. A
/// run of `=` that completes a quantum ends the text; any other `=` is skipped.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let missing = match text.chars().count() % 4 {
        0 => 0,
        over => 4 - over,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut quantum: u32 = 0;
    let mut sextets = 0;
    let mut pads = 0;
    for byte in text.bytes().chain(std::iter::repeat_n(b'=', missing)) {
        if byte == b'=' {
            if sextets >= 2 {
                pads += 1;
                if sextets + pads >= 4 {
                    return Some(out);
                }
            }
            continue;
        }
        let value = VALUES[usize::from(byte)];
        if value == SKIP {
            continue;
        }
        pads = 0;
        quantum = quantum << 6 | u32::from(value);
        sextets += 1;
        // Each sextet after the first completes a byte.
        match sextets {
            2 => out.push((quantum >> 4) as u8),
            3 => out.push((quantum >> 2) as u8),
            4 => {
                out.push(quantum as u8);
                sextets = 0;
            }
            _ => {}
        }
    }
    (sextets == 0).then_some(out)
}

const SKIP: u8 = 0xFF;

/// What each byte stands for, in both alphabets.
const VALUES: [u8; 256] = {
    let mut values = [SKIP; 256];
    let mut at = 0;
    while at < 26 {
        values[b'A' as usize + at] = at as u8;
        values[b'a' as usize + at] = at as u8 + 26;
        at += 1;
    }
    at = 0;
    while at < 10 {
        values[b'0' as usize + at] = at as u8 + 52;
        at += 1;
    }
    values[b'+' as usize] = 62;
    values[b'-' as usize] = 62;
    values[b'/' as usize] = 63;
    values[b'_' as usize] = 63;
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_where_senders_are() {
        let cases: [(&str, Option<&[u8]>); 12] = [
            ("", Some(b"")),
            ("YWJj", Some(b"abc")),
            ("YWI", Some(b"ab")),
            ("YWI=", Some(b"ab")),
            ("YW..I", Some(b"ab")),
            ("YQ", Some(b"a")),
            ("Y", None),
            ("YWJjY", None),
            // A run that completes a quantum ends the text.
            ("YQ==YQ==", Some(b"a")),
            // One that does not is skipped.
            ("Y=WJj", Some(b"abc")),
            ("_-8", Some(&[0xFF, 0xEF])),
            ("/+8=", Some(&[0xFF, 0xEF])),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
