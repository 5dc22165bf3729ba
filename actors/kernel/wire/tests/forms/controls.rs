//! What is said to one subscriber alone.

use glint::json::{self, Value};
use glint::{Climate, Name, Offset, Phase, State, Topic};
use wire::gs1::Kind;
use wire::{Control, Form, Hello, Stream};

use crate::clients::{EventSource, Received, gs1_client, line_client, web_socket};
use crate::{COMPATIBLE, NUMBERED, OFFSET, PHASE, SSE, STAMP, ZONE, meaning_of_glyph, own, push};

const HELLO: Hello<'_> = Hello {
    state: State {
        phase: Phase::Hold,
        progress: 0.25,
        usage: 0.3,
        climate: Climate::Clear,
    },
    stamp: STAMP,
    cursor: OFFSET,
    keepalive_ms: 12_000,
    retry_ms: 2500,
    recovered: true,
    streams: &[],
};
const GAP: Control<'_> = Control::Gap {
    from: OFFSET,
    to: Offset {
        epoch: 1_763_697_425,
        seq: 50,
    },
    reason: "evicted",
    stamp: STAMP,
};
const FAREWELL: Control<'_> = Control::Farewell {
    reason: "drain",
    retry_ms: 4000,
    close_code: 1012,
    stamp: STAMP,
};
const ERROR: Control<'_> = Control::Error {
    code: "FRAME_INVALID",
    detail: "no \"}\"\r\nin it",
};
const ANSWER: Control<'_> = Control::Answer(r#"{"id": "a"}"#);
const PONG: Control<'_> = Control::Pong(b"hi");
const KEEPALIVE: Control<'_> = Control::Keepalive(STAMP);

fn streams() -> Vec<Stream> {
    let epoch = Offset::MAX_EPOCH;
    vec![
        Stream {
            sid: wire::sid_of_topic(epoch, Topic::Glints, 0),
            topics: vec![Topic::Glints],
            filtered: false,
        },
        Stream {
            sid: wire::sid_of_view(epoch, 1_048_319),
            topics: vec![Topic::State, Topic::Heartbeat],
            filtered: true,
        },
    ]
}

/// `control` as the first of its connection.
fn said(control: &Control<'_>, form: Form) -> String {
    let mut out = Vec::new();
    control.push(form, ZONE, &mut 0, &mut out);
    // Close codes are no text, nor are the lengths of long frames and binary frames.
    String::from_utf8_lossy(&out).into_owned()
}

fn check(control: &Control<'_>, expected: &[(Form, &str)]) {
    for (form, expected) in expected {
        assert_eq!(said(control, *form), *expected, "{form:?}");
    }
}

#[test]
fn hello_opens_every_compatible_stream_with_the_bare_state() {
    let hello = "data: {\"phase\": \"hold\", \"progress\": 0.25, \"usage\": 0.3, \"climate\": \"clear\", \
         \"timestamp\": \"2025-11-21T04:57:05.000042\", \"keepalive_ms\": 12000, \"recovered\": true}\n\
         retry: 2500\nid: 1763697425-42\n\n";
    for form in COMPATIBLE {
        check(&Control::Hello(&HELLO), &[(form, hello)]);
        assert_eq!(hello.as_bytes()[..6], *b"data: ");
    }
}

#[test]
fn hello_in_our_own_json_says_where_the_stream_begins() {
    let line = r#"{"event": "hello", "cursor": "1763697425-42", "time": "2025-11-21T03:57:05.000042Z", "keepalive_ms": 12000, "retry_ms": 2500, "recovered": true, "data": {"phase": "hold", "progress": 0.25, "usage": 0.3, "climate": "clear", "timestamp": "2025-11-21T04:57:05.000042"}}"#;
    let hello = Control::Hello(&HELLO);
    let sse = format!("event: hello\ndata: {line}\nretry: 2500\nid: 1763697425-42\n\n");
    check(
        &hello,
        &[(Form::SsePlain, &sse), (Form::Ndjson, &format!("{line}\n"))],
    );
    let mut out = Vec::new();
    hello.push(Form::WsPlain, ZONE, &mut 0, &mut out);
    assert_eq!(web_socket(&out), [(1, line.as_bytes().to_vec())]);
}

#[test]
fn every_event_source_knows_after_hello_when_and_where_to_come_back() {
    for form in SSE {
        let out = said(&Control::Hello(&HELLO), form);
        let source = EventSource::read(out.as_bytes());
        assert_eq!(source.retry_ms, Some(2500), "{form:?}");
        assert_eq!(source.last_id, "1763697425-42", "{form:?}");
        assert_eq!(source.messages.len(), 1, "{form:?}");
    }
}

