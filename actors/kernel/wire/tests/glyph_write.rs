//! What the GLYPH writers promise: the published hash vectors, the rules of each form, and nothing half written.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use glint::json::{self, Value};
use sha2::{Digest, Sha256};
use wire::glyph::MAX_DEPTH;
use wire::glyph::{Form, state_hash, write};

fn spell(json: &str, form: Form) -> String {
    let value = json::parse(json).unwrap();
    let mut out = String::new();
    write(&value, form, &mut out).unwrap();
    out
}

fn loose(json: &str) -> String {
    spell(json, Form::Loose)
}

fn profile(json: &str) -> String {
    spell(json, Form::Profile)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn prefix_of_hash(json: &str) -> String {
    hex(&state_hash(&json::parse(json).unwrap()).unwrap()[..8])
}

fn prefix_of_fingerprint(json: &str) -> String {
    hex(&Sha256::digest(spell(json, Form::NoTabular))[..8])
}

const TWO_KEYS: &str = r#"{"x":1,"y":2}"#;
const ODD_KEYS: &str = r#"{"b":1,"a":2,"aa":3,"A":4,"_":5}"#;
const NUMBERS: &str = r#"{"f":[0.1,1e21,1e-7,1234567.5,-0.0,3.0,9007199254740993]}"#;
const STRINGS: &str = r#"{"s":"café ☕","t":"t","u":"_x","q":"a\"b\\c\nd\te"}"#;
const ROWS: &str = r#"{"rows":[{"k":"a","v":null},{"k":"b"},{"k":"c","v":2}]}"#;
const CONTROLS: &str = r#"{"ctl":"\u0001\u000b\u001f"}"#;
const THREE_ROWS: &str = r#"[{"id":1},{"id":2},{"id":3}]"#;
const TWO_ROWS: &str = r#"[{"id":1},{"id":2}]"#;

#[test]
fn state_hashes_are_those_of_the_reference_implementations() {
    let vectors = [
        ("{}", "44136fa355b3678a"),
        ("[]", "4f53cda18c2baa0c"),
        (r#""a""#, "ca978112ca1bbdca"),
        ("null", "d2e2adf7177b7a8a"),
        (r#"{"a":null}"#, "3b4dd7c9bb2adf73"),
        ("[null]", "fb9e39498f0ced4a"),
        (ODD_KEYS, "d456687ed308e047"),
        (THREE_ROWS, "b004720c45c011da"),
        (TWO_ROWS, "831fe1e7a5f81b22"),
        (NUMBERS, "d35ebb193474516e"),
        (STRINGS, "e961bb5781d17f02"),
        (ROWS, "5284f5ed765b91be"),
        (CONTROLS, "c8bbc9033f5c81c6"),
    ];
    for (json, expected) in vectors {
        assert_eq!(prefix_of_hash(json), expected, "{json}");
    }
    let whole = state_hash(&json::parse(TWO_KEYS).unwrap()).unwrap();
    assert_eq!(
        hex(&whole),
        "86289d0995ec08fb6f57ac4a919925bf14c1991bc53d73954d49b3451876c278"
    );
}

#[test]
fn fingerprints_are_those_of_the_reference_implementations() {
    let vectors = [
        ("null", "73c8ffe9553f8c24"),
        (r#"{"a":null}"#, "2bc24f59016f3fde"),
        ("[null]", "19bcefdda9fac71c"),
        (THREE_ROWS, "77ddeaf0cf834782"),
        (ROWS, "95dc79686c023396"),
        // Where no null and no table is involved the fingerprint is the state hash.
        ("{}", "44136fa355b3678a"),
        (ODD_KEYS, "d456687ed308e047"),
        (NUMBERS, "d35ebb193474516e"),
        (STRINGS, "e961bb5781d17f02"),
    ];
    for (json, expected) in vectors {
        assert_eq!(prefix_of_fingerprint(json), expected, "{json}");
    }
}

#[test]
fn loose_text_is_that_of_the_reference_implementations() {
    let vectors = [
        ("{}", "{}"),
        ("[]", "[]"),
        (r#""a""#, "a"),
        (TWO_KEYS, "{x=1 y=2}"),
        ("null", "_"),
        (r#"{"a":null}"#, "{a=_}"),
        ("[true, false]", "[t f]"),
        (ODD_KEYS, r#"{"_"=5 A=4 a=2 aa=3 b=1}"#),
        (TWO_ROWS, "[{id=1} {id=2}]"),
        (
            NUMBERS,
            r#"{"f"=[0.1 1e+21 1e-07 1.2345675e+06 0 3 9.007199254740992e+15]}"#,
        ),
        (STRINGS, r#"{"t"="t" q="a\"b\\c\nd\te" s="café ☕" u=_x}"#),
        (
            ROWS,
            "{rows=@tab _ rows=3 cols=2 [k v]\n|a|_|\n|b|_|\n|c|2|\n@end}",
        ),
        (CONTROLS, r#"{ctl="\u0001\u000B\u001F"}"#),
    ];
    for (json, expected) in vectors {
        assert_eq!(loose(json), expected, "{json}");
    }
    assert_eq!(spell(THREE_ROWS, Form::NoTabular), "[{id=1} {id=2} {id=3}]");
}

#[test]
fn keys_sort_by_utf8_and_not_by_utf16() {
    let keys = "{\"\u{1F600}\":1,\"\u{FFEE}\":2}";
    let text = loose(keys);
    assert!(text.find('\u{FFEE}') < text.find('\u{1F600}'), "{text}");
    assert_eq!(prefix_of_hash(keys), "f4c4862d0f45c2fc");
}

#[test]
fn wide_maps_sort_like_narrow_ones() {
    let members: Vec<String> = (0..300).rev().map(|n| format!("\"k{n:03}\":{n}")).collect();
    let expected: Vec<String> = (0..300).map(|n| format!("k{n:03}={n}")).collect();
    assert_eq!(
        loose(&format!("{{{}}}", members.join(","))),
        format!("{{{}}}", expected.join(" "))
    );
}

#[test]
fn profile_spells_null_with_the_empty_set_sign() {
    assert_eq!(profile(r#"{"a":null,"b":[null]}"#), "{a=∅ b=[∅]}");
}

#[test]
fn profile_quotes_a_leading_underscore_in_strings_and_keys() {
    assert_eq!(
        profile(r#"{"_k":"_v","k_":"v_","_":"__"}"#),
        r#"{"_"="__" "_k"="_v" k_=v_}"#
    );
    assert_eq!(loose(r#"{"_k":"_v"}"#), "{_k=_v}");
}

#[test]
fn profile_quotes_a_word_in_front_of_a_map_in_a_list() {
    assert_eq!(
        profile(r#"["a","b",{"x":1},"c",[],"d"]"#),
        r#"[a "b" {x=1} c [] d]"#
    );
    assert_eq!(profile(r#"["b",{}]"#), r#"["b" {}]"#);
    assert_eq!(profile(r#"[true,{}]"#), "[t {}]");
    assert_eq!(loose(r#"["b",{"x":1}]"#), "[b {x=1}]");
}

#[test]
fn profile_disarms_the_table_lure_inside_strings_and_keys() {
    assert_eq!(
        profile(r#"{"a=@tab _":"x=@tab _y=@tab _"}"#),
        r#"{"a=\u0040tab _"="x=\u0040tab _y=\u0040tab _"}"#
    );
    assert_eq!(profile(r#""@tab _""#), r#""@tab _""#);
    assert_eq!(profile(r#""=@tab""#), r#""=@tab""#);
    assert_eq!(loose(r#""=@tab _""#), r#""=@tab _""#);
}

#[test]
fn profile_and_fingerprint_never_make_tables() {
    for form in [Form::Profile, Form::NoTabular] {
        assert_eq!(spell(THREE_ROWS, form), "[{id=1} {id=2} {id=3}]");
    }
}

#[test]
fn profile_equals_the_fingerprint_form_where_no_rule_fires() {
    for json in [ROWS, NUMBERS, CONTROLS, THREE_ROWS, "[null,\"a b\"]"] {
        assert_eq!(profile(json), spell(json, Form::NoTabular));
    }
}

#[test]
fn a_list_with_an_empty_map_or_another_value_stays_a_list() {
    assert_eq!(loose(r#"[{"a":1},{"a":2},{}]"#), "[{a=1} {a=2} {}]");
    assert_eq!(
        loose(r#"[{"a":1},{"a":2},{"a":3},4]"#),
        "[{a=1} {a=2} {a=3} 4]"
    );
}

#[test]
fn a_table_has_at_most_twenty_columns() {
    let row = |columns: usize| {
        let members: Vec<String> = (0..columns).map(|n| format!("\"c{n:02}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let list = |columns: usize| format!("[{0},{0},{0}]", row(columns));
    assert!(loose(&list(20)).starts_with("@tab _ rows=3 cols=20 [c00 c01 "));
    assert!(loose(&list(21)).starts_with("[{c00=1 "));
}

#[test]
fn a_table_needs_half_of_its_columns_in_every_row() {
    assert_eq!(
        loose(r#"[{"a":1,"b":2},{"a":3},{"a":4}]"#),
        "@tab _ rows=3 cols=2 [a b]\n|1|2|\n|3|_|\n|4|_|\n@end"
    );
    assert_eq!(
        loose(r#"[{"a":1,"b":2,"c":3},{"a":3},{"a":4}]"#),
        "[{a=1 b=2 c=3} {a=3} {a=4}]"
    );
    assert_eq!(loose(r#"[{"a":1},{"b":1},{"c":1}]"#), "[{a=1} {b=1} {c=1}]");
}

#[test]
fn table_cells_escape_borders_and_leave_backslashes_alone() {
    assert_eq!(
        loose(r#"[{"a|b":"x|y"},{"a|b":"back\\slash"},{"a|b":"\\|"}]"#),
        concat!(
            "@tab _ rows=3 cols=1 [\"a|b\"]\n",
            "|\"x\\|y\"|\n",
            "|\"back\\\\slash\"|\n",
            "|\"\\\\\\|\"|\n",
            "@end"
        )
    );
}

#[test]
fn tables_nest_in_cells_and_lists() {
    assert_eq!(
        loose(r#"[{"r":[{"a":1},{"a":2},{"a":3}]},{"r":0},{"r":1}]"#),
        concat!(
            "@tab _ rows=3 cols=1 [r]\n",
            "|@tab _ rows=3 cols=1 [a]\n\\|1\\|\n\\|2\\|\n\\|3\\|\n@end|\n",
            "|0|\n|1|\n@end"
        )
    );
    assert_eq!(
        loose(&format!("[{THREE_ROWS},5]")),
        "[@tab _ rows=3 cols=1 [id]\n|1|\n|2|\n|3|\n@end 5]"
    );
}

#[test]
fn a_failed_write_leaves_the_output_as_it_was() {
    // By hand, because the JSON reader refuses such a number before a writer sees it.
    let huge = Value::Number("9".repeat(400).into());
    let value = Value::Array(vec![Value::Number("1".into()), Value::Array(vec![huge])]);
    for form in [Form::Profile, Form::Loose, Form::NoTabular] {
        let mut out = String::from("kept");
        let err = write(&value, form, &mut out).unwrap_err();
        assert_eq!((err.code(), out.as_str()), ("glyph_number_range", "kept"));
    }
    assert_eq!(state_hash(&value).unwrap_err().code(), "glyph_number_range");
}

#[test]
fn writes_to_the_depth_limit_and_no_deeper() {
    let nest = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    for form in [Form::Profile, Form::Loose, Form::NoTabular] {
        assert!(write(&nest(MAX_DEPTH), form, &mut String::new()).is_ok());
        let err = write(&nest(MAX_DEPTH + 1), form, &mut String::new()).unwrap_err();
        assert_eq!(err.code(), "glyph_depth");
    }
}
