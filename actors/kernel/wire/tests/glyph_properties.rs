//! What holds for every value and every text, however hostile.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use glint::json::{self, Value};
use proptest::prelude::*;
use wire::glyph::MAX_DEPTH;
use wire::glyph::{Form, parse, state_hash, write};

const FORMS: [Form; 3] = [Form::Profile, Form::Loose, Form::NoTabular];

fn spell(value: &Value<'_>, form: Form) -> String {
    let mut out = String::new();
    write(value, form, &mut out).unwrap();
    out
}

/// Returns the value as its meaning: numbers as doubles, members in order of their names. `nulls` says whether null
/// members count; a table cannot tell them from missing ones.
fn meaning(value: &Value<'_>, nulls: bool) -> String {
    match value {
        Value::Number(lexeme) => {
            // Adding zero turns a negative zero into a positive one.
            format!("{:?}", lexeme.parse::<f64>().unwrap() + 0.0)
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| meaning(item, nulls)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<(&str, String)> = members
                .iter()
                .filter(|(_, item)| nulls || *item != Value::Null)
                .map(|(key, item)| (key.as_ref(), meaning(item, nulls)))
                .collect();
            members.sort();
            let members = members.iter().map(|(key, item)| format!("{key:?}:{item}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_ascii(),
    }
}

fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "|", "\\", "\\|", "\"", "@tab _", "=@tab _", "@end", "_", "∅", "t", "f", "null", "nil", "{", "}",
            "[", "]", "(", ")", "=", ":", ",", " ", "\n", "\r", "\t", "\u{0}", "\u{b}", "\u{1f}", "\u{7f}",
            "\u{2028}", "\u{FEFF}", "\u{1F600}", "\u{FFEE}", "é", "b64", "^", "#", "1", "-", ".", "e5", "NaN",
            "struct", "a", "ab", "\\u0041", "\\n",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-20_i32..20).prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        (-2_000_000..2_000_000_i64, 0_usize..9).prop_map(|(n, scale)| format!("{n}e-{scale}")),
        (0_u64..10_000_000, 0_u64..100_000).prop_map(|(n, fraction)| format!("{n}.{fraction:05}")),
    ]
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(|lexeme| Value::Number(lexeme.into())),
        hostile_text().prop_map(|text| Value::String(text.into())),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        let row = (inner.clone(), inner.clone(), any::<bool>());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(hostile_text(), inner, 0..5).prop_map(object),
            // Lists that become tables would be rare otherwise.
            (
                hostile_text(),
                hostile_text(),
                prop::collection::vec(row, 3..6)
            )
                .prop_map(|(one, other, rows)| {
                    let row = |(left, right, both): (Value<'static>, Value<'static>, bool)| {
                        let mut members = vec![(one.clone(), left)];
                        if both && one != other {
                            members.push((other.clone(), right));
                        }
                        object(members)
                    };
                    Value::Array(rows.into_iter().map(row).collect())
                }),
        ]
    })
}

