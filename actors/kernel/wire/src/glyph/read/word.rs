//! What stands without quotes: words, numbers, times, references, and the words in front of structs and sums.

use std::borrow::Cow;

use glint::json::Value;

use super::{GlyphError, GlyphFault, Reader, fault_at};

/// Longest time literal; RFC 3339 with nanoseconds and an offset takes 35.
const MAX_TIME_BYTES: usize = 48;

impl<'a> Reader<'a> {
    /// Takes the run of characters that may stand without quotes; it can be empty.
    pub(super) fn bare(&mut self) -> &'a str {
        let start = self.pos;
        while let Some(byte) = self.peek()
            && !ends_word(byte)
        {
            self.pos += 1;
        }
        &self.text[start..self.pos]
    }

    /// Reads a word, or the struct, sum or bytes whose name it is.
    pub(super) fn word_or_typed(&mut self) -> Result<Value<'a>, GlyphError> {
        let Some(b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80..) = self.peek() else {
            return Err(self.fault(GlyphFault::ExpectedValue));
        };
        let start = self.pos;
        let word = self.bare();
        match self.peek() {
            Some(b'{') => return self.nested(Self::map),
            Some(b'(') => return self.tagged(word),
            Some(b'"') if word == "b64" => return self.base64(),
            _ => {}
        }
        match word {
            "∅" | "_" | "null" | "nil" | "none" => Ok(Value::Null),
            "t" | "true" => Ok(Value::Bool(true)),
            "f" | "false" => Ok(Value::Bool(false)),
            "NaN" | "Inf" | "Infinity" => Err(fault_at(GlyphFault::NonFinite, start)),
            _ => Ok(Value::String(Cow::Borrowed(word))),
        }
    }

    pub(super) fn number_or_time(&mut self) -> Result<Value<'a>, GlyphError> {
        let start = self.pos;
        let lexeme = self.bare();
        match spelling(lexeme.as_bytes()) {
            Some(Spelling::Integer) => Ok(Value::Number(Cow::Borrowed(lexeme))),
            Some(Spelling::Float) => {
                if lexeme.parse::<f64>().is_ok_and(f64::is_infinite) {
                    return Err(fault_at(GlyphFault::NonFinite, start));
                }
                Ok(Value::Number(Cow::Borrowed(lexeme)))
            }
            None => self.time(start),
        }
    }

    /// Reads a date or a time from `start` on. Its colons would end any other word.
    fn time(&mut self, start: usize) -> Result<Value<'a>, GlyphError> {
        self.pos = start;
        while let Some(byte) = self.peek()
            && (byte == b':' || !ends_word(byte))
        {
            self.pos += 1;
        }
        let literal = &self.text[start..self.pos];
        if is_time(literal.as_bytes()) {
            return Ok(Value::String(Cow::Borrowed(literal)));
        }
        let fault = match literal {
            "-Inf" | "-Infinity" => GlyphFault::NonFinite,
            _ => GlyphFault::Number,
        };
        Err(fault_at(fault, start))
    }

    pub(super) fn reference(&mut self) -> Result<Value<'a>, GlyphError> {
        let start = self.pos;
        self.pos += 1;
        if self.peek() == Some(b'"') {
            let target = self.quoted()?;
            return Ok(Value::String(Cow::Owned(format!("^{target}"))));
        }
        while let Some(byte) = self.peek()
            && (byte == b':' || !ends_word(byte))
        {
            self.pos += 1;
        }
        if self.pos == start + 1 {
            return Err(self.fault(GlyphFault::Reference));
        }
        Ok(Value::String(Cow::Borrowed(&self.text[start..self.pos])))
    }

    fn base64(&mut self) -> Result<Value<'a>, GlyphError> {
        let start = self.pos;
        let text = self.quoted()?;
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        if !text.trim_end_matches('=').bytes().all(known) {
            return Err(fault_at(GlyphFault::Base64, start));
        }
        Ok(Value::String(text))
    }
}

fn ends_word(byte: u8) -> bool {
    matches!(
        byte,
        0..=b' '
            | b','
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'='
            | b':'
            | b'"'
            | b'|'
            | b'\\'
            | b'^'
            | b'@'
            | 0x7F
    )
}

enum Spelling {
    Integer,
    Float,
}

/// Tells how JSON would see these bytes, if they are a JSON number.
fn spelling(bytes: &[u8]) -> Option<Spelling> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let (whole, rest) = split_digits(unsigned);
    let leading_zero = whole.len() > 1 && whole[0] == b'0';
    if whole.is_empty() || leading_zero {
        return None;
    }
    if rest.is_empty() {
        return Some(Spelling::Integer);
    }
    let rest = match rest {
        [b'.', tail @ ..] => {
            let (fraction, rest) = split_digits(tail);
            if fraction.is_empty() {
                return None;
            }
            rest
        }
        _ => rest,
    };
    let exponent = match rest {
        [] => return Some(Spelling::Float),
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => exponent,
        _ => return None,
    };
    let (digits, rest) = split_digits(exponent);
    (!digits.is_empty() && rest.is_empty()).then_some(Spelling::Float)
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.split_at(digits)
}

/// Tells whether the bytes have the shape of a date, or of a date and a time. The calendar is not consulted.
fn is_time(bytes: &[u8]) -> bool {
    let Some((date, time)) = bytes.split_at_checked("2024-05-01".len()) else {
        return false;
    };
    let dated = date.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let timed = match time {
        [] => true,
        [b'T' | b't', b'0'..=b'9', rest @ ..] => rest
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b'+' | b'-' | b'Z' | b'z')),
        _ => false,
    };
    dated && timed && bytes.len() <= MAX_TIME_BYTES
}