#[test]
fn only_hello_moves_the_place_to_resume_from() {
    let streams = streams();
    let directory = Control::Directory(&streams);
    for control in [directory, KEEPALIVE, GAP, FAREWELL, ERROR, ANSWER, PONG] {
        for form in SSE {
            let mut out = push(&own(Name::PhaseUpdate, PHASE), form);
            let before = EventSource::read(&out).last_id;
            control.push(form, ZONE, &mut 0, &mut out);
            assert_eq!(EventSource::read(&out).last_id, before, "{form:?}");
            assert!(!out.contains(&b'\r'), "{form:?}");
        }
    }
}

#[test]
fn a_keepalive_is_what_the_framing_has_for_it() {
    let named = "event: keepalive\ndata: {\"timestamp\": \"2025-11-21T04:57:05.000042\"}\n\n";
    let envelope = "data: {\"event\": \"keepalive\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \
         \"data\": {\"timestamp\": \"2025-11-21T04:57:05.000042\"}}\n\n";
    let line = r#"{"event": "keepalive", "time": "2025-11-21T03:57:05.000042Z"}"#;
    check(
        &KEEPALIVE,
        &[
            (Form::SseNamed, named),
            (Form::SseBilingual, named),
            (Form::SseEnvelope, envelope),
            (
                Form::SsePlain,
                &format!("event: keepalive\ndata: {line}\n\n"),
            ),
            (Form::SseGs1, ":\n"),
            (Form::Ndjson, &format!("{line}\n")),
            (Form::WsGs1Text, "\u{FFFD}\0"),
            (Form::WsGs1Binary, "\u{FFFD}\0"),
        ],
    );
    let mut out = Vec::new();
    KEEPALIVE.push(Form::WsPlain, ZONE, &mut 0, &mut out);
    assert_eq!(
        web_socket(&out),
        [(1, line.as_bytes().to_vec()), (9, Vec::new())],
        "a page cannot see pings"
    );
}

#[test]
fn a_gap_names_both_ends_and_the_reason() {
    let flat = r#"{"from": "1763697425-42", "to": "1763697425-50", "reason": "evicted", "timestamp": "2025-11-21T04:57:05.000042"}"#;
    let line = r#"{"event": "gap", "from": "1763697425-42", "to": "1763697425-50", "reason": "evicted", "time": "2025-11-21T03:57:05.000042Z"}"#;
    let named = format!("event: gap\ndata: {flat}\n\n");
    check(
        &GAP,
        &[
            (Form::SseNamed, &named),
            (Form::SseBilingual, &named),
            (
                Form::SseEnvelope,
                &format!(
                    "data: {{\"event\": \"gap\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \"data\": {flat}}}\n\n"
                ),
            ),
            (Form::SsePlain, &format!("event: gap\ndata: {line}\n\n")),
            (Form::Ndjson, &format!("{line}\n")),
            (Form::WsPlain, &["\u{FFFD}|", line].concat()),
        ],
    );
    assert_eq!(line.len(), usize::from(b'|'));
}

#[test]
fn a_farewell_tells_event_sources_when_to_return_and_web_sockets_the_code() {
    let line = r#"{"event": "farewell", "reason": "drain", "retry_ms": 4000, "time": "2025-11-21T03:57:05.000042Z"}"#;
    let named = "event: farewell\ndata: {\"reason\": \"drain\", \"retry_ms\": 4000, \
         \"timestamp\": \"2025-11-21T04:57:05.000042\"}\nretry: 4000\n\n";
    check(
        &FAREWELL,
        &[
            (Form::SseNamed, named),
            (Form::SseBilingual, named),
            (
                Form::SsePlain,
                &format!("event: farewell\ndata: {line}\nretry: 4000\n\n"),
            ),
            (Form::Ndjson, &format!("{line}\n")),
        ],
    );
    for form in SSE {
        let source = EventSource::read(said(&FAREWELL, form).as_bytes());
        assert_eq!((source.retry_ms, source.messages.len()), (Some(4000), 1));
    }
    for form in [Form::WsPlain, Form::WsGs1Text, Form::WsGs1Binary] {
        let mut out = Vec::new();
        FAREWELL.push(form, ZONE, &mut 0, &mut out);
        let frames = web_socket(&out);
        assert_eq!(frames.len(), 2, "{form:?}");
        assert_eq!(frames[1], (8, b"\x03\xF4drain".to_vec()), "{form:?}");
    }
}

#[test]
fn what_a_form_has_no_word_for_is_not_said() {
    let streams = streams();
    let directory = Control::Directory(&streams);
    for form in [Form::SsePlain, Form::WsPlain, Form::Ndjson] {
        assert_eq!(said(&directory, form), "", "{form:?}");
    }
    for form in COMPATIBLE {
        for control in [&directory, &PONG, &ERROR, &ANSWER] {
            assert_eq!(said(control, form), "", "{form:?}");
        }
    }
    for form in SSE.into_iter().chain([Form::Ndjson]) {
        assert_eq!(said(&PONG, form), "", "{form:?}");
    }
    for form in [Form::WsPlain, Form::WsGs1Text, Form::WsGs1Binary] {
        assert_eq!(said(&PONG, form), "\u{FFFD}\u{2}hi", "{form:?}");
    }
}

