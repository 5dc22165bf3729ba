//! What every form promises to the clients that read it. Expected bytes are written out by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod clients;
mod controls;
mod dialects;
mod frames;

use glint::json::{self, Value};
use glint::{Draft, Event, Name, Offset, Stamp, Zone};
use wire::{Form, Place, Rendering};

/// One hour east, so that a time which forgot its zone shows.
const ZONE: Zone = Zone { east_seconds: 3600 };
/// 2025-11-21T03:57:05.000042Z.
const STAMP: Stamp = Stamp(1_763_697_425_000_042);
const OFFSET: Offset = Offset {
    epoch: 1_763_697_425,
    seq: 42,
};
const PLACE: Place = Place {
    sid: 1_849_361_391_124_481,
    seq: 7,
};

const COMPATIBLE: [Form; 3] = [Form::SseNamed, Form::SseBilingual, Form::SseEnvelope];
const SSE: [Form; 5] = [
    Form::SseNamed,
    Form::SseBilingual,
    Form::SseEnvelope,
    Form::SsePlain,
    Form::SseGs1,
];
const NUMBERED: [Form; 3] = [Form::SseGs1, Form::WsGs1Text, Form::WsGs1Binary];

const PHASE: &str = r#"{"phase": "hold", "progress": 0.0, "climate": "clear", "usage": 0.3, "timestamp": "2025-11-21T04:57:05.000042"}"#;
const CLIMATE: &str = r#"{"climate": "suspicious", "phase": "hold", "usage": 0.3, "timestamp": "2025-11-21T04:57:05.000042"}"#;
const USAGE: &str = r#"{"usage": 0.3, "phase": "hold", "climate": "clear", "timestamp": "2025-11-21T04:57:05.000042"}"#;
const HEARTBEAT: &str =
    r#"{"state": {"phase": "hold"}, "timestamp": "2025-11-21T04:57:05.000042"}"#;

/// An event of the broker's own.
fn own(name: Name, text: &str) -> Event {
    Event {
        name,
        offset: OFFSET,
        topic_seq: 7,
        stamp: STAMP,
        id: None,
        repeats_id: false,
        source: None,
        phase: None,
        text: text.into(),
    }
}

/// An accepted glint.
fn glint(posted: &str) -> Event {
    let draft = Draft::read(posted.as_bytes(), 1 << 20, uuid::Uuid::nil()).unwrap();
    Event {
        id: Some(draft.id),
        source: draft.source,
        phase: draft.phase,
        ..own(Name::GlintEmission, &draft.text)
    }
}

fn push(event: &Event, form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    Rendering::new(event, ZONE).push(form, PLACE, &mut out);
    out
}

fn text(event: &Event, form: Form) -> String {
    String::from_utf8(push(event, form)).unwrap()
}

/// A value as browsers take it: numbers as doubles, members in order of their names.
fn meaning(value: &Value<'_>) -> String {
    match value {
        // Adding zero turns a negative zero into a positive one.
        Value::Number(lexeme) => format!("{:?}", lexeme.parse::<f64>().unwrap() + 0.0),
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
            let members = members.iter().map(|(key, item)| format!("{key:?}:{item}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_ascii(),
    }
}

/// The meaning of JSON text, which may nest a glint in our own envelopes.
fn meaning_of_json(text: &str) -> String {
    meaning(&json::parse_to_depth(text, json::MAX_DEPTH + 2).unwrap())
}

fn meaning_of_glyph(text: &str) -> String {
    meaning(&wire::glyph::parse(text).unwrap())
}

#[test]
fn sids_are_safe_integers_up_to_the_last_epoch_and_never_meet() {
    let last = Offset::MAX_EPOCH;
    let mut sids = Vec::new();
    for epoch in [0, 1, last - 1, last] {
        for life in 0..wire::TOPIC_LIVES {
            sids.extend(glint::Topic::ALL.map(|topic| wire::sid_of_topic(epoch, topic, life)));
        }
        sids.extend((0..1000).map(|number| wire::sid_of_view(epoch, number)));
        sids.extend((1_048_000..1_048_320).map(|number| wire::sid_of_view(epoch, number)));
    }
    assert!(
        sids.iter().all(|sid| (1..1 << 53).contains(sid)),
        "0 is for control frames"
    );
    let count = sids.len();
    sids.sort_unstable();
    sids.dedup();
    assert_eq!(sids.len(), count);
    assert_eq!(
        wire::sid_of_view(3, 0),
        wire::sid_of_view(3, (1 << 20) - 256),
        "numbers wrap"
    );
}
