//! `glyph`: payload texts and state hashes from and to JSON lines.

use anyhow::Result;
use glint::hex;
use glint::json::{self, Value};
use wire::glyph::{self, Form};

use super::compact::{push_text, push_value};
use super::{BadLine, for_each_line};
use crate::cli::args::{GlyphForm, GlyphVerb};
use crate::cli::{EXIT_FAILURE, EXIT_OK};

/// Runs a filter. A line that is refused leaves an error in its place.
pub(in crate::cli) fn run(verb: &GlyphVerb) -> Result<u8> {
    let mut has_failed = false;
    let mut text = String::new();
    for_each_line(|number, line, out| {
        let outcome = line.and_then(|line| match verb {
            GlyphVerb::Fmt { form } => format(line, *form, &mut text, out),
            GlyphVerb::Json => to_json(line, out),
            GlyphVerb::Hash => hash(line, out),
        });
        if let Err(bad) = outcome {
            has_failed = true;
            push_error(number, &bad, out);
        }
        out.push(b'\n');
    })?;
    Ok(if has_failed { EXIT_FAILURE } else { EXIT_OK })
}

fn format(
    line: &str,
    form: GlyphForm,
    text: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), BadLine> {
    let value = json::parse(line)?;
    let form = match form {
        GlyphForm::Profile => Form::Profile,
        GlyphForm::Loose => Form::Loose,
        GlyphForm::Notabular => Form::NoTabular,
    };
    text.clear();
    glyph::write(&value, form, text).map_err(|err| BadLine::new(err.code(), err.to_string()))?;
    push_text(text, out);
    Ok(())
}

fn to_json(line: &str, out: &mut Vec<u8>) -> Result<(), BadLine> {
    let Value::String(text) = json::parse(line)? else {
        let detail = "each line must be a GLYPH text as a JSON string, as `glyph fmt` writes it";
        return Err(BadLine::new("not_a_string", detail));
    };
    let value = glyph::parse(&text).map_err(|err| BadLine::new(err.code(), err.to_string()))?;
    push_value(&value, out);
    Ok(())
}

fn hash(line: &str, out: &mut Vec<u8>) -> Result<(), BadLine> {
    let value = json::parse(line)?;
    let hash = glyph::state_hash(&value);
    let hash = hash.map_err(|err| BadLine::new(err.code(), err.to_string()))?;
    out.extend(hex::digits(&hash));
    Ok(())
}

fn push_error(number: u64, bad: &BadLine, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    push_text(bad.code, out);
    out.extend_from_slice(format!(",\"line\":{number},\"detail\":").as_bytes());
    push_text(&bad.detail, out);
    out.push(b'}');
}
