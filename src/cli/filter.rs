//! `gs1` and `glyph`: filters from standard input to standard output.
//!
//! Layout:
//! - `gs1`: frames from and to JSON lines.
//! - `glyph`: payload texts and state hashes from and to JSON lines.
//! - `compact`: JSON as short as it gets.

pub(super) mod compact;
pub(super) mod glyph;
pub(super) mod gs1;

use std::io::{self, BufReader, Stdin};

use anyhow::{Context, Result};
use glint::json::{JsonError, JsonFault};

use super::lines::{Line, Lines};
use super::out::Out;

const BUFFER_BYTES: usize = 64 * 1024;

/// What is wrong with a line of the input.
#[derive(Debug, PartialEq, Eq)]
struct BadLine {
    code: &'static str,
    detail: String,
}

impl BadLine {
    fn new(code: &'static str, detail: impl Into<String>) -> BadLine {
        BadLine {
            code,
            detail: detail.into(),
        }
    }
}

impl From<JsonError> for BadLine {
    fn from(err: JsonError) -> BadLine {
        // The tokens a broker refuses the same text with.
        let code = match err.fault {
            JsonFault::NonFinite => "json_not_finite",
            JsonFault::Surrogate => "json_lone_surrogate",
            JsonFault::Depth => "json_too_deep",
            _ => "json_syntax",
        };
        BadLine::new(code, err.to_string())
    }
}

/// Gives every line of standard input that is not blank to `each`, with its number, and writes what it appends.
fn for_each_line(mut each: impl FnMut(u64, Result<&str, BadLine>, &mut Vec<u8>)) -> Result<()> {
    let mut lines = Lines::new(input());
    let mut out = Out::new();
    let mut result = Vec::new();
    loop {
        // What is done goes out before the wait for more.
        if !lines.has_line() {
            out.flush()?;
        }
        let number = lines.number() + 1;
        let line = match lines.next().context("cannot read standard input")? {
            None => break,
            Some(Line::Blank) => continue,
            Some(Line::Text(text)) => Ok(text),
            Some(Line::Unreadable(reason)) => Err(BadLine::new("line_unreadable", reason)),
        };
        result.clear();
        each(number, line, &mut result);
        out.bytes(&result)?;
    }
    out.flush()?;
    Ok(())
}

fn input() -> BufReader<Stdin> {
    BufReader::with_capacity(BUFFER_BYTES, io::stdin())
}
