//! The reader: one pass, recursive to a fixed depth, no allocation for strings without escapes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use super::{Member, Value};

/// Deepest nesting of arrays and objects that is read.
///
/// A third-party GLYPH reader loops for ever on 130 nested lists, so one publisher could stop every subscriber that
/// uses it; real glints nest 5 deep.
pub const MAX_DEPTH: usize = 64;

/// Objects with more members than this look up duplicate keys in a hash table instead of one by one.
const SMALL_OBJECT: usize = 24;

/// Numbers without an exponent and no longer than this fit a double.
const MAX_PLAIN_DIGITS: usize = 308;

/// Why a text is not JSON that we take, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub fault: JsonFault,
    /// Offset of the offending byte, after a byte order mark was taken off.
    pub at: usize,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    Truncated,
    /// Something else than a value stands where a value should.
    #[error("expected a value")]
    ExpectedValue,
    /// An object member does not start with a string.
    #[error("expected a member name in double quotes")]
    ExpectedKey,
    /// A member name is not followed by a colon.
    #[error("expected ':' after a member name")]
    ExpectedColon,
    /// Neither a comma nor the end of the array or object follows.
    #[error("expected ',' or the closing bracket")]
    ExpectedComma,
    /// Something follows the value.
    #[error("unexpected text after the value")]
    Trailing,
    /// A number is not spelt as JSON spells numbers.
    #[error("malformed number")]
    Number,
    /// `NaN`, `Infinity`, or a number that no double can hold: browsers cannot read them back.
    #[error(
        "NaN, Infinity and numbers beyond the range of a double are not JSON; send null or a string"
    )]
    NonFinite,
    /// An escape that JSON does not have.
    #[error("malformed escape in a string")]
    Escape,
    /// Half of a surrogate pair: not a character, and unreadable for strict clients.
    #[error("lone surrogate in a string; send the whole pair or the character itself")]
    Surrogate,
    /// A raw control character inside a string.
    #[error("raw control character in a string; escape it")]
    Control,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested too deep, the limit is {MAX_DEPTH} levels")]
    Depth,
}

/// Parses UTF-8 bytes, see [`parse`]. A byte order mark is taken off first.
///
/// # Errors
/// As [`parse`], and [`JsonFault::Utf8`].
pub fn parse_bytes(bytes: &[u8]) -> Result<Value<'_>, JsonError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|err| JsonError {
        fault: JsonFault::Utf8,
        at: err.valid_up_to(),
    })?;
    whole(text, MAX_DEPTH)
}

/// Parses one JSON value, with white space around it and nothing else.
///
/// # Errors
/// The first fault and its byte, see [`JsonFault`].
pub fn parse(text: &str) -> Result<Value<'_>, JsonError> {
    parse_to_depth(text, MAX_DEPTH)
}

/// Parses as [`parse`] does, nested at most `depth` deep: for texts of ours that wrap what was read before.
///
/// # Errors
/// As [`parse`].
pub fn parse_to_depth(text: &str, depth: usize) -> Result<Value<'_>, JsonError> {
    whole(text.strip_prefix('\u{FEFF}').unwrap_or(text), depth)
}