fn object(members: impl IntoIterator<Item = (String, Value<'static>)>) -> Value<'static> {
    let members = members.into_iter().map(|(key, item)| (key.into(), item));
    Value::Object(members.collect())
}

/// Text that looks like GLYPH often enough to get past the first character.
fn glyph_like_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        hostile_text(),
        prop::sample::select(vec![
            "@tab _ rows=1 cols=1 [x]\n",
            "@tab _ [a b]\n|",
            "|1|\n",
            "\n@end",
            "{a=",
            "b64\"",
            "Tag(",
            "\\ud83d",
            "\"",
            "2024-01-01T",
            "-1.5e",
            "999999999e99",
            "^\"",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back_from_every_form(value in any_value()) {
        for form in FORMS {
            let text = spell(&value, form);
            let back = parse(&text).map_err(|err| TestCaseError::fail(format!("{err} in {text}")))?;
            let nulls = form != Form::Loose;
            prop_assert_eq!(meaning(&back, nulls), meaning(&value, nulls), "{}", text);
        }
    }

    #[test]
    fn what_comes_back_is_spelt_as_before(value in any_value()) {
        for form in [Form::Profile, Form::NoTabular] {
            let text = spell(&value, form);
            prop_assert_eq!(spell(&parse(&text).unwrap(), form), text);
        }
    }

    #[test]
    fn spelling_and_hash_do_not_depend_on_member_order(value in any_value()) {
        let turned = reversed(value.clone());
        for form in FORMS {
            prop_assert_eq!(spell(&turned, form), spell(&value, form));
        }
        prop_assert_eq!(state_hash(&turned).unwrap(), state_hash(&value).unwrap());
    }

    #[test]
    fn profile_is_one_line_and_lures_nobody(value in any_value()) {
        let text = spell(&value, Form::Profile);
        prop_assert!(!text.contains(['\r', '\n']), "{}", text);
        prop_assert!(!text.contains("=@tab _"), "{}", text);
        prop_assert!(!text.bytes().any(|byte| byte < b' '), "{}", text);
    }

    #[test]
    fn json_text_means_the_same_as_to_a_json_reader(value in any_value()) {
        let text = value.to_ascii();
        prop_assert_eq!(parse(&text).unwrap(), json::parse(&text).unwrap());
        let tight = text.replace(", ", ",").replace(": ", ":");
        if let Ok(expected) = json::parse(&tight) {
            prop_assert_eq!(parse(&tight).unwrap(), expected);
        }
    }

    #[test]
    fn numbers_keep_their_double_and_have_one_spelling(number in any::<f64>()) {
        prop_assume!(number.is_finite());
        let spellings = [format!("{number:e}"), format!("{number}")].map(|lexeme| {
            spell(&Value::Number(lexeme.into()), Form::Profile)
        });
        prop_assert_eq!(&spellings[0], &spellings[1]);
        prop_assert_eq!(spellings[0].parse::<f64>().unwrap(), number);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), glyph_like_text()]) {
        match parse(&text) {
            Ok(value) => {
                // What was read is JSON: the other reader takes it.
                let text = value.to_ascii();
                prop_assert_eq!(json::parse(&text).unwrap(), value);
            }
            Err(err) => {
                prop_assert!(err.at <= text.len(), "{} in {:?}", err, text);
                prop_assert!(!err.code().is_empty());
            }
        }
    }

    #[test]
    fn no_damage_to_a_text_makes_the_reader_panic(value in any_value(), at in any::<prop::sample::Index>()) {
        for form in FORMS {
            let text = spell(&value, form);
            let mut cut = at.index(text.len() + 1);
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            for damaged in [&text[..cut], &text[cut..]] {
                if let Err(err) = parse(damaged) {
                    prop_assert!(err.at <= damaged.len());
                }
            }
        }
    }
}

fn reversed(value: Value<'static>) -> Value<'static> {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(reversed).collect()),
        Value::Object(members) => {
            let members = members.into_iter().rev();
            Value::Object(members.map(|(key, item)| (key, reversed(item))).collect())
        }
        other => other,
    }
}

#[test]
fn values_at_the_depth_limit_come_back_from_every_form() {
    let zero = || Value::Number("0".into());
    let pipe = || Value::String("|\\".into());
    let list = (0..MAX_DEPTH).fold(pipe(), |inner, _| Value::Array(vec![inner]));
    let map = (0..MAX_DEPTH).fold(pipe(), |inner, _| object([("a".to_owned(), inner)]));
    // Each table takes two levels: the list and its rows.
    let table = (0..MAX_DEPTH / 2).fold(pipe(), |inner, _| {
        let rows = [inner, zero(), zero()];
        Value::Array(rows.map(|cell| object([("a".to_owned(), cell)])).into())
    });
    for value in [list, map, table] {
        for form in FORMS {
            let text = spell(&value, form);
            assert_eq!(meaning(&parse(&text).unwrap(), true), meaning(&value, true));
        }
    }
}
