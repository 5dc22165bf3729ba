//! What the GLYPH reader promises: every dialect it takes, every text it refuses, and where.

use wire::glyph::MAX_DEPTH;
use wire::glyph::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS, parse};

/// Returns the text as JSON, or the code and the offset of the error.
fn json(text: &str) -> String {
    match parse(text) {
        Ok(value) => value.to_ascii(),
        Err(err) => format!("{} {}", err.code(), err.at),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(json(text), *expected, "{text:?}");
    }
}

#[test]
fn reads_every_spelling_of_null_and_booleans() {
    check(&[
        ("[∅ _ null nil none]", "[null, null, null, null, null]"),
        ("[t true f false]", "[true, true, false, false]"),
        (
            "[T True _x nul ∅x]",
            r#"["T", "True", "_x", "nul", "\u2205x"]"#,
        ),
    ]);
}

#[test]
fn numbers_keep_their_characters() {
    let numbers = "[0, -0, 7, -12.50, 1e-07, 1E+21, 9.007199254740992e+15, 123456789012345678901]";
    check(&[(numbers, numbers)]);
}

#[test]
fn refuses_what_only_looks_like_a_number() {
    check(&[
        ("[01]", "glyph_number 1"),
        ("1.", "glyph_number 0"),
        ("-", "glyph_number 0"),
        ("1e", "glyph_number 0"),
        ("1_000", "glyph_number 0"),
        ("0x10", "glyph_number 0"),
        ("550e8400-e29b", "glyph_number 0"),
        ("+5", "glyph_expected_value 0"),
        (".5", "glyph_expected_value 0"),
        ("{a=1e999}", "glyph_non_finite 3"),
        ("NaN", "glyph_non_finite 0"),
        ("[Inf]", "glyph_non_finite 1"),
        ("-Inf", "glyph_non_finite 0"),
    ]);
}

#[test]
fn reads_bare_words_with_dots_dashes_and_any_letters() {
    check(&[
        (
            "[a-b a.b é a/b struct]",
            r#"["a-b", "a.b", "\u00e9", "a/b", "struct"]"#,
        ),
        (
            "{t=1 null=2 _=3 7=4 a-b=5}",
            r#"{"t": 1, "null": 2, "_": 3, "7": 4, "a-b": 5}"#,
        ),
    ]);
}

