//! Strings: most of the bytes of a trace, and all of its escapes.

use super::{Reader, malformed};
use crate::fault::Fault;
use crate::tape::Kind;

/// What a byte is inside a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself, here and in the canonical form.
    Plain,
    /// Stands for itself here, and is escaped in the canonical form.
    Wide,
    /// The end, an escape, or a control character.
    Special,
}

/// [`Class`] of each byte.
static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte < 0x20 || byte == b'"' as usize || byte == b'\\' as usize {
            table[byte] = Class::Special;
        } else if byte >= 0x7F {
            table[byte] = Class::Wide;
        }
        byte += 1;
    }
    table
}

/// Tells whether eight bytes are all [`Class::Plain`]. It may say no where they are, never yes where they are not.
///
/// Source: "Bit Twiddling Hacks" by Sean Eron Anderson, on a word with a byte less than n and on one with a zero byte.
fn is_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(bytes);
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    let has = |byte: u8| has_zero(word ^ (ONES * u64::from(byte)));
    // What is above `~` has its high bit set once 1 is added.
    let above_tilde = (word | word.wrapping_add(ONES)) & HIGHS;
    below_space | has(b'"') | has(b'\\') | above_tilde == 0
}

impl Reader<'_> {
    pub(super) fn string(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        self.pos += 1;
        let mut verbatim = self.plain_run();
        if self.peek() == Some(b'"') {
            self.pos += 1;
            return self.scalar(Kind::String, start, verbatim);
        }
        let first = self.tape.arena.len();
        let mut run = start + 1;
        loop {
            let text = self.tape.text;
            self.tape.arena.push_str(&text[run..self.pos]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => verbatim &= self.escape()?,
                Some(_) => {
                    return Err(self.fault("raw control character in a string; escape it"));
                }
                None => return Err(self.fault("the text ends inside a string")),
            }
            run = self.pos;
            verbatim &= self.plain_run();
        }
        self.pos += 1;
        let count = (self.tape.arena.len() - first) as u32;
        self.scalar(Kind::String, start, verbatim)?;
        let at = self.tape.nodes.len() - 1;
        let node = &mut self.tape.nodes[at];
        node.decoded = true;
        node.first = first as u32;
        node.count = count;
        Ok(())
    }

    /// Moves past bytes that stand for themselves; tells whether they do in the canonical form too.
    fn plain_run(&mut self) -> bool {
        let rest = &self.bytes[self.pos..];
        let (words, _) = rest.as_chunks::<8>();
        let plain = words.iter().take_while(|word| is_plain(**word)).count() * 8;
        let mut wide = false;
        let ends = |byte: &u8| {
            let class = CLASSES[usize::from(*byte)];
            wide |= class == Class::Wide;
            class == Class::Special
        };
        let tail = &rest[plain..];
        self.pos += plain + tail.iter().position(ends).unwrap_or(tail.len());
        !wide
    }

    /// Reads an escape into the arena; tells whether the canonical form spells it so.
    fn escape(&mut self) -> Result<bool, Fault> {
        let start = self.pos;
        self.pos += 1;
        let (plain, verbatim) = match self.peek() {
            Some(b'"') => ('"', true),
            Some(b'\\') => ('\\', true),
            Some(b'/') => ('/', false),
            Some(b'b') => ('\u{8}', true),
            Some(b'f') => ('\u{c}', true),
            Some(b'n') => ('\n', true),
            Some(b'r') => ('\r', true),
            Some(b't') => ('\t', true),
            Some(b'u') => {
                let character = self.unicode(start)?;
                if character == '\0' && self.tape.nul_at.is_none() {
                    self.tape.nul_at = Some(start);
                }
                self.tape.arena.push(character);
                let lower = !self.bytes[start..self.pos]
                    .iter()
                    .any(u8::is_ascii_uppercase);
                return Ok(lower && is_spelt_as_unicode(character));
            }
            _ => return Err(self.fault("malformed escape in a string")),
        };
        self.pos += 1;
        self.tape.arena.push(plain);
        Ok(verbatim)
    }

    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        const LONE: &str =
            "half of a surrogate pair in a string; send the whole pair or the character itself";
        self.pos += 1;
        let first = self.four_hex()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.bytes[self.pos..].starts_with(b"\\u") {
                    return Err(malformed(start, LONE));
                }
                self.pos += 2;
                let second = self.four_hex()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(malformed(start, LONE));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| malformed(start, LONE))
    }

    fn four_hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.fault("malformed escape in a string"));
            };
            code = code * 16 + digit;
            self.pos += 1;
        }
        Ok(code)
    }
}

/// Tells whether the canonical form spells a character `\uXXXX`.
fn is_spelt_as_unicode(character: char) -> bool {
    !matches!(
        character,
        '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' | ' '..='~'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_are_plain_when_each_of_them_is() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut bytes = *b"abcdefgh";
                bytes[place] = byte;
                let plain = CLASSES[usize::from(byte)] == Class::Plain;
                assert!(plain || !is_plain(bytes), "{byte} at {place}");
            }
        }
        assert!(is_plain(*b"plain ~!"));
    }
}
