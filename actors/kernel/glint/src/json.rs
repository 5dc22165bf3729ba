//! JSON as this house needs it: member order, number lexemes and the last of duplicate keys are kept; what a browser
//! could not read back (NaN, infinities, lone surrogates) is refused.
//!
//! Why not `serde_json::Value`: a glint leaves as it came. Its number type rounds 30-digit integers and rewrites
//! floats unless two crate-wide features are on, and those features would then change every other user of the crate in
//! the same build.

mod object;
mod parse;
mod write;

use std::borrow::Cow;

pub use object::{Object, object};
pub use parse::{JsonError, JsonFault, MAX_DEPTH, parse, parse_bytes, parse_to_depth};
pub use write::{write_ascii, write_ascii_string};

/// A JSON value that borrows from its source wherever nothing had to be decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as the characters that were sent.
    Number(Cow<'a, str>),
    /// A string, decoded.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object in member order. Keys are unique: of duplicates the last value stands at the first position.
    Object(Vec<Member<'a>>),
}

/// One member of an object.
pub type Member<'a> = (Cow<'a, str>, Value<'a>);

impl<'a> Value<'a> {
    /// Returns the value of member `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        let members = self.as_object()?;
        members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Returns the value at the end of a path of member names.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Value<'a>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Returns the members, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the nearest double, if this is a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Number(lexeme) => lexeme.parse().ok(),
            _ => None,
        }
    }

    /// Names the type the way JSON documentation does.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Returns the value as one line of ASCII JSON, see [`write_ascii`].
    #[must_use]
    pub fn to_ascii(&self) -> String {
        // Most texts are plain: written into one piece of memory that is as long as they are.
        let mut out = String::with_capacity(self.plain_bytes());
        write_ascii(self, &mut out);
        out
    }

    /// Counts the bytes that it takes as a line if no text of it needs escapes; otherwise it takes more.
    fn plain_bytes(&self) -> usize {
        let quoted = |text: &str| text.len() + 2;
        let between = |parts: usize| 2 * parts.saturating_sub(1);
        match self {
            Value::Null => 4,
            Value::Bool(is) => 5 - usize::from(*is),
            Value::Number(lexeme) => lexeme.len(),
            Value::String(text) => quoted(text),
            Value::Array(items) => {
                let parts = items.iter().map(Value::plain_bytes).sum::<usize>();
                2 + parts + between(items.len())
            }
            Value::Object(members) => {
                let parts = members
                    .iter()
                    .map(|(key, item)| quoted(key) + 2 + item.plain_bytes());
                2 + parts.sum::<usize>() + between(members.len())
            }
        }
    }
}
