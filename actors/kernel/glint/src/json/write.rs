//! The writer: one line of ASCII, the shape line-oriented clients of the glint stream read.

use super::Value;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `value` as one line of ASCII JSON with `", "` and `": "` between the parts.
///
/// Non-ASCII characters become `\uXXXX` escapes, so that clients which split decoded text at Unicode line breaks
/// (U+2028, U+0085) still see one line. Numbers stand as they were sent.
pub fn write_ascii(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(lexeme) => out.push_str(lexeme),
        Value::String(text) => write_ascii_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push_str(", ");
                }
                write_ascii(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (nth, (key, item)) in members.iter().enumerate() {
                if nth > 0 {
                    out.push_str(", ");
                }
                write_ascii_string(key, out);
                out.push_str(": ");
                write_ascii(item, out);
            }
            out.push('}');
        }
    }
}

/// Appends `text` as a quoted ASCII JSON string.
pub fn write_ascii_string(text: &str, out: &mut String) {
    out.push('"');
    // It looks at all bytes: without a way out the compiler does many at once, and most texts are plain.
    let needs =
        |byte: &u8| u8::from(!(0x20..0x80).contains(byte)) | u8::from(matches!(byte, b'"' | b'\\'));
    if text.bytes().fold(0, |found, byte| found | needs(&byte)) == 0 {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut plain_from = 0;
    for (at, ch) in text.char_indices() {
        if matches!(ch, ' '..='\u{7f}' if ch != '"' && ch != '\\') {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + ch.len_utf8();
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ => {
                for unit in ch.encode_utf16(&mut [0; 2]) {
                    push_unit(*unit, out);
                }
            }
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

fn push_unit(unit: u16, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from(HEX[usize::from((unit >> shift) & 0xF)]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn escaped_and_raw_input_give_the_same_line() {
        let raw = parse("{\"g\":\"☍ 😀\u{2028}\",\"n\":[1,2.50]}")
            .unwrap()
            .to_ascii();
        let escaped = parse(r#"{"g":"\u260d \ud83d\ude00\u2028","n":[1,2.50]}"#)
            .unwrap()
            .to_ascii();
        assert_eq!(raw, escaped);
        assert_eq!(raw, r#"{"g": "\u260d \ud83d\ude00\u2028", "n": [1, 2.50]}"#);
    }

    #[test]
    fn control_characters_are_escaped() {
        let text = parse(r#""\u0000\u001f\b\f\n\r\t\"\\\/""#)
            .unwrap()
            .to_ascii();
        assert_eq!(text, r#""\u0000\u001f\b\f\n\r\t\"\\/""#);
    }

    #[test]
    fn plain_text_is_written_into_memory_of_its_length() {
        let text = r#"{"a": [null, true, false, -1.0E+5, "x y"], "b": {}, "c": [], "": ["", 7]}"#;
        let line = parse(text).unwrap().to_ascii();
        assert_eq!((line.as_str(), line.capacity()), (text, text.len()));
    }

    #[test]
    fn text_survives_a_second_reading() {
        let text = r#"{"a": [null, true, false, -1.0E+5, "x\ny"], "b": {}, "c": []}"#;
        assert_eq!(parse(text).unwrap().to_ascii(), text);
    }
}
