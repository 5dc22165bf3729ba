//! Strings and keys: when they stand bare, how they are quoted, and in which order keys come.

use std::cmp::Ordering;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Text inside a string that sends one loose reader to its table code.
const TABLE_LURE: &str = "=@tab _";

/// Which bytes a bare word is made of. A table, because every key and string of every event is looked at.
const WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        word[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    word
};

/// Length of `struct`.
const LONGEST_RESERVED: usize = 6;

/// Tells whether canonical text spells `text` without quotes.
pub(super) fn is_bare(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    !first.is_ascii_digit()
        && bytes.iter().all(|byte| WORD[usize::from(*byte)])
        && !(bytes.len() <= LONGEST_RESERVED && is_reserved(text))
}

fn is_reserved(text: &str) -> bool {
    matches!(
        text,
        "t" | "f"
            | "_"
            | "true"
            | "false"
            | "null"
            | "none"
            | "nil"
            | "struct"
            | "sum"
            | "list"
            | "map"
            | "NaN"
            | "Inf"
    )
}

/// Appends `text` in quotes; with `disarm`, text that lures a reader into its table code is escaped.
pub(super) fn push_quoted(text: &str, disarm: bool, out: &mut String) {
    out.push('"');
    // Without an early exit the compiler checks sixteen bytes at a time.
    let odd = text
        .bytes()
        .fold(false, |odd, byte| odd | needs_a_look(byte));
    if odd {
        push_escaped(text, disarm, out);
    } else {
        out.push_str(text);
    }
    out.push('"');
}

fn needs_a_look(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == b'@')
}

fn push_escaped(text: &str, disarm: bool, out: &mut String) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !needs_a_look(byte) {
            continue;
        }
        if byte == b'@' {
            let lured =
                disarm && at > 0 && text.as_bytes()[at - 1..].starts_with(TABLE_LURE.as_bytes());
            if !lured {
                continue;
            }
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        let unit = escape_of(byte);
        unit.chars().for_each(|ch| out.push(ch));
    }
    out.push_str(&text[plain_from..]);
}

/// One escape sequence: up to six ASCII characters.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Unit([u8; 6]);

impl Unit {
    fn chars(&self) -> impl Iterator<Item = char> {
        self.0
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte))
    }
}

fn escape_of(byte: u8) -> Unit {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xF)]);
            return Unit([b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    Unit([b'\\', short, 0, 0, 0, 0])
}

/// Returns a number that orders keys by the first bytes of their canonical text: 0 for every key in quotes, which come
/// before all others, and otherwise the first eight bytes of the key.
pub(super) fn rank(key: &str) -> u64 {
    if !is_bare(key) {
        return 0;
    }
    let bytes = key.as_bytes();
    if let Some(head) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; 8];
    head[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(head)
}

/// Compares two keys by the bytes of their canonical text, without spelling it out. Ranks come from [`rank`].
pub(super) fn compare(one: (u64, &str), other: (u64, &str)) -> Ordering {
    one.0.cmp(&other.0).then_with(|| {
        if one.0 == 0 {
            compare_quoted(one.1.as_bytes(), other.1.as_bytes())
        } else {
            one.1.cmp(other.1)
        }
    })
}

fn compare_quoted(one: &[u8], other: &[u8]) -> Ordering {
    let shared = one
        .iter()
        .zip(other)
        .take_while(|(left, right)| left == right)
        .count();
    // Escapes are made from single bytes, so where the raw keys part the canonical texts part too.
    spelt_at(one, shared).cmp(&spelt_at(other, shared))
}

/// Returns how the byte at `at` is spelt inside quotes, or the closing quote behind the last one.
fn spelt_at(text: &[u8], at: usize) -> Unit {
    match text.get(at) {
        None => Unit([b'"', 0, 0, 0, 0, 0]),
        Some(b'@') => Unit([b'@', 0, 0, 0, 0, 0]),
        Some(byte) if needs_a_look(*byte) => escape_of(*byte),
        Some(byte) => Unit([*byte, 0, 0, 0, 0, 0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, disarm: bool) -> String {
        let mut out = String::new();
        push_quoted(text, disarm, &mut out);
        out
    }

    #[test]
    fn only_plain_words_that_mean_nothing_else_stand_bare() {
        for text in ["a", "_x", "A9_", "tt", "True", "NULL", "__", "b64"] {
            assert!(is_bare(text), "{text}");
        }
        for text in [
            "", "9a", "a-b", "é", "a b", "t", "f", "_", "true", "false", "null", "none", "nil",
            "struct", "sum", "list", "map", "NaN", "Inf", "∅",
        ] {
            assert!(!is_bare(text), "{text}");
        }
    }

    #[test]
    fn escapes_what_must_be_and_nothing_else() {
        assert_eq!(
            quoted("a@b é\u{7f}\u{2028}", true),
            "\"a@b é\u{7f}\u{2028}\""
        );
        assert_eq!(quoted("\"\\\n\r\t", false), r#""\"\\\n\r\t""#);
        assert_eq!(
            quoted("\u{0}\u{b}\u{1f}\u{8}\u{c}", false),
            r#""\u0000\u000B\u001F\u0008\u000C""#
        );
        assert_eq!(quoted("x=@tab _", false), r#""x=@tab _""#);
        assert_eq!(quoted("x=@tab _ @tab _", true), r#""x=\u0040tab _ @tab _""#);
    }

    #[test]
    fn keys_come_in_the_order_of_their_spelt_out_text() {
        let keys = [
            "",
            "a",
            "a!",
            "a\"",
            "a\\",
            "a\n",
            "a\u{1}",
            "a\u{1f}",
            "a b",
            "ab",
            "abcdefgh",
            "abcdefghi",
            "abcdefghh",
            "_",
            "_x",
            "Z",
            "z",
            "t",
            "é",
            "\u{ffee}",
            "😀",
            "a@",
            "a#",
            "0",
            "null",
            "nul",
            "a]",
            "a[",
        ];
        let spelt = |key: &str| {
            if is_bare(key) {
                key.to_owned()
            } else {
                quoted(key, false)
            }
        };
        for one in keys {
            for other in keys {
                assert_eq!(
                    compare((rank(one), one), (rank(other), other)),
                    spelt(one).as_bytes().cmp(spelt(other).as_bytes()),
                    "{one:?} {other:?}"
                );
            }
        }
    }
}
