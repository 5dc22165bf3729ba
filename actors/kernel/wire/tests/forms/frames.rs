//! This broker's own JSON and the GS1 frames: the same content in each of them.

use glint::json::{self, Value};
use glint::{Event, Name};
use proptest::prelude::*;
use wire::gs1::Kind;
use wire::{Form, Rendering};

use crate::clients::{EventSource, Received, gs1_client, line_client, text_frame, web_socket};
use crate::{
    COMPATIBLE, HEARTBEAT, NUMBERED, PHASE, PLACE, ZONE, glint, meaning, meaning_of_glyph,
    meaning_of_json, own, push, text,
};

const POSTED: &str = r#"{"id":"a","source":"s","phase":"Hold","n":[1.50,30,-0,1e-7,9007199254740993],"say":"Zürich 😀\n\r\"x\" =@tab _"}"#;
const POSTED_LINE: &str = r#"{"id": "a", "source": "s", "phase": "Hold", "n": [1.50, 30, -0, 1e-7, 9007199254740993], "say": "Z\u00fcrich \ud83d\ude00\n\r\"x\" =@tab _"}"#;

fn plain_of_posted() -> String {
    format!(
        "{}{}{POSTED_LINE}}}",
        r#"{"event": "glint_emission", "cursor": "1763697425-42", "topic": "glints", "time": "2025-11-21T03:57:05.000042Z", "#,
        r#""id": "a", "source": "s", "phase": "Hold", "data": "#
    )
}

#[test]
fn plain_json_says_who_where_and_when_around_what_was_posted() {
    let plain = plain_of_posted();
    let event = glint(POSTED);
    assert_eq!(wire::plain(&event), plain);
    assert_eq!(text(&event, Form::Ndjson), format!("{plain}\n"));
    assert_eq!(
        web_socket(&push(&event, Form::WsPlain)),
        [(1, plain.clone().into_bytes())]
    );
    assert_eq!(
        text(&event, Form::SsePlain),
        format!("event: glint_emission\ndata: {plain}\nid: 1763697425-42\n\n")
    );
    assert_eq!(
        text(&own(Name::Heartbeat, "{}"), Form::Ndjson),
        "{\"event\": \"heartbeat\", \"topic\": \"heartbeat\", \"time\": \"2025-11-21T03:57:05.000042Z\", \"data\": {}}\n"
    );
}