fn whole(text: &str, depth: usize) -> Result<Value<'_>, JsonError> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        pos: 0,
        depth_left: depth,
    };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    if reader.pos < reader.bytes.len() {
        return Err(reader.fault(JsonFault::Trailing));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    depth_left: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, fault: JsonFault) -> JsonError {
        let fault = if self.pos >= self.bytes.len() {
            JsonFault::Truncated
        } else {
            fault
        };
        JsonError {
            fault,
            at: self.pos,
        }
    }

    fn fault_at(fault: JsonFault, at: usize) -> JsonError {
        JsonError { fault, at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N' | b'I') => Err(self.unspeakable()),
            _ => Err(self.fault(JsonFault::ExpectedValue)),
        }
    }

    fn unspeakable(&self) -> JsonError {
        let rest = &self.text[self.pos..];
        let known = rest.starts_with("NaN") || rest.starts_with("Infinity");
        self.fault(if known {
            JsonFault::NonFinite
        } else {
            JsonFault::ExpectedValue
        })
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        if !self.bytes[self.pos..].starts_with(word.as_bytes()) {
            return Err(self.fault(JsonFault::ExpectedValue));
        }
        self.pos += word.len();
        Ok(value)
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value<'a>, JsonError>,
    ) -> Result<Value<'a>, JsonError> {
        if self.depth_left == 0 {
            return Err(self.fault(JsonFault::Depth));
        }
        self.depth_left -= 1;
        self.pos += 1;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value<'a>, JsonError> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.pos += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value()?);
            if self.closes(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn object(&mut self) -> Result<Value<'a>, JsonError> {
        let mut members = Members {
            list: Vec::new(),
            index: None,
        };
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.pos += 1;
            return Ok(Value::Object(members.list));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.fault(JsonFault::ExpectedKey));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.fault(JsonFault::ExpectedColon));
            }
            self.pos += 1;
            self.skip_space();
            let value = self.value()?;
            members.put(key, value);
            if self.closes(b'}')? {
                return Ok(Value::Object(members.list));
            }
        }
    }

    fn closes(&mut self, bracket: u8) -> Result<bool, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(false)
            }
            Some(byte) if byte == bracket => {
                self.pos += 1;
                Ok(true)
            }
            _ => Err(self.fault(JsonFault::ExpectedComma)),
        }
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
            if self.text[self.pos..].starts_with("Infinity") {
                return Err(Self::fault_at(JsonFault::NonFinite, start));
            }
        }
        match self.peek() {
            Some(b'0') => self.pos += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault(JsonFault::Number)),
        }
        let mut may_overflow = false;
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            may_overflow = true;
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.some_digits()?;
        }
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_') = self.peek() {
            return Err(self.fault(JsonFault::Number));
        }
        let lexeme = &self.text[start..self.pos];
        may_overflow |= lexeme.len() > MAX_PLAIN_DIGITS;
        if may_overflow && lexeme.parse::<f64>().is_ok_and(f64::is_infinite) {
            return Err(Self::fault_at(JsonFault::NonFinite, start));
        }
        Ok(Value::Number(Cow::Borrowed(lexeme)))
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        let start = self.pos;
        self.digits();
        if self.pos == start {
            Err(self.fault(JsonFault::Number))
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
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
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(Cow::Owned(decoded));
                }
                Some(b'\\') => decoded.push(self.escape()?),
                Some(_) => return Err(self.fault(JsonFault::Control)),
                None => return Err(self.fault(JsonFault::Truncated)),
            }
            run_start = self.pos;
            self.plain_run();
        }
    }

    /// Moves past bytes that stand for themselves.
    fn plain_run(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.pos += 1;
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
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
            _ => return Err(self.fault(JsonFault::Escape)),
        };
        self.pos += 1;
        Ok(plain)
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        self.pos += 1;
        let first = self.four_hex()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.bytes[self.pos..].starts_with(b"\\u") {
                    return Err(Self::fault_at(JsonFault::Surrogate, start));
                }
                self.pos += 2;
                let second = self.four_hex()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(Self::fault_at(JsonFault::Surrogate, start));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or(JsonError {
            fault: JsonFault::Surrogate,
            at: start,
        })
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.fault(JsonFault::Escape));
            };
            code = code * 16 + digit;
            self.pos += 1;
        }
        Ok(code)
    }
}

/// The members of one object while it is read; the last of duplicate keys stands at the first one's place.
struct Members<'a> {
    list: Vec<Member<'a>>,
    /// Places of the members beyond the first [`SMALL_OBJECT`]; few objects have any.
    ///
    /// Ordered, not hashed: the same bytes take the same way through the code each time, which a fixed fuzz run needs.
    index: Option<BTreeMap<Cow<'a, str>, usize>>,
}

impl<'a> Members<'a> {
    fn put(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        match self.find(&key) {
            Some(at) => self.list[at].1 = value,
            None => {
                if self.list.len() >= SMALL_OBJECT {
                    let index = self.index.get_or_insert_default();
                    index.insert(key.clone(), self.list.len());
                }
                self.list.push((key, value));
            }
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        let small = self.list.len().min(SMALL_OBJECT);
        let near = self.list[..small].iter().position(|(name, _)| name == key);
        near.or_else(|| self.index.as_ref()?.get(key).copied())
    }
}

#[cfg(test)]
mod tests;
