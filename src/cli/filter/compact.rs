//! JSON as short as it gets: no blanks, raw UTF-8.

use glint::hex;
use glint::json::Value;

/// Appends `value` on one line.
pub(super) fn push_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(lexeme) => out.extend_from_slice(lexeme.as_bytes()),
        Value::String(text) => push_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_text(key, out);
                out.push(b':');
                push_value(value, out);
            }
            out.push(b'}');
        }
    }
}

/// Appends `text` in quotes. Only quotes, backslashes and control characters are escaped.
pub(super) fn push_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    out.push(b'"');
    for (at, byte) in bytes.iter().copied().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        out.push(b'\\');
        match byte {
            b'\n' => out.push(b'n'),
            b'\r' => out.push(b'r'),
            b'\t' => out.push(b't'),
            b'"' | b'\\' => out.push(byte),
            _ => {
                out.extend_from_slice(b"u00");
                out.extend(hex::digits(&[byte]));
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use glint::json::parse;

    use super::*;

    #[test]
    fn json_comes_out_short_and_means_the_same() {
        let text = r#" { "a" : [ 1.50 , -0, true,null ] , "b\u00e9" : "x\"\\\n\u0001\u007f/😀" , "c":{} , "d":[] } "#;
        let value = parse(text).unwrap();
        let mut out = Vec::new();
        push_value(&value, &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(
            out,
            "{\"a\":[1.50,-0,true,null],\"bé\":\"x\\\"\\\\\\n\\u0001\u{7f}/😀\",\"c\":{},\"d\":[]}"
        );
        assert_eq!(parse(&out).unwrap(), value);
    }
}
