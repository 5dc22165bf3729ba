//! The canonical form, and what has none.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

use attest::{Code, Limits, Tape, canonicalise};
use proptest::prelude::*;

fn canonical(text: &str) -> Result<String, Code> {
    canonicalise(text.as_bytes(), &Limits::default()).map_err(|fault| fault.code)
}

#[test]
fn values_are_written_as_python_writes_them() {
    // python3 -c 'import json; print(json.dumps(json.loads(TEXT), sort_keys=True, separators=(",", ":")))' for each.
    for (text, expected) in [
        (" { \"b\" : 1 , \"a\" : [ ] } ", r#"{"a":[],"b":1}"#),
        ("1E5", "100000.0"),
        ("1.00", "1.0"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("100000000000000000000", "100000000000000000000"),
        ("1125899906842624.25", "1125899906842624.2"),
        ("1e-400", "0.0"),
        (r#""\u00E9 é / \/ \u001f""#, r#""\u00e9 \u00e9 / / \u001f""#),
        // By code point, not by UTF-16 unit.
        (
            "{\"🎉\":1,\"\u{e000}\":2}",
            r#"{"\ue000":2,"\ud83c\udf89":1}"#,
        ),
        (
            r#"{"e\u0301":1,"z":2,"\u00e9":3}"#,
            r#"{"e\u0301":1,"z":2,"\u00e9":3}"#,
        ),
    ] {
        assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_readers_could_differ_on_is_refused() {
    let digits = "1".repeat(4301);
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let many = format!("[{}0]", "0,".repeat(1_000_000));
    for (text, code) in [
        ("", Code::MalformedJson),
        ("\u{feff}1", Code::MalformedJson),
        ("NaN", Code::MalformedJson),
        ("-Infinity", Code::MalformedJson),
        ("1e400", Code::MalformedJson),
        ("01", Code::MalformedJson),
        ("1 2", Code::MalformedJson),
        ("[1,]", Code::MalformedJson),
        ("'a'", Code::MalformedJson),
        (r#""\ud800""#, Code::MalformedJson),
        (r#""\ud800A""#, Code::MalformedJson),
        ("\"\u{1}\"", Code::MalformedJson),
        (&digits, Code::MalformedJson),
        (r#"{"a":1,"a":1}"#, Code::DuplicateKey),
        (r#"{"\u0061":1,"a":1}"#, Code::DuplicateKey),
        (&deep, Code::DataTooDeep),
        (&many, Code::TooLarge),
    ] {
        let text_start = &text[..text.floor_char_boundary(40)];
        assert_eq!(canonical(text), Err(code), "{text_start}");
    }
    let err = canonicalise(b"\"\xFF\"", &Limits::default()).expect_err("not UTF-8");
    assert_eq!(err.code, Code::MalformedJson);
    let few = Limits {
        bytes: 3,
        ..Limits::default()
    };
    let err = canonicalise(b"1234", &few).expect_err("too long");
    assert_eq!(err.code, Code::TooLarge);
}

#[test]
fn markers_of_other_libraries_are_plain_data() {
    let text = r#"{"$serde_json::private::Number":"1e5","$serde_json::private::RawValue":"[1]"}"#;
    assert_eq!(canonical(text).as_deref(), Ok(text));
}

#[test]
fn members_are_found_and_items_walked() {
    let text = br#"{"b":[1,{"x":[2]},"three"],"\u0061":{"deep":[[]]},"c":-5,"d":1e2}"#;
    let tape = Tape::read(text, &Limits::default()).expect("JSON");
    let root = tape.root();
    assert_eq!(root.len(), 4);
    assert_eq!(root.height(), 4);
    assert_eq!(root.get("c").and_then(|value| value.as_i64()), Some(-5));
    assert_eq!(root.get("d").and_then(|value| value.as_f64()), Some(100.0));
    assert_eq!(root.get("d").and_then(|value| value.as_i64()), None);
    assert!(
        root.get("a")
            .is_some_and(|value| value.get("deep").is_some())
    );
    assert!(root.get("e").is_none());
    let items: Vec<&str> = root
        .get("b")
        .expect("b")
        .items()
        .map(|item| item.raw())
        .collect();
    assert_eq!(items, ["1", r#"{"x":[2]}"#, "\"three\""]);
    let names: Vec<_> = root
        .members()
        .filter_map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| {
                let member = |(name, value): (&String, &String)| {
                    format!(
                        "{}: {value}",
                        serde_json::to_string(name).expect("a string")
                    )
                };
                let members: Vec<String> = members.iter().map(member).rev().collect();
                format!("{{{}}}", members.join(" ,"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own_and_means_the_same(text in json()) {
        let once = canonical(&text).expect("what serde_json writes");
        prop_assert!(once.is_ascii());
        prop_assert_eq!(canonical(&once).expect("canonical"), once.clone());
        let ours: serde_json::Value = serde_json::from_str(&once).expect("JSON");
        let theirs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        // Numbers are spelt anew, so they are compared by what they stand for.
        prop_assert_eq!(settled(ours), settled(theirs));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonicalise(&bytes, &Limits::default());
    }
}

/// Members in order, numbers by their bits.
fn settled(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(number) if number.as_i64().is_none() => {
            let number = number.as_f64().expect("a double");
            Value::String(format!("{:x}", number.to_bits()))
        }
        Value::Array(items) => items.into_iter().map(settled).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            members
                .into_iter()
                .map(|(name, value)| (name, settled(value)))
                .collect()
        }
        other => other,
    }
}
