//! What holds for every JSON text, with another reader as the judge.

use glint::Draft;
use glint::json::{JsonFault, parse, parse_bytes};
use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

const MAX_BYTES: usize = 1 << 20;

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\"", "\\", "/", "\n", "\r", "\t", "\u{0}", "\u{8}", "\u{c}", "\u{1f}", "\u{7f}", "\u{85}", "\u{2028}",
            "\u{FEFF}", "\u{FFFF}", "\u{10FFFF}", "😀", "é", "\\u0041", "a", " ", "event", "data",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Every spelling of a number that a double can hold.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i128>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        "-?[1-9][0-9]{0,300}",
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
    ]
    .prop_map(|lexeme| Value::Number(Number::from_string_unchecked(lexeme)))
}

fn object(
    key: impl Strategy<Value = String>,
    item: impl Strategy<Value = Value>,
    most: usize,
) -> impl Strategy<Value = Value> {
    let members = prop::collection::vec((key, item), 0..most);
    members.prop_map(|members| Value::Object(Map::from_iter(members)))
}

fn any_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        text().prop_map(Value::String),
    ];
    let any_value = leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            object(text(), inner.clone(), 6),
            // Beyond some width duplicates are looked up in another way.
            object("[a-z]{1,2}", inner, 40),
        ]
    });
    // At the top the broker owns this name.
    let key = text().prop_filter("not ours", |key| key != "event");
    object(key, any_value, 6)
}

/// Text that looks like JSON often enough to get past the first character.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\"a\":", "\"a\"", "\\", "\\u", "\\ud83d", "\\ude00", "d800", "0", "-",
            "1", "9", ".", "e", "E+", "-0", "1e999", "NaN", "Infinity", "null", "true", "false", "nul", " ", "\n",
            "\u{FEFF}", "\u{1}", "é", "\u{2028}", "[[[[[[[[[[[[[[[[", "]]]]]]]]]]]]]]]]",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        2 => any_object().prop_map(|value| value.to_string().into_bytes()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The line that a draft keeps of a value: ASCII, spaces behind commas and colons, numbers as they came.
fn line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, item)| format!("{}: {}", quoted(key), line(item)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    for ch in Value::from(text).to_string().chars() {
        if ch.is_ascii() {
            out.push(ch);
        } else {
            let units = ch
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect::<String>();
            out.push_str(&units);
        }
    }
    out
}

fn check_against_the_judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    // One byte order mark is taken off; the judge takes none.
    let rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let other = serde_json::from_slice::<Value>(rest);
    match parse_bytes(bytes) {
        Ok(value) => {
            let other =
                other.map_err(|err| TestCaseError::fail(format!("only we take it: {err}")))?;
            // The judge spells exponents anew, so it has to read both.
            let again: Value = serde_json::from_str(&value.to_ascii())
                .map_err(|err| TestCaseError::fail(format!("not even our own line: {err}")))?;
            prop_assert_eq!(again.to_string(), other.to_string());
        }
        Err(err) => {
            prop_assert!(err.at <= bytes.len());
            let documented = matches!(err.fault, JsonFault::Depth | JsonFault::NonFinite);
            prop_assert!(documented || other.is_err(), "only we refuse it: {}", err);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_draft_keeps_value_order_and_number_lexemes(posted in any_object()) {
        let pretty = serde_json::to_string_pretty(&posted).expect("text");
        let compact = posted.to_string();
        let draft = Draft::read(compact.as_bytes(), MAX_BYTES, Uuid::nil()).expect("a glint");
        prop_assert_eq!(&*draft.text, line(&posted));
        let spacious = Draft::read(pretty.as_bytes(), MAX_BYTES, Uuid::nil()).expect("a glint");
        prop_assert_eq!(&spacious, &draft);
        let twice = Draft::read(draft.text.as_bytes(), MAX_BYTES, Uuid::nil()).expect("a glint");
        prop_assert_eq!(&twice, &draft);
        prop_assert_eq!(parse(&draft.text).map(|value| value.to_ascii().into()), Ok(draft.text));
    }

    #[test]
    fn takes_what_the_judge_takes(bytes in json_like()) {
        check_against_the_judge(&bytes)?;
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        check_against_the_judge(&bytes)?;
    }
}

#[test]
fn the_documented_refusals_are_the_only_ones() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    for (text, fault) in [
        (deep.as_str(), JsonFault::Depth),
        ("1e999", JsonFault::NonFinite),
    ] {
        assert!(serde_json::from_str::<Value>(text).is_ok());
        assert_eq!(parse(text).map_err(|err| err.fault), Err(fault));
    }
    // Here the judge is as strict as we are.
    for text in [
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        "NaN",
        "[1,]",
        "\"\u{1}\"",
        "01",
    ] {
        assert!(serde_json::from_str::<Value>(text).is_err());
        assert!(parse(text).is_err());
    }
}
