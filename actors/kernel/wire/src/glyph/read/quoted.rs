//! Quoted strings, with every escape that GLYPH writers and JSON have.

use std::borrow::Cow;

use super::{GlyphError, GlyphFault, Reader, fault_at};

impl<'a> Reader<'a> {
    /// Reads a string from its opening quote on. Raw control characters are taken as they are.
    pub(super) fn quoted(&mut self) -> Result<Cow<'a, str>, GlyphError> {
        self.pos += 1;
        let start = self.pos;
        self.plain_run();
        if self.peek() == Some(b'"') {
            let text = &self.text[start..self.pos];
            self.pos += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut decoded = String::with_capacity(self.pos - start + 16);
        let mut run_start = start;
        loop {
            decoded.push_str(&self.text[run_start..self.pos]);
            match self.peek() {
                Some(b'\\') => decoded.push(self.escape()?),
                Some(_) => {
                    self.pos += 1;
                    return Ok(Cow::Owned(decoded));
                }
                None => return Err(self.fault(GlyphFault::Truncated)),
            }
            run_start = self.pos;
            self.plain_run();
        }
    }

    /// Moves to the next quote or backslash, or to the end.
    fn plain_run(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' {
                return;
            }
            self.pos += 1;
        }
    }

    fn escape(&mut self) -> Result<char, GlyphError> {
        let start = self.pos;
        self.pos += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.fault(GlyphFault::Escape)),
        };
        self.pos += 1;
        Ok(plain)
    }

    fn unicode(&mut self, start: usize) -> Result<char, GlyphError> {
        let first = self.code_unit()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.bytes[self.pos..].starts_with(b"\\u") {
                    return Err(fault_at(GlyphFault::Surrogate, start));
                }
                self.pos += 1;
                let second = self.code_unit()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(fault_at(GlyphFault::Surrogate, start));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or(fault_at(GlyphFault::Surrogate, start))
    }

    /// Reads four hexadecimal digits behind the `u` at the present position.
    fn code_unit(&mut self) -> Result<u32, GlyphError> {
        self.pos += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.fault(GlyphFault::Escape));
            };
            code = code * 16 + digit;
            self.pos += 1;
        }
        Ok(code)
    }
}