#[test]
fn errors_and_answers_are_one_line_each() {
    let error = r#"{"event": "error", "code": "FRAME_INVALID", "detail": "no \"}\"\r\nin it"}"#;
    let answer = r#"{"id": "a"}"#;
    for (control, line) in [(&ERROR, error), (&ANSWER, answer)] {
        let mut out = Vec::new();
        control.push(Form::WsPlain, ZONE, &mut 0, &mut out);
        assert_eq!(web_socket(&out), [(1, line.as_bytes().to_vec())]);
        assert_eq!(said(control, Form::Ndjson), format!("{line}\n"));
        let plain = said(control, Form::SsePlain);
        assert_eq!(line_client(plain.as_bytes()), [line]);
        // A page that listens for `error` would take it for a lost connection.
        assert_ne!(
            EventSource::read(plain.as_bytes()).messages[0].name,
            "error"
        );
    }
}

/// A connection with one of each control, and an event in the middle.
fn connection(form: Form) -> (Vec<Received>, u64) {
    let streams = streams();
    let hello = Hello {
        streams: &streams,
        ..HELLO
    };
    let mut out = Vec::new();
    let mut seq = 0;
    let mut say =
        |control: &Control<'_>, out: &mut Vec<u8>| control.push(form, ZONE, &mut seq, out);
    say(&Control::Hello(&hello), &mut out);
    say(&KEEPALIVE, &mut out);
    say(&Control::Directory(&streams[1..]), &mut out);
    say(&GAP, &mut out);
    out.extend(push(&own(Name::PhaseUpdate, PHASE), form));
    say(&PONG, &mut out);
    say(&ERROR, &mut out);
    say(&ANSWER, &mut out);
    say(&FAREWELL, &mut out);
    (gs1_client(form, &out), seq)
}

#[test]
fn numbered_forms_keep_controls_on_sid_0_with_a_count_of_their_own() {
    for form in NUMBERED {
        let (frames, seq) = connection(form);
        let controls: Vec<&Received> = frames.iter().filter(|frame| frame.sid == 0).collect();
        let seqs: Vec<u64> = controls.iter().map(|frame| frame.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6], "{form:?}");
        assert_eq!(seq, 6, "{form:?}");
        assert_eq!(frames.len(), 7, "{form:?}");
        let kinds: Vec<Kind> = controls.iter().map(|frame| frame.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Doc,
                Kind::Doc,
                Kind::Err,
                Kind::Err,
                Kind::Doc,
                Kind::Doc
            ]
        );
        let payloads: Vec<&str> = controls
            .iter()
            .map(|frame| frame.payload.as_str())
            .collect();
        assert_eq!(
            payloads[1..],
            [
                "{event=directory streams=[{filtered=t sid=9007199254740991 topics=[state heartbeat]}]}",
                r#"Error{code=SEQ_GAP msg="history from 1763697425-42 to 1763697425-50 is gone: evicted"}"#,
                r#"Error{code=FRAME_INVALID msg="no \"}\"\r\nin it"}"#,
                "{id=a}",
                r#"{event=farewell reason=drain retry_ms=4000 time="2025-11-21T03:57:05.000042Z"}"#,
            ]
        );
        assert_eq!(
            payloads[0],
            "{cursor=\"1763697425-42\" data={climate=clear phase=hold progress=0.25 \
             timestamp=\"2025-11-21T04:57:05.000042\" usage=0.3} event=hello keepalive_ms=12000 recovered=t \
             retry_ms=2500 streams=[{filtered=f sid=9007199253692417 topics=[glints]} \
             {filtered=t sid=9007199254740991 topics=[state heartbeat]}] time=\"2025-11-21T03:57:05.000042Z\"}"
        );
        assert!(
            payloads
                .iter()
                .all(|payload| !meaning_of_glyph(payload).is_empty())
        );
    }
}

#[test]
fn only_numbered_forms_count() {
    let streams = streams();
    for form in Form::ALL.into_iter().filter(|form| !form.is_numbered()) {
        let mut seq = 0;
        for control in [
            &Control::Hello(&HELLO),
            &Control::Directory(&streams),
            &GAP,
            &FAREWELL,
        ] {
            control.push(form, ZONE, &mut seq, &mut Vec::new());
        }
        assert_eq!(seq, 0, "{form:?}");
    }
}

#[test]
fn what_a_line_client_reads_of_a_control_is_json_it_can_pass_over() {
    for form in COMPATIBLE {
        for control in [&Control::Hello(&HELLO), &KEEPALIVE, &GAP, &FAREWELL] {
            let lines = line_client(said(control, form).as_bytes());
            let value = json::parse(&lines[0]).unwrap();
            let name = value
                .get("event")
                .and_then(Value::as_str)
                .unwrap_or_default();
            assert_eq!((lines.len(), value.type_name()), (1, "object"));
            assert!(Name::ALL.iter().all(|known| known.as_str() != name));
        }
    }
}
