//! The reader: one pass, recursive to a fixed depth, borrowing from the text wherever nothing had to be decoded.

mod members;
mod quoted;
mod table;
mod word;

use std::borrow::Cow;

use glint::json::Value;

use super::MAX_DEPTH;

use super::{GlyphError, GlyphFault};
use members::Members;

/// Most columns that a table may have to be read.
pub const MAX_COLUMNS: usize = 1024;

/// Most bytes that the column names of all tables in a text may take when repeated for every row, as JSON repeats them.
///
/// Without it a text of one megabyte could unfold into a JSON of many gigabytes.
pub const MAX_COLUMN_NAME_BYTES: usize = 16 << 20;

/// Parses one GLYPH value, or JSON text, with white space around it and nothing else.
///
/// Taken in every place: null as `∅ _ null nil none`; booleans as `t f true false`; bare words, also with dots, dashes
/// and letters beyond ASCII; commas wherever white space may separate; `=` or `:` behind keys; every escape of JSON.
/// Of duplicate keys the last value stands at the first position. Nesting ends at [`MAX_DEPTH`].
///
/// What JSON has no type for becomes:
/// - `Type{k=v}`: the object alone, the type name is dropped; the brace must touch the name
/// - `Tag(v)`: an object with one member, `{"Tag": v}`; `Tag()` has null
/// - `b64"…"`: a string of the Base64 text as it stands, checked but not decoded
/// - a time such as `2024-05-01T12:00:00Z`, or a date: a string as it stands
/// - `^prefix:value` and `^"…"`: a string that begins with the caret
/// - `@tab … @end`: an array of objects with every column in each; empty cells and null cells are null. In a cell `\|`
///   is `|` and all other backslashes stay.
///
/// Numbers keep their characters, which are always a JSON number.
///
/// # Errors
/// The first fault and its byte, see [`GlyphFault`].
///
/// # Examples
/// ```
/// let value = wire::glyph::parse("{id=7 tags=[new hot] at=∅}").unwrap();
/// assert_eq!(value.to_ascii(), r#"{"id": 7, "tags": ["new", "hot"], "at": null}"#);
///
/// let err = wire::glyph::parse("{id=7").unwrap_err();
/// assert_eq!((err.code(), err.at), ("glyph_truncated", 5));
/// ```
pub fn parse(text: &str) -> Result<Value<'_>, GlyphError> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        pos: 0,
        depth: 0,
        spare_name_bytes: MAX_COLUMN_NAME_BYTES,
    };
    if text.starts_with('\u{FEFF}') {
        reader.pos = '\u{FEFF}'.len_utf8();
    }
    reader.whole()
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    depth: usize,
    /// What is left of [`MAX_COLUMN_NAME_BYTES`].
    spare_name_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Reads one value that fills the rest of the text.
    fn whole(&mut self) -> Result<Value<'a>, GlyphError> {
        self.skip_space();
        let value = self.value()?;
        self.skip_space();
        if self.pos < self.bytes.len() {
            return Err(self.fault(GlyphFault::Trailing));
        }
        Ok(value)
    }

    /// Returns an error at the present position; at the end of the text it says that the text ends too early.
    fn fault(&self, fault: GlyphFault) -> GlyphError {
        let fault = if self.pos >= self.bytes.len() {
            GlyphFault::Truncated
        } else {
            fault
        };
        fault_at(fault, self.pos)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    fn skip_separators(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',') = self.peek() {
            self.pos += 1;
        }
    }

    fn value(&mut self) -> Result<Value<'a>, GlyphError> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.quoted()?)),
            Some(b'{') => self.nested(Self::map),
            Some(b'[') => self.nested(Self::list),
            Some(b'^') => self.reference(),
            Some(b'@') => self.table(),
            Some(b'-' | b'0'..=b'9') => self.number_or_time(),
            _ => self.word_or_typed(),
        }
    }

    /// Reads what follows an opening bracket, which is still to be passed.
    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value<'a>, GlyphError>,
    ) -> Result<Value<'a>, GlyphError> {
        self.enter()?;
        self.pos += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), GlyphError> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(GlyphFault::Depth));
        }
        self.depth += 1;
        Ok(())
    }

    fn list(&mut self) -> Result<Value<'a>, GlyphError> {
        let mut items = Vec::new();
        loop {
            self.skip_separators();
            if self.peek() == Some(b']') {
                self.pos += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value()?);
            self.end_of_item(b']')?;
        }
    }

    fn map(&mut self) -> Result<Value<'a>, GlyphError> {
        let mut members = Members::default();
        loop {
            self.skip_separators();
            if self.peek() == Some(b'}') {
                self.pos += 1;
                return Ok(Value::Object(members.into_list()));
            }
            let key = self.key()?;
            self.skip_space();
            let Some(b'=' | b':') = self.peek() else {
                return Err(self.fault(GlyphFault::ExpectedEquals));
            };
            self.pos += 1;
            self.skip_space();
            let value = self.value()?;
            members.put(key, value);
            self.end_of_item(b'}')?;
        }
    }

    /// Checks, without moving, that a separator or the closing bracket follows: values that touch are a mistake.
    fn end_of_item(&self, bracket: u8) -> Result<(), GlyphError> {
        match self.peek() {
            Some(b' ' | b',' | b'\n' | b'\t' | b'\r') => Ok(()),
            Some(byte) if byte == bracket => Ok(()),
            _ => Err(self.fault(GlyphFault::ExpectedSeparator)),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, GlyphError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let key = self.bare();
        if key.is_empty() {
            return Err(self.fault(GlyphFault::ExpectedKey));
        }
        Ok(Cow::Borrowed(key))
    }

    /// Reads the value in the parentheses of `Tag(v)`.
    fn tagged(&mut self, tag: &'a str) -> Result<Value<'a>, GlyphError> {
        self.enter()?;
        self.pos += 1;
        self.skip_space();
        let value = if self.peek() == Some(b')') {
            Value::Null
        } else {
            self.value()?
        };
        self.skip_space();
        if self.peek() != Some(b')') {
            return Err(self.fault(GlyphFault::ExpectedSeparator));
        }
        self.pos += 1;
        self.depth -= 1;
        Ok(Value::Object(vec![(Cow::Borrowed(tag), value)]))
    }
}

fn fault_at(fault: GlyphFault, at: usize) -> GlyphError {
    GlyphError { fault, at }
}
