//! The normalised envelope for dashboards that read `{event, timestamp, data}` from unnamed frames.
//!
//! Those dashboards take members for granted: a missing module, a phase that is no string or a repeated id takes the
//! whole page down. So the shadow of a glint has every one of them, whatever was posted.

use glint::event::{Event, Name};
use glint::json::{self, Object, Value, object};
use glint::phase::Climate;
use glint::stamp::Zone;

use crate::payload::weather;

/// Members of a glint that the shadow says itself.
const OWNED: [&str; 6] = ["id", "timestamp", "module", "phase", "type", "lineage"];

/// Appends the envelope of `event` as one line of ASCII JSON.
pub(crate) fn push_envelope(event: &Event, zone: Zone, out: &mut String) {
    object(out, |envelope| {
        envelope.text("event", event.name.as_str());
        match event.name {
            Name::GlintEmission => push_glint(envelope, event, zone),
            Name::ClimateUpdate => {
                envelope.display("timestamp", event.stamp.naive(zone));
                envelope.object("data", |data| push_climate(data, event));
            }
            _ => {
                envelope
                    .display("timestamp", event.stamp.naive(zone))
                    .json("data", &event.text);
            }
        }
    });
}

fn push_climate(data: &mut Object<'_>, event: &Event) {
    // Our own text: it parses. If it did not, the weather would be missing, nothing else.
    let Ok(value) = json::parse(&event.text) else {
        return;
    };
    for (key, member) in value.as_object().unwrap_or_default() {
        data.json(key, &member.to_ascii());
    }
    let word = value
        .get("climate")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let climate: Climate = word.parse().unwrap_or_default();
    for (key, number) in weather(climate) {
        data.number(key, number);
    }
    data.text("overall", climate.as_str());
}

fn push_glint(envelope: &mut Object<'_>, event: &Event, zone: Zone) {
    let Ok(posted) = json::parse(&event.text) else {
        return;
    };
    let inner = [posted.at(&["data", "glint"]), posted.get("glint")];
    let inner = inner
        .into_iter()
        .flatten()
        .find(|value| value.as_object().is_some())
        .unwrap_or(&posted);
    let text =
        |value: &Value<'_>, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let naive = event.stamp.naive(zone).to_string();
    envelope.text(
        "timestamp",
        &text(&posted, "timestamp").unwrap_or_else(|| naive.clone()),
    );
    envelope.object("data", |data| {
        data.object("glint", |glint| {
            let id = event.id.as_deref().unwrap_or_default();
            match event.repeats_id {
                true => glint.text("id", &format!("{id}#{}", event.offset)),
                false => glint.text("id", id),
            };
            glint.text("timestamp", &text(inner, "timestamp").unwrap_or(naive));
            glint.text("module", event.source.as_deref().unwrap_or("unknown"));
            glint.text("phase", event.phase.as_deref().unwrap_or("unknown"));
            glint.text(
                "type",
                &text(inner, "type").unwrap_or_else(|| "module_invocation".to_owned()),
            );
            if let Some(Value::Array(items)) = inner.get("lineage") {
                glint.array(
                    "lineage",
                    items.iter().filter_map(Value::as_str),
                    json::write_ascii_string,
                );
            }
            for (key, member) in inner.as_object().unwrap_or_default() {
                if !OWNED.contains(&key.as_ref()) {
                    glint.json(key, &member.to_ascii());
                }
            }
        });
        if let Some(breath @ Value::Object(_)) = posted.at(&["data", "breath_state"]) {
            data.json("breath_state", &breath.to_ascii());
        }
    });
}

#[cfg(test)]
mod tests {
    use glint::{Draft, Offset, Stamp};

    use super::*;

    fn shadow(posted: &str, repeats_id: bool) -> Value<'static> {
        let draft = Draft::read(posted.as_bytes(), 4096, uuid::Uuid::nil()).expect("a glint");
        let event = Event {
            name: Name::GlintEmission,
            offset: Offset { epoch: 3, seq: 7 },
            topic_seq: 7,
            stamp: Stamp(0),
            id: Some(draft.id),
            repeats_id,
            source: draft.source,
            phase: draft.phase,
            text: draft.text,
        };
        let mut out = String::new();
        push_envelope(&event, Zone::default(), &mut out);
        json::parse(out.leak()).expect("JSON")
    }

    #[test]
    fn a_shadow_has_what_dashboards_take_for_granted() {
        let bare = shadow(
            r#"{"content": "x", "phase": {"not": "a word"}, "lineage": "no list", "type": 3}"#,
            false,
        );
        let glint = bare.at(&["data", "glint"]).expect("a glint");
        for key in ["id", "timestamp", "module", "phase", "type", "content"] {
            assert!(
                glint.get(key).and_then(Value::as_str).is_some(),
                "{key} in {glint:?}"
            );
        }
        assert_eq!(glint.get("module").and_then(Value::as_str), Some("unknown"));
        assert_eq!(glint.get("lineage"), None);
        assert_eq!(
            bare.get("event").and_then(Value::as_str),
            Some("glint_emission")
        );
    }

    #[test]
    fn an_envelope_keeps_its_glint_and_its_breath() {
        let posted = r#"{"event":"glint_emission","timestamp":"T","data":{"glint":{"id":"a","module":"m","phase":"hold","type":"t","lineage":["p",3],"context":{"k":[1.50]}},"breath_state":{"phase":"inhale"}}}"#;
        let shadow = shadow(posted, false);
        assert_eq!(shadow.get("timestamp").and_then(Value::as_str), Some("T"));
        assert_eq!(
            shadow
                .at(&["data", "glint", "context"])
                .map(Value::to_ascii)
                .as_deref(),
            Some(r#"{"k": [1.50]}"#)
        );
        assert_eq!(
            shadow
                .at(&["data", "glint", "lineage"])
                .map(Value::to_ascii)
                .as_deref(),
            Some(r#"["p"]"#)
        );
        assert_eq!(
            shadow
                .at(&["data", "breath_state", "phase"])
                .and_then(Value::as_str),
            Some("inhale")
        );
    }

    #[test]
    fn a_repeated_id_is_made_unique_for_the_eye() {
        let shadow = shadow(r#"{"id":"glint-1"}"#, true);
        assert_eq!(
            shadow.at(&["data", "glint", "id"]).and_then(Value::as_str),
            Some("glint-1#3-7")
        );
    }
}