#[test]
fn gs1_over_sse_is_the_frame_byte_for_byte() {
    let event = own(Name::PhaseUpdate, r#"{"phase": "hold"}"#);
    let payload = r#"{cursor="1763697425-42" data={phase=hold} event=phase_update time="2025-11-21T03:57:05.000042Z" topic=state}"#;
    let frame = format!(
        "@frame{{v=1 sid=1849361391124481 seq=7 kind=doc len={} crc={:08x}}}\n{payload}\n",
        payload.len(),
        crc32fast::hash(payload.as_bytes())
    );
    let (head, _) = frame.split_once('\n').unwrap();
    assert_eq!(
        text(&event, Form::SseGs1),
        format!("data: {head}\ndata: {payload}\ndata: \nid: 1763697425-42\n\n")
    );
    let source = EventSource::read(&push(&event, Form::SseGs1));
    assert_eq!(source.messages[0].name, "message");
    assert_eq!(source.messages[0].data, frame);
    assert_eq!(
        web_socket(&push(&event, Form::WsGs1Text)),
        [(1, frame.into_bytes())]
    );
    let mut binary = b"GS1\x01\x01\x00".to_vec();
    binary.extend(1_849_361_391_124_481_u64.to_be_bytes());
    binary.extend(7_u64.to_be_bytes());
    binary.extend((payload.len() as u32).to_be_bytes());
    binary.extend(crc32fast::hash(payload.as_bytes()).to_be_bytes());
    binary.extend(payload.as_bytes());
    assert_eq!(web_socket(&push(&event, Form::WsGs1Binary)), [(2, binary)]);
}

#[test]
fn a_gs1_heartbeat_has_no_id_and_a_place_all_the_same() {
    let out = push(&own(Name::Heartbeat, HEARTBEAT), Form::SseGs1);
    let source = EventSource::read(&out);
    assert_eq!(source.last_id, "");
    let frame = text_frame(source.messages[0].data.as_bytes());
    assert_eq!((frame.sid, frame.seq), (PLACE.sid, PLACE.seq));
    assert!(!frame.payload.contains("cursor"));
}

/// Checks that every form carries `event`, and carries it alike.
fn check_content(event: &Event) {
    let plain = text(event, Form::Ndjson);
    let (line, rest) = plain.split_once('\n').unwrap();
    assert!(rest.is_empty() && line.is_ascii());
    assert_eq!(
        web_socket(&push(event, Form::WsPlain)),
        [(1, line.as_bytes().to_vec())]
    );
    assert_eq!(line_client(&push(event, Form::SsePlain)), [line]);
    let expected = meaning_of_json(line);
    let mut frames = NUMBERED.map(|form| gs1_client(form, &push(event, form)));
    for frame in frames.iter_mut().map(|frames| frames.remove(0)) {
        let Received {
            sid,
            seq,
            kind,
            payload,
        } = frame;
        assert_eq!((sid, seq, kind), (PLACE.sid, PLACE.seq, Kind::Doc));
        assert_eq!(meaning_of_glyph(&payload), expected);
    }
    let posted = meaning_of_json(&event.text);
    for form in COMPATIBLE {
        let lines = line_client(&push(event, form));
        assert_eq!(lines.len(), 1);
        if form != Form::SseEnvelope {
            assert_eq!(meaning_of_json(&lines[0]), posted);
        } else {
            meaning_of_json(&lines[0]);
        }
    }
    let value = json::parse_to_depth(line, json::MAX_DEPTH + 1).unwrap();
    assert_eq!(meaning(value.get("data").unwrap()), posted);
}

#[test]
fn every_form_carries_equal_content() {
    check_content(&glint(POSTED));
    check_content(&own(Name::PhaseUpdate, PHASE));
}

#[test]
fn a_glint_as_deep_as_it_may_be_gets_through_every_form_and_back() {
    let depth = json::MAX_DEPTH - 1;
    for (open, close) in [("[", "]"), ("{\"k\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        let posted = format!(
            "{{\"deep\":{}{inner}{}}}",
            open.repeat(depth),
            close.repeat(depth)
        );
        let event = glint(&posted);
        check_content(&event);
        let source = EventSource::read(&push(&event, Form::SseBilingual));
        let shadow = json::parse_to_depth(&source.messages[1].data, json::MAX_DEPTH + 2).unwrap();
        assert_eq!(
            shadow.at(&["data", "glint", "deep"]).map(Value::to_ascii),
            json::parse(&posted)
                .unwrap()
                .get("deep")
                .map(Value::to_ascii)
        );
    }
}

#[test]
fn a_rendering_says_the_same_to_everyone() {
    let event = glint(POSTED);
    let shared = Rendering::new(&event, ZONE);
    for form in Form::ALL.into_iter().chain(Form::ALL) {
        let mut out = b"before".to_vec();
        shared.push(form, PLACE, &mut out);
        assert_eq!(
            out,
            [b"before", push(&event, form).as_slice()].concat(),
            "{form:?}"
        );
    }
}

fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => prop::sample::select(vec![
            "\n", "\r", "\r\n", "\n\n", "data: ", "data:", "id: 1-1\n", ":", "event", "\u{2028}", "\u{85}", "\u{0}",
            "\u{FEFF}", "\u{1F600}", "é", "\"", "\\", "@frame{", "}\n", "=@tab _", "_", "∅", "t", "glint", "lineage",
            "phase", "id", "type", "metadata", " ", "1",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn any_glint() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Number(number.to_string().into())),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| Value::Number(format!("{number:e}").into())),
        hostile_text().prop_map(|text| Value::String(text.into())),
    ];
    let key = || {
        prop_oneof![
            hostile_text(),
            prop::sample::select(vec![
                "id",
                "event",
                "data",
                "glint",
                "glint.id",
                "phase",
                "source",
                "module",
                "lineage",
                "type",
                "timestamp",
                "breath_state",
            ])
            .prop_map(str::to_owned),
        ]
    };
    let object = move |item: BoxedStrategy<Value<'static>>| {
        prop::collection::btree_map(key(), item, 0..5).prop_map(|members| {
            let members = members.into_iter().map(|(key, item)| (key.into(), item));
            Value::Object(members.collect())
        })
    };
    let any_value = leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            object(inner.boxed()),
        ]
    });
    object(any_value.boxed())
}

proptest! {
    #[test]
    fn whatever_is_posted_every_form_carries_it(posted in any_glint()) {
        check_content(&glint(&posted.to_ascii()));
    }
}
