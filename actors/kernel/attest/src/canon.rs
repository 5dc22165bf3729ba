//! The canonical form: `json.dumps(value, sort_keys=True, separators=(",", ":"))` of CPython, which is ASCII.
//!
//! The canonical form of a text is that of the value it stands for: other spellings of a number or a string come out
//! the same, so bytes that a middle box spelt anew still verify.

use crate::fault::Fault;
use crate::number::write_float;
use crate::tape::{Kind, Limits, Tape, Value};

/// Returns the canonical form of a JSON text.
///
/// # Errors
/// As [`Tape::read`].
pub fn canonicalise(bytes: &[u8], limits: &Limits) -> Result<String, Fault> {
    let tape = Tape::read(bytes, limits)?;
    let mut out = String::with_capacity(bytes.len());
    write(&mut out, tape.root());
    Ok(out)
}

/// Writes the canonical form of a value.
pub fn write(out: &mut String, value: Value<'_>) {
    if value.is_verbatim() {
        out.push_str(value.raw());
        return;
    }
    match value.kind() {
        Kind::Null | Kind::True | Kind::False => out.push_str(value.raw()),
        // Every other integer is verbatim.
        Kind::Int => out.push('0'),
        Kind::Float => write_float(out, value.as_f64().unwrap_or(0.0)),
        Kind::String => write_string(out, value.as_str().unwrap_or("")),
        Kind::Array => write_array(out, value.items(), write),
        Kind::Object => write_object(out, value),
    }
}

/// Writes an array of what `item` writes.
pub(crate) fn write_array<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    mut item: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (place, value) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

fn write_object(out: &mut String, object: Value<'_>) {
    out.push('{');
    for (place, (name, value)) in object.members().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(out, name);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

/// Writes a string in quotes, everything but printable ASCII escaped.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut run = 0;
    for (at, byte) in text.bytes().enumerate() {
        if matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\' {
            continue;
        }
        // The middle of a character that was written with its first byte.
        if at < run {
            continue;
        }
        out.push_str(&text[run..at]);
        let character = text[at..].chars().next().unwrap_or('\u{FFFD}');
        escape(out, character);
        run = at + character.len_utf8();
    }
    out.push_str(&text[run..]);
    out.push('"');
}

fn escape(out: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                hex_unit(out, *unit);
            }
            return;
        }
    };
    out.push_str(short);
}

fn hex_unit(out: &mut String, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from(HEX[usize::from(unit >> shift & 0xF)]));
    }
}
