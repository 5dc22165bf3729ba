//! The GLYPH reader never panics, and every form of the writer comes back as the value that it was made of.

#![no_main]

use glint::json::Value;
use libfuzzer_sys::fuzz_target;
use wire::glyph::{Form, MAX_DEPTH, WriteError, parse, state_hash, write};

fuzz_target!(|text: &str| {
    if let Ok(value) = glint::json::parse_to_depth(text, MAX_DEPTH) {
        assert_eq!(parse(text), Ok(value), "JSON text is GLYPH text");
    }
    let value = match parse(text) {
        Ok(value) => value,
        Err(err) => {
            assert!(err.at <= text.len());
            return;
        }
    };
    let profile = match spell(&value, Form::Profile) {
        Ok(profile) => profile,
        // Numbers keep their characters when they are read; a writer has to find their double.
        Err(err) => return assert!(matches!(err, WriteError::NumberRange { .. }), "{err}"),
    };
    assert!(!profile.contains(['\r', '\n']));
    let again = parse(&profile).expect("own text is read");
    assert_eq!(meaning(&again), meaning(&value));
    // What is canonical already stays as it is.
    assert_eq!(spell(&again, Form::Profile), Ok(profile));
    let fingerprint = spell(&value, Form::NoTabular).expect("it has a profile, so it has this");
    let again = parse(&fingerprint).expect("own text is read");
    assert_eq!(meaning(&again), meaning(&value));
    // A table may unfold beyond the bounds of the reader, so this form may be refused, but never misread.
    let loose = spell(&value, Form::Loose).expect("it has a profile, so it has this");
    if let Ok(again) = parse(&loose) {
        assert_eq!(state_hash(&again), state_hash(&value));
    }
});

fn spell(value: &Value<'_>, form: Form) -> Result<String, WriteError> {
    let mut out = String::from("kept");
    let written = write(value, form, &mut out);
    assert!(out.starts_with("kept") && (written.is_ok() || out.len() == 4));
    written.map(|()| out.split_off(4))
}

/// Numbers as doubles, members in order of their names.
fn meaning(value: &Value<'_>) -> String {
    match value {
        // Adding zero turns a negative zero into a positive one, as both writers do.
        Value::Number(lexeme) => format!("{:?}", lexeme.parse::<f64>().expect("a number") + 0.0),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(meaning).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<(&str, String)> = members
                .iter()
                .map(|(key, item)| (key.as_ref(), meaning(item)))
                .collect();
            members.sort();
            let members: Vec<String> = members
                .iter()
                .map(|(key, item)| format!("{key:?}:{item}"))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_ascii(),
    }
}
