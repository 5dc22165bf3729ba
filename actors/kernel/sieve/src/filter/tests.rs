use glint::event::{Event, Name};
use glint::offset::Offset;
use glint::phase::{Climate, Phase, State};
use glint::stamp::Stamp;

use super::*;

fn event(name: Name, text: &str) -> Event {
    Event {
        name,
        offset: Offset { epoch: 7, seq: 42 },
        topic_seq: 1,
        stamp: Stamp(0),
        id: Some("g-1".into()),
        repeats_id: false,
        source: Some("memory.scroll".into()),
        phase: Some("return".into()),
        text: text.into(),
    }
}

const STATE: State = State {
    phase: Phase::Hold,
    progress: 0.5,
    usage: 0.81,
    climate: Climate::Suspicious,
};

fn test(expression: &str, event: &Event) -> Result<bool, Fault> {
    let filter = Filter::compile(expression, Scope::Rule);
    let filter = filter.unwrap_or_else(|err| panic!("{expression}: {err}"));
    filter.test(&Facts::new(event, Some(STATE)))
}

fn refused(expression: &str, scope: Scope) -> Refusal {
    Filter::compile(expression, scope).expect_err(expression)
}

#[test]
fn expressions_see_the_glint_the_event_and_the_state() {
    let posted = r#"{"data": {"glint": {"content": "first light", "toneform": "practical", "tags": ["a", "b"], "hue": {"deep": 3}, "intensity": 0.5}}}"#;
    let glint = event(Name::GlintEmission, posted);
    for expression in [
        r#"glint.source == "memory.scroll" && glint.phase == "return""#,
        r#"glint.module == glint.source && glint.id == "g-1""#,
        r#"glint.content.contains("light") && glint.toneform != "emotional""#,
        r#"glint.content.startsWith("first") && size(glint.content) == 11"#,
        r#"glint.content.matches("^f.*t$") && !matches(glint.content, "x")"#,
        r#"glint.data.data.glint.tags.exists(t, t == "b")"#,
        r#""a" in event.data.data.glint.tags"#,
        "glint.data.data.glint.hue.deep == 3 && glint.data.data.glint.hue.deep < 3.5",
        "glint.data.data.glint.intensity >= 0.5",
        r#"event.name == "glint_emission" && event.topic == "glints" && event.seq == 42"#,
        r#"event.cursor == "7-42" && event.time < "1970-01-02""#,
        r#"state.phase == "hold" && state.climate == "suspicious""#,
        "state.usage > 0.8 && state.progress == 0.5",
        "has(glint.content) && !has(glint.type)",
        "!has(glint.data.nothing)",
        r#"state.usage > 0.9 ? false : glint.data.data.glint.tags.all(t, t != "c")"#,
    ] {
        assert_eq!(test(expression, &glint), Ok(true), "{expression}");
    }
}

#[test]
fn every_shape_of_a_glint_has_its_content_found() {
    for posted in [
        r#"{"content": "c", "toneform": "t"}"#,
        r#"{"glint": {"content": "c", "toneform": "t"}, "content": "outer"}"#,
        r#"{"glint.content": "c", "glint.toneform": "t"}"#,
        r#"{"event": "glint_emission", "data": {"glint": {"content": "c", "toneform": "t"}}}"#,
    ] {
        let glint = event(Name::GlintEmission, posted);
        let expression = r#"glint.content == "c" && glint.toneform == "t""#;
        assert_eq!(test(expression, &glint), Ok(true), "{posted}");
    }
}

