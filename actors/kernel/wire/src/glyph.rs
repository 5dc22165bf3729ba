//! GLYPH payload text: canonical writers, the state hash, and a tolerant way back to JSON.
//!
//! GLYPH is one text notation with several dialects of reader. The writers here are therefore narrow and the reader is
//! wide: what [`write()`] emits as [`Form::Profile`] means the same in every reader we know of, and [`parse`] takes what
//! any of the known writers emit, JSON text included.
//!
//! Numbers have the semantics of a double, as they have in a browser. A JSON lexeme that a double cannot hold is an
//! error ([`WriteError::NumberRange`]) rather than an infinity, and 64-bit identifiers belong in strings.
//!
//! Not here: schemas, applying patches, and decoding of what sits inside `b64"…"`.

mod error;
mod number;
mod patch;
mod read;
mod table;
mod text;
mod write;

use glint::json::Value;
use sha2::{Digest, Sha256};

pub use error::{GlyphError, GlyphFault, WriteError};
pub use patch::diff;
pub use read::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS, parse};

/// Deepest nesting that is written and read: a glint as deep as it may be, with two envelopes around it.
pub const MAX_DEPTH: usize = glint::json::MAX_DEPTH + 2;

/// How a value is spelt.
///
/// All forms sort the members of a map by the bytes of their canonical key text, separate with single spaces, and nest
/// at most [`MAX_DEPTH`] deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// What goes on the wire: one line without CR or LF that every known reader takes for the same value.
    ///
    /// Like [`Form::NoTabular`], except that three spellings which some readers get wrong are avoided: a leading
    /// underscore is quoted, a string in front of a map in a list is quoted, and `=@tab _` inside a string has its `@`
    /// escaped.
    Profile,
    /// What the state hash is taken of: null is `_`, and lists of similar maps become tables.
    ///
    /// A table cannot tell a missing member from a null one.
    Loose,
    /// The fingerprint form: null is `∅`, and nothing becomes a table.
    NoTabular,
}

/// Appends `value` to `out`, spelt as `form` says. After an error `out` is as it was before.
///
/// Of an object only the order of members is lost; numbers keep their double. [`parse`] reads every form back.
///
/// # Errors
/// [`WriteError::NumberRange`] and [`WriteError::NotANumber`] for numbers that no double stands for, and
/// [`WriteError::Depth`] for values nested deeper than [`MAX_DEPTH`].
///
/// # Examples
/// ```
/// use wire::glyph::{Form, write};
///
/// let value = glint::json::parse(r#"{"say":"hi there","n":3.0,"gone":null}"#).unwrap();
/// let mut line = String::new();
/// write(&value, Form::Profile, &mut line).unwrap();
/// assert_eq!(line, r#"{gone=∅ n=3 say="hi there"}"#);
/// ```
pub fn write(value: &Value<'_>, form: Form, out: &mut String) -> Result<(), WriteError> {
    let before = out.len();
    let written = write::Writer::new(form, out).value(value);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

/// Returns the SHA-256 of the [`Form::Loose`] spelling: the state hash that patches name as their base.
///
/// # Errors
/// As [`write()`]: a value that has no spelling has no hash.
///
/// # Examples
/// ```
/// let value = glint::json::parse(r#"{"y": 2, "x": 1}"#).unwrap();
/// let hash = wire::glyph::state_hash(&value).unwrap();
/// assert_eq!(hash[..4], [0x86, 0x28, 0x9d, 0x09]);
/// ```
pub fn state_hash(value: &Value<'_>) -> Result<[u8; 32], WriteError> {
    let mut text = String::with_capacity(256);
    write(value, Form::Loose, &mut text)?;
    Ok(Sha256::digest(text.as_bytes()).into())
}
