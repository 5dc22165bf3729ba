use super::*;

fn fault(text: &str) -> JsonFault {
    parse(text).expect_err(text).fault
}

#[test]
fn keeps_order_lexemes_and_the_last_duplicate() {
    let value = parse(r#"{"b":1.50,"a":123456789012345678901234567890,"b":-0e0}"#).unwrap();
    let members = value.as_object().unwrap();
    assert_eq!(members[0], ("b".into(), Value::Number("-0e0".into())));
    assert_eq!(
        members[1],
        (
            "a".into(),
            Value::Number("123456789012345678901234567890".into())
        )
    );
    assert_eq!(members.len(), 2);
}

#[test]
fn finds_duplicates_in_wide_objects() {
    let mut text = String::from("{");
    for round in 0..2 {
        for key in 0..100 {
            text.push_str(&format!(
                "{}\"k{key}\":{round}",
                if text.len() > 1 { "," } else { "" }
            ));
        }
    }
    text.push('}');
    let value = parse(&text).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 100);
    assert_eq!(value.get("k99"), Some(&Value::Number("1".into())));
    assert_eq!(value.get("k3"), Some(&Value::Number("1".into())));
}

#[test]
fn refuses_what_a_browser_cannot_read_back() {
    for text in [
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "-1e400",
        "{\"a\":NaN}",
    ] {
        assert_eq!(fault(text), JsonFault::NonFinite, "{text}");
    }
    for text in [
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\udc00""#,
        r#""\ud83d\ud83d""#,
    ] {
        assert_eq!(fault(text), JsonFault::Surrogate, "{text}");
    }
    assert_eq!(
        parse(r#""\ud83d\ude00\u00e9""#).unwrap(),
        Value::String("😀é".into())
    );
}

#[test]
fn refuses_what_is_not_json() {
    let cases = [
        ("", JsonFault::Truncated),
        ("[1,", JsonFault::Truncated),
        ("\"abc", JsonFault::Truncated),
        ("[1 2]", JsonFault::ExpectedComma),
        ("{a:1}", JsonFault::ExpectedKey),
        ("{\"a\" 1}", JsonFault::ExpectedColon),
        ("[1,]", JsonFault::ExpectedValue),
        ("nul", JsonFault::ExpectedValue),
        ("1 2", JsonFault::Trailing),
        ("01", JsonFault::Number),
        ("1.x", JsonFault::Number),
        ("-x", JsonFault::Number),
        ("1_000", JsonFault::Number),
        (r#""\x41""#, JsonFault::Escape),
        (r#""\u00g0""#, JsonFault::Escape),
        ("\"a\nb\"", JsonFault::Control),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(text), expected, "{text:?}");
    }
    assert_eq!(
        parse_bytes(b"\"\xff\"").unwrap_err(),
        JsonError {
            fault: JsonFault::Utf8,
            at: 1
        }
    );
}

#[test]
fn reads_to_the_depth_limit_and_no_deeper() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nest(MAX_DEPTH)).is_ok());
    assert_eq!(fault(&nest(MAX_DEPTH + 1)), JsonFault::Depth);
}

#[test]
fn takes_a_byte_order_mark_off() {
    assert_eq!(
        parse_bytes(b"\xEF\xBB\xBF{}").unwrap(),
        Value::Object(vec![])
    );
    assert_eq!(parse("\u{FEFF}{}").unwrap(), Value::Object(vec![]));
}

#[test]
fn takes_one_byte_order_mark_off_and_no_more() {
    let twice = "\u{FEFF}\u{FEFF}{}";
    assert_eq!(fault(twice), JsonFault::ExpectedValue);
    assert_eq!(
        parse_bytes(twice.as_bytes()).unwrap_err().fault,
        JsonFault::ExpectedValue
    );
}