#[test]
fn what_is_not_there_does_not_match_and_is_said() {
    let glint = event(Name::GlintEmission, "{}");
    assert_eq!(
        test(r#"glint.content == "x""#, &glint),
        Err(Fault::Missing("content".into()))
    );
    assert!(matches!(
        test("glint.data > 3", &glint),
        Err(Fault::Mistyped(_))
    ));
    assert!(matches!(
        test("glint.data", &glint),
        Err(Fault::Mistyped(_))
    ));
    let update = event(Name::PhaseUpdate, r#"{"phase": "hold"}"#);
    assert_eq!(
        test(r#"glint.source == "a""#, &update),
        Err(Fault::Missing("glint".into()))
    );
    assert_eq!(test(r#"event.data.phase == "hold""#, &update), Ok(true));
    let filter = Filter::compile(r#"glint.content == "x""#, Scope::Stream).expect("a filter");
    assert!(!filter.matches(&Facts::new(&glint, None)));
}

#[test]
fn what_can_never_be_true_is_refused_with_its_reason() {
    let cases = [
        ("glint.source ==", "filter_malformed", "column 1"),
        ("glint.source = 'a'", "filter_malformed", "column 1"),
        (
            "(((((((((((((((((((((((((((((((1))",
            "filter_too_large",
            "deeper than 24",
        ),
        (
            "glint.conent == 'a'",
            "filter_unknown_word",
            "\"conent\"; one of: id, source",
        ),
        (
            "event.kind == 'a'",
            "filter_unknown_word",
            "event has no \"kind\"",
        ),
        (
            "source == 'a'",
            "filter_unknown_word",
            "\"source\" is not known; one of: glint, event",
        ),
        ("state.usage > 0.8", "filter_unknown_word", "rules only"),
        (
            "glint.source.lower() == 'a'",
            "filter_unknown_word",
            "\"lower\" is no function",
        ),
        (
            "glint.source.matches('(')",
            "filter_malformed",
            "no regular expression",
        ),
        (
            "glint.source.matches(glint.content)",
            "filter_malformed",
            "in quotes",
        ),
        ("size(glint.content)", "filter_not_boolean", "compare"),
        ("'a'", "filter_not_boolean", "compare"),
        ("[1, 2].map(x, x)", "filter_not_boolean", "compare"),
        ("", "filter_malformed", ""),
    ];
    for (expression, code, says) in cases {
        let err = refused(expression, Scope::Stream);
        assert_eq!(
            (err.code, err.field.as_deref()),
            (code, Some("filter")),
            "{expression}: {err}"
        );
        assert!(err.detail.contains(says), "{expression}: {err}");
    }
    let err = refused("state.usge > 0.8", Scope::Rule);
    assert!(err.detail.contains("state has no \"usge\""), "{err}");
}

#[test]
fn a_hostile_expression_is_refused_soon() {
    let cases = [
        "(".repeat(MAX_FILTER_BYTES),
        "[".repeat(MAX_FILTER_BYTES),
        "!".repeat(MAX_FILTER_BYTES),
        "{1:".repeat(600),
        "x.map(a,".repeat(200),
        "a?b:".repeat(500) + "c",
        "-(-".repeat(600),
        format!("1{} == 1", "+1".repeat(1000)),
        format!("glint{} == 1", "[0]".repeat(600)),
        format!("{}true", "true&&".repeat(300)),
        "\u{2028}é".repeat(300),
        "a".repeat(MAX_FILTER_BYTES + 1),
        format!("'x'.matches('{}')", "(a{1,99}){1,99}"),
    ];
    for expression in cases {
        let err = refused(&expression, Scope::Rule);
        assert!(err.detail.len() < 400, "{err}");
    }
}

#[test]
fn the_largest_expressions_need_little_stack() {
    // Worker threads have 2 MiB, and something else on them.
    let run = || {
        let glint = event(Name::GlintEmission, r#"{"a": [[[1]]]}"#);
        for expression in [
            format!("1{} == 1", "+1".repeat(77)),
            format!("1{}", "<1".repeat(79)),
            format!("{}true", "true&&".repeat(53)),
            format!("{}true", "false||".repeat(53)),
            format!("glint.data.a{} == 1", "[0]".repeat(50)),
            format!("glint.data{} == 1", ".a".repeat(76)),
            format!("{}true", "!".repeat(159)),
            format!("{}true{}", "!(".repeat(24), ")".repeat(24)),
            format!("{}true{}", "[1].all(x,".repeat(24), ")".repeat(24)),
            format!("{}true", "true?true:".repeat(39)),
            "glint.data.a".to_owned() + &".map(x,x)".repeat(20) + " == []",
        ] {
            if let Ok(filter) = Filter::compile(&expression, Scope::Rule) {
                let _ = filter.test(&Facts::new(&glint, None));
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

#[test]
fn an_evaluation_has_a_price_and_a_limit() {
    let many = |count: usize| {
        let items: Vec<String> = (0..count).map(|nth| nth.to_string()).collect();
        event(
            Name::GlintEmission,
            &format!(r#"{{"a": [{}]}}"#, items.join(", ")),
        )
    };
    let one = "glint.data.a.exists(x, x == 7)";
    assert_eq!(test(one, &many(500)), Ok(true));
    let three = "glint.data.a.all(x, glint.data.a.all(y, glint.data.a.all(z, z + y + x >= 0)))";
    assert_eq!(test(three, &many(3)), Ok(true));
    assert!(matches!(test(three, &many(200)), Err(Fault::Dear { steps }) if steps > MAX_STEPS));
    let text = event(
        Name::GlintEmission,
        &format!(r#"{{"a": "{}"}}"#, "x".repeat(1 << 20)),
    );
    let joined = format!("size({}) > 0", ["glint.data.a"; 24].join(" + "));
    assert!(matches!(test(&joined, &text), Err(Fault::Dear { .. })));
    assert_eq!(test("size(glint.data.a) == 1048576", &text), Ok(true));
}

#[test]
fn demands_are_read_off_only_where_they_must_hold() {
    let demand = |expression: &str| {
        let filter = Filter::compile(expression, Scope::Rule).expect(expression);
        let demand = filter.demand().clone();
        (
            demand.source.map(String::from),
            demand.phase.map(String::from),
        )
    };
    let some = |word: &str| Some(word.to_owned());
    assert_eq!(
        demand(r#"glint.module == "m" && glint.content != "c" && "hold" == event.phase"#),
        (some("m"), some("hold"))
    );
    assert_eq!(
        demand(r#"glint.module == "m" || glint.phase == "p""#),
        (None, None)
    );
    assert_eq!(demand(r#"!(glint.module == "m")"#), (None, None));
    assert_eq!(demand(r#"glint.content == "m""#), (None, None));
}

#[test]
fn filters_are_equal_when_their_text_is() {
    let filter = |text| Filter::compile(text, Scope::Stream).expect("a filter");
    assert_eq!(filter("glint.id == 'a'"), filter("glint.id == 'a'"));
    assert_ne!(filter("glint.id == 'a'"), filter("glint.id == 'b'"));
}
