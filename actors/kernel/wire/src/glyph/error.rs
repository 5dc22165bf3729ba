//! What can be wrong with a value that is to be written, or with a text that is to be read.

use super::MAX_DEPTH;
use thiserror::Error;

use super::read::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS};

/// Why a value has no GLYPH spelling.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A number beyond the range of a double.
    #[error("number {lexeme} is beyond the range of a double; send it as a string")]
    NumberRange {
        /// The first characters of the number.
        lexeme: String,
    },
    /// A number that is not spelt as one; only a value built by hand can hold it.
    #[error("{lexeme:?} is not a number")]
    NotANumber {
        /// The first characters of what stood in its place.
        lexeme: String,
    },
    /// The value is nested deeper than readers can be trusted to follow.
    #[error("the value is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

impl WriteError {
    /// Returns a token that stays the same between releases.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NumberRange { .. } => "glyph_number_range",
            Self::NotANumber { .. } => "glyph_not_a_number",
            Self::Depth => "glyph_depth",
        }
    }
}

/// Why a text is not GLYPH that we take, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} at byte {at}")]
pub struct GlyphError {
    /// What is wrong.
    pub fault: GlyphFault,
    /// Offset of the offending byte in the text that was given.
    pub at: usize,
}

impl GlyphError {
    /// Returns a token that stays the same between releases, see [`GlyphFault::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }
}

/// What is wrong with a GLYPH text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GlyphFault {
    /// The text, or the table cell, ends inside a value.
    #[error("the text ends inside a value")]
    Truncated,
    /// Something else than a value stands where a value should.
    #[error("expected a value")]
    ExpectedValue,
    /// A map entry or a table column does not start with a name.
    #[error("expected a name, bare or in double quotes")]
    ExpectedKey,
    /// A map key is not followed by `=` or `:`.
    #[error("expected '=' or ':' after a key")]
    ExpectedEquals,
    /// Two values touch, or a bracket closes what it did not open.
    #[error("expected a space, a comma or the closing bracket")]
    ExpectedSeparator,
    /// Something follows the value.
    #[error("unexpected text after the value")]
    Trailing,
    /// A word that starts like a number and is neither a number nor a time.
    #[error("malformed number or time; put text in double quotes")]
    Number,
    /// `NaN`, an infinity, or a float that no double can hold.
    #[error("NaN, Inf and floats beyond the range of a double have no place in JSON")]
    NonFinite,
    /// An escape that neither GLYPH nor JSON has.
    #[error("malformed escape in a string")]
    Escape,
    /// Half of a surrogate pair.
    #[error("lone surrogate in a string; send the whole pair or the character itself")]
    Surrogate,
    /// Something else than Base64 between the quotes of `b64"…"`.
    #[error("malformed base64")]
    Base64,
    /// A caret with nothing behind it.
    #[error("expected a reference after '^'")]
    Reference,
    /// A table header without columns, with a name twice, or with counts that are not numbers or do not fit.
    #[error("malformed table header, or its cols= does not match the columns")]
    TableHeader,
    /// A table row that is not `|cell|cell|` with one cell for each column.
    #[error("malformed table row; each is one line with one cell for each column")]
    TableRow,
    /// A table with more or fewer rows than its header says.
    #[error("the table does not have the rows that its header promises")]
    TableRows,
    /// A table so wide or so long that reading it would cost far more memory than its text.
    #[error(
        "the table exceeds {MAX_COLUMNS} columns or {MAX_COLUMN_NAME_BYTES} bytes of column names over all rows"
    )]
    TableSize,
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

impl GlyphFault {
    /// Returns a token that stays the same between releases.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Truncated => "glyph_truncated",
            Self::ExpectedValue => "glyph_expected_value",
            Self::ExpectedKey => "glyph_expected_key",
            Self::ExpectedEquals => "glyph_expected_equals",
            Self::ExpectedSeparator => "glyph_expected_separator",
            Self::Trailing => "glyph_trailing",
            Self::Number => "glyph_number",
            Self::NonFinite => "glyph_non_finite",
            Self::Escape => "glyph_escape",
            Self::Surrogate => "glyph_surrogate",
            Self::Base64 => "glyph_base64",
            Self::Reference => "glyph_reference",
            Self::TableHeader => "glyph_table_header",
            Self::TableRow => "glyph_table_row",
            Self::TableRows => "glyph_table_rows",
            Self::TableSize => "glyph_table_size",
            Self::Depth => "glyph_depth",
        }
    }
}
