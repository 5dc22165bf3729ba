//! The dialects of the existing clients.

use glint::Name;
use glint::json::{self, Value};
use wire::Form;

use crate::clients::{EventSource, line_client};
use crate::{CLIMATE, COMPATIBLE, HEARTBEAT, PHASE, SSE, USAGE, glint, own, push, text};

#[test]
fn a_named_frame_is_name_then_one_line_of_data_then_id() {
    assert_eq!(
        text(&own(Name::PhaseUpdate, PHASE), Form::SseNamed),
        "event: phase_update\ndata: {\"phase\": \"hold\", \"progress\": 0.0, \"climate\": \"clear\", \"usage\": 0.3, \
         \"timestamp\": \"2025-11-21T04:57:05.000042\"}\nid: 1763697425-42\n\n"
    );
    assert_eq!(
        text(
            &glint(r#"{"data":{"glint":{"id":"a"}},"n":1.50}"#),
            Form::SseNamed
        ),
        "event: glint_emission\ndata: {\"data\": {\"glint\": {\"id\": \"a\"}}, \"n\": 1.50}\nid: 1763697425-42\n\n"
    );
}

#[test]
fn heartbeat_and_usage_update_alone_carry_the_envelope_members() {
    assert_eq!(
        text(&own(Name::UsageUpdate, r#"{"usage": 0.3}"#), Form::SseNamed),
        "event: usage_update\ndata: {\"usage\": 0.3, \"event\": \"usage_update\", \"data\": {\"usage\": 0.3}}\n\
         id: 1763697425-42\n\n"
    );
    assert_eq!(
        text(&own(Name::Heartbeat, r#"{"state": {}}"#), Form::SseNamed),
        "event: heartbeat\ndata: {\"state\": {}, \"event\": \"heartbeat\", \"data\": {\"state\": {}}}\n\n"
    );
    for name in Name::ALL {
        let line = line_client(&push(&own(name, PHASE), Form::SseNamed)).remove(0);
        let value = json::parse(&line).unwrap();
        let additive = matches!(name, Name::Heartbeat | Name::UsageUpdate);
        assert_eq!(value.get("event").is_some(), additive, "{name}");
        assert_eq!(value.get("data").is_some(), additive, "{name}");
        assert!(
            value.get("timestamp").is_some(),
            "the flat members stay: {line}"
        );
    }
}

#[test]
fn a_heartbeat_never_moves_the_place_to_resume_from() {
    for form in SSE {
        let out = text(&own(Name::Heartbeat, HEARTBEAT), form);
        assert!(!out.contains("\nid:"), "{form:?}: {out}");
        let stored = text(&own(Name::PhaseUpdate, PHASE), form);
        assert_eq!(
            stored.matches("\nid: 1763697425-42\n").count(),
            1,
            "{form:?}: {stored}"
        );
    }
}

#[test]
fn bilingual_is_the_named_frame_and_a_shadow_without_the_space() {
    assert_eq!(
        text(
            &own(Name::DriftDetected, r#"{"message": "m"}"#),
            Form::SseBilingual
        ),
        "event: drift_detected\ndata: {\"message\": \"m\"}\nid: 1763697425-42\n\n\
         data:{\"event\": \"drift_detected\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \"data\": {\"message\": \"m\"}}\n\n"
    );
    for name in Name::ALL {
        let event = match name {
            Name::GlintEmission => glint("{}"),
            _ => own(name, CLIMATE),
        };
        let named = text(&event, Form::SseNamed);
        let envelope = text(&event, Form::SseEnvelope);
        let shadow = envelope.lines().next().unwrap().replacen(' ', "", 1);
        let expected = match name {
            Name::Heartbeat => named,
            _ => format!("{named}{shadow}\n\n"),
        };
        assert_eq!(text(&event, Form::SseBilingual), expected);
    }
}

#[test]
fn an_envelope_is_unnamed_and_starts_with_six_bytes_that_line_clients_need() {
    assert_eq!(
        text(
            &own(Name::UsageUpdate, r#"{"usage": 0.3}"#),
            Form::SseEnvelope
        ),
        "data: {\"event\": \"usage_update\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \"data\": {\"usage\": 0.3}}\n\
         id: 1763697425-42\n\n"
    );
    for (name, payload) in [(Name::Heartbeat, HEARTBEAT), (Name::PhaseUpdate, PHASE)] {
        let out = push(&own(name, payload), Form::SseEnvelope);
        assert!(out.starts_with(b"data: {"));
        assert_eq!(EventSource::read(&out).messages[0].name, "message");
    }
}

#[test]
fn a_glint_has_in_its_envelope_what_dashboards_take_for_granted() {
    let mut event = glint(
        r#"{"glint.id":"glint-1","glint.source":"spiral.linter","glint.phase":"Hold","type":7,"lineage":["p",1,"q"],"phase":{},"x":[1.50]}"#,
    );
    assert_eq!(
        text(&event, Form::SseEnvelope),
        "data: {\"event\": \"glint_emission\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \"data\": {\"glint\": \
         {\"id\": \"glint-1\", \"timestamp\": \"2025-11-21T04:57:05.000042\", \"module\": \"spiral.linter\", \
         \"phase\": \"Hold\", \"type\": \"module_invocation\", \"lineage\": [\"p\", \"q\"], \"glint.id\": \"glint-1\", \
         \"glint.source\": \"spiral.linter\", \"glint.phase\": \"Hold\", \"x\": [1.50]}}}\nid: 1763697425-42\n\n"
    );
    event.repeats_id = true;
    assert!(text(&event, Form::SseEnvelope).contains(r#""id": "glint-1#1763697425-42""#));
    assert!(
        text(&event, Form::SseNamed).contains(r#""glint.id": "glint-1""#),
        "what was posted stays"
    );
}

#[test]
fn a_climate_envelope_can_be_drawn() {
    let out = push(&own(Name::ClimateUpdate, CLIMATE), Form::SseEnvelope);
    let line = line_client(&out).remove(0);
    let envelope = json::parse(&line).unwrap();
    for key in ["clarity", "saturation", "turbulence"] {
        let number = envelope.at(&["data", key]).and_then(Value::as_f64).unwrap();
        assert!((0.0..=1.0).contains(&number), "{key} {number}");
    }
    assert_eq!(
        envelope.at(&["data", "overall"]).and_then(Value::as_str),
        Some("suspicious")
    );
    assert_eq!(
        envelope.at(&["data", "climate"]).and_then(Value::as_str),
        Some("suspicious")
    );
}

/// One of each, as a stream.
fn day(form: Form) -> Vec<u8> {
    let events = Name::ALL.map(|name| match name {
        Name::GlintEmission => glint(r#"{"say":"data: twice?\ndata: no"}"#),
        Name::ClimateUpdate => own(name, CLIMATE),
        Name::UsageUpdate => own(name, USAGE),
        Name::Heartbeat => own(name, HEARTBEAT),
        _ => own(name, PHASE),
    });
    events.iter().flat_map(|event| push(event, form)).collect()
}

#[test]
fn a_line_client_sees_each_event_once_in_every_dialect() {
    for form in COMPATIBLE {
        let seen = line_client(&day(form));
        assert_eq!(seen.len(), Name::ALL.len(), "{form:?}");
        assert!(seen.iter().all(|line| json::parse(line).is_ok()));
    }
}

#[test]
fn listeners_by_name_and_onmessage_see_each_event_once() {
    let bilingual = day(Form::SseBilingual);
    let bilingual = EventSource::read(&bilingual);
    for name in Name::ALL {
        assert_eq!(bilingual.named(name.as_str()).len(), 1, "{name}");
    }
    let shadows = bilingual.named("message");
    let named = |line: &&str| {
        let value = json::parse(line).unwrap();
        value
            .get("event")
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    let mut names: Vec<String> = shadows.iter().map(named).collect();
    names.sort();
    let mut expected: Vec<&str> = Name::ALL.map(Name::as_str).into();
    expected.retain(|name| *name != "heartbeat");
    expected.sort_unstable();
    assert_eq!(names, expected);
    let envelope = EventSource::read(&day(Form::SseEnvelope));
    assert_eq!(envelope.named("message").len(), Name::ALL.len());
    assert_eq!(
        EventSource::read(&day(Form::SseNamed)).named("message"),
        [""; 0]
    );
}

#[test]
fn hostile_text_stays_within_one_ascii_line() {
    let hostile = r#"{"id":"a\nid: 9-9\nretry: 1","source":"s\r\ndata: {}","phase":"\u2028\u2029\u0085","content":"😀 ☍ \u0000\u000b\u000c\u001c \\u000a\n\ndata: {\"event\": \"heartbeat\"}\r\revent: x","raw":"\u2028\r"}"#;
    let raw = hostile
        .replace("\\u2028", "\u{2028}")
        .replace("\\u0085", "\u{85}");
    for posted in [hostile, raw.as_str()] {
        let event = glint(posted);
        for form in SSE {
            let out = push(&event, form);
            assert!(!out.contains(&b'\r'), "{form:?}");
            let source = EventSource::read(&out);
            assert_eq!(source.last_id, "1763697425-42", "{form:?}");
            assert_eq!(source.retry_ms, None, "{form:?}");
            let count = if form == Form::SseBilingual { 2 } else { 1 };
            assert_eq!(source.messages.len(), count, "{form:?}");
            if form != Form::SseGs1 {
                let lines = out.split(|byte| *byte == b'\n');
                let lines = lines.filter(|line| line.starts_with(b"data:"));
                assert_eq!(lines.count(), count, "{form:?}");
                assert!(out.is_ascii(), "{form:?}");
                assert_eq!(line_client(&out).len(), 1, "{form:?}");
            }
        }
        for form in COMPATIBLE.into_iter().chain([Form::SsePlain]) {
            assert_eq!(push(&event, form), push(&glint(hostile), form), "{form:?}");
        }
    }
}