#[test]
fn reads_every_escape() {
    check(&[
        (r#""\\\"\n\r\t\b\f\/""#, r#""\\\"\n\r\t\b\f/""#),
        (
            r#""\u0041\u00e9\u000B\ud83d\ude00""#,
            r#""A\u00e9\u000b\ud83d\ude00""#,
        ),
        ("\"raw\nline\ttab\"", r#""raw\nline\ttab""#),
        (r#""a\q""#, "glyph_escape 3"),
        (r#""\u12g4""#, "glyph_escape 5"),
        (r#""\ud83d""#, "glyph_surrogate 1"),
        (r#""\ud83d\u0041""#, "glyph_surrogate 1"),
        (r#""\ude00""#, "glyph_surrogate 1"),
        (r#""\u12"#, "glyph_truncated 5"),
        ("\"\\", "glyph_truncated 2"),
    ]);
}

#[test]
fn separators_may_be_spaces_commas_or_line_breaks() {
    check(&[
        ("[1 2,3\n4\t5\r\n6 , 7,]", "[1, 2, 3, 4, 5, 6, 7]"),
        (
            "{a=1,b:2\nc = 3 \"d\" : 4}",
            r#"{"a": 1, "b": 2, "c": 3, "d": 4}"#,
        ),
        (" \n {} \n", "{}"),
        ("\u{FEFF}[]", "[]"),
    ]);
}

#[test]
fn of_duplicate_keys_the_last_value_stands_first() {
    check(&[(r#"{b=1 a=2 "b"=3}"#, r#"{"b": 3, "a": 2}"#)]);
    let wide: String = (0..200).map(|n| format!("k{}={n} ", n % 100)).collect();
    let value = parse(&format!("{{{wide}}}")).map(|value| value.to_ascii());
    let value = value.unwrap();
    assert_eq!(value.matches("\"k").count(), 100);
    assert!(value.starts_with(r#"{"k0": 100, "k1": 101"#), "{value}");
    assert!(value.ends_with(r#""k99": 199}"#), "{value}");
}

#[test]
fn reads_json_text() {
    let text = r#"{"a": [1, -2.5, "x\ny", null, true], "b": {}, "c": []}"#;
    check(&[
        (text, text),
        (
            r#"{"a":1,"b":[true,null]}"#,
            r#"{"a": 1, "b": [true, null]}"#,
        ),
    ]);
}

#[test]
fn types_that_json_lacks_become_strings_and_objects() {
    check(&[
        ("Point{x=1 y=2}", r#"{"x": 1, "y": 2}"#),
        ("[a {x=1}]", r#"["a", {"x": 1}]"#),
        ("Some(5)", r#"{"Some": 5}"#),
        ("Some( [1] )", r#"{"Some": [1]}"#),
        ("None()", r#"{"None": null}"#),
        (r#"b64"aGk+/w==""#, r#""aGk+/w==""#),
        (r#"b64"a b""#, "glyph_base64 3"),
        ("2024-05-01T12:00:00.5Z", r#""2024-05-01T12:00:00.5Z""#),
        (
            "{at=2024-05-01T12:00:00+02:00}",
            r#"{"at": "2024-05-01T12:00:00+02:00"}"#,
        ),
        ("2024-05-01", r#""2024-05-01""#),
        ("2024-05-01X", "glyph_number 0"),
        ("[^user:42 ^plain]", r#"["^user:42", "^plain"]"#),
        (r#"^"a b""#, r#""^a b""#),
        ("[^]", "glyph_reference 2"),
    ]);
}

#[test]
fn refuses_broken_structure_and_says_where() {
    check(&[
        ("", "glyph_truncated 0"),
        ("[1 2", "glyph_truncated 4"),
        ("{a=", "glyph_truncated 3"),
        ("{a", "glyph_truncated 2"),
        ("{a b}", "glyph_expected_equals 3"),
        ("{=1}", "glyph_expected_key 1"),
        ("{a=}", "glyph_expected_value 3"),
        ("[1}", "glyph_expected_separator 2"),
        ("[\"a\"\"b\"]", "glyph_expected_separator 4"),
        ("Tag(1 2)", "glyph_expected_separator 6"),
        ("1 2", "glyph_trailing 2"),
        ("a:b", "glyph_trailing 1"),
        ("@patch", "glyph_expected_value 0"),
        ("a\u{0}", "glyph_trailing 1"),
    ]);
}

#[test]
fn reads_tables_into_lists_of_objects() {
    check(&[
        (
            "{rows=@tab _ rows=2 cols=2 [k v]\n|a|_|\n|b|2|\n@end}",
            r#"{"rows": [{"k": "a", "v": null}, {"k": "b", "v": 2}]}"#,
        ),
        (
            "@tab Row [a \"b c\"]\r\n| 1 ||\r\n|[2 3]|{x=∅}|\r\n@end\n",
            r#"[{"a": 1, "b c": null}, {"a": [2, 3], "b c": {"x": null}}]"#,
        ),
        ("@tab _ rows=0 cols=1 [x]\n@end", "[]"),
    ]);
}

#[test]
fn table_cells_lose_no_backslash() {
    check(&[
        (
            "@tab _ [a]\n|\"x\\|y\"|\n|\"back\\\\slash\"|\n|\"\\\\\\|\"|\n@end",
            r#"[{"a": "x|y"}, {"a": "back\\slash"}, {"a": "\\|"}]"#,
        ),
        (
            "@tab _ [r]\n|@tab _ [a]\n\\|\"\\\\|\"\\|\n@end|\n@end",
            r#"[{"r": [{"a": "|"}]}]"#,
        ),
    ]);
}

#[test]
fn refuses_tables_that_contradict_themselves() {
    check(&[
        ("@tab _ rows=3 [x]\n|1|\n@end", "glyph_table_rows 0"),
        ("@tab _ cols=2 [x]\n|1|\n@end", "glyph_table_header 14"),
        ("@tab _ rows=x [x]\n|1|\n@end", "glyph_table_header 7"),
        ("@tab _ []\n@end", "glyph_table_header 7"),
        ("@tab _ [x x]\n@end", "glyph_table_header 7"),
        ("@tab _ [x]\n|1|2|\n@end", "glyph_table_row 14"),
        ("@tab _ [x y]\n|1|\n|2|3|\n@end", "glyph_table_row 16"),
        ("@tab _ [x]\n|1|\n", "glyph_truncated 15"),
        ("@tab _ [x]\n|1", "glyph_truncated 13"),
        ("@tab _ [x]\n|1 2|\n@end", "glyph_trailing 14"),
        // The fault is the bare `q`, behind one escaped border.
        (
            "@tab _ [x]\n|[\"\\|\" q=]|\n@end",
            "glyph_expected_separator 19",
        ),
    ]);
}

#[test]
fn refuses_tables_that_would_unfold_without_measure() {
    let columns: Vec<String> = (0..=MAX_COLUMNS).map(|n| format!("c{n}")).collect();
    let wide = format!("@tab _ [{}]\n@end", columns.join(" "));
    assert_eq!(parse(&wide).unwrap_err().code(), "glyph_table_size");
    let name = "n".repeat(MAX_COLUMN_NAME_BYTES / 16);
    let table = |rows: usize| format!("@tab _ [{name}]\n{}@end", "|_|\n".repeat(rows));
    assert!(parse(&table(16)).is_ok());
    assert_eq!(parse(&table(17)).unwrap_err().code(), "glyph_table_size");
    // The measure is for the whole text.
    let two = format!("[{} {}]", table(8), table(9));
    assert_eq!(parse(&two).unwrap_err().code(), "glyph_table_size");
}

#[test]
fn reads_to_the_depth_limit_and_no_deeper() {
    for (open, close) in [("[", "]"), ("{a=", "}"), ("S{a=", "}"), ("T(", ")")] {
        let nest = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(&nest(MAX_DEPTH)).is_ok(), "{open}");
        let err = parse(&nest(MAX_DEPTH + 1)).unwrap_err();
        let bracket = open.find(['[', '{', '(']).unwrap();
        assert_eq!(
            (err.code(), err.at),
            ("glyph_depth", open.len() * MAX_DEPTH + bracket)
        );
    }
    assert_eq!(json(&"[".repeat(1_000_000)), "glyph_depth 66");
    // Unescaped borders cannot nest tables: the first cell ends inside its table.
    assert_eq!(json(&"@tab _ [x]\n|".repeat(10_000)), "glyph_truncated 23");
}
