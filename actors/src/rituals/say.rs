//! The events of rituals: that one began, how it goes, how it ended. They are also what tells a later process what is done.

use std::collections::HashSet;

use glint::json::{self, Object, Value, object};
use glint::{Name, Topic, Zone};
use rites::{Firing, Trigger};

use super::board::Step;
use crate::emitter::Entry;
use crate::puller::{Pull, Puller};
use crate::tail::Tail;

/// Events read at once when looking for what was said.
const PAGE: usize = 1024;

/// What a trigger is called by dashboards.
pub(super) fn kind(trigger: &Trigger) -> &'static str {
    match trigger {
        Trigger::Glint { .. } => "glint",
        Trigger::PhaseEnters(_) | Trigger::PhaseLeaves(_) => "phase",
        Trigger::ClimateBecomes(_) => "climate",
        Trigger::Usage(_) => "saturation",
        Trigger::SealChanged => "seal",
        Trigger::Schedule { .. } => "schedule",
    }
}

/// That a run begins: `ritual_triggered`, as dashboards show alerts.
pub(super) fn triggered(firing: &Firing, zone: Zone) -> Entry {
    entry(Name::RitualTriggered, firing, |object| {
        object
            .text("id", &firing.key)
            .display("timestamp", firing.stamp.naive(zone));
        object
            .text("ritual_name", &firing.rule.name)
            .text("trigger_type", kind(&firing.rule.trigger));
        object.object("trigger_data", |data| context(data, firing));
        object.text("priority", firing.rule.priority.as_str());
        object
            .text("glyph", &firing.rule.glyph)
            .text("description", &firing.rule.description);
    })
}

/// What a run was called by: also what commands and webhooks are told.
pub(super) fn context(data: &mut Object<'_>, firing: &Firing) {
    data.text("trigger", &firing.trigger);
    data.text("phase", firing.state.phase.as_str())
        .text("climate", firing.state.climate.as_str());
    data.number("usage", firing.state.usage);
    if let Some(offset) = firing.offset {
        data.display("cursor", offset);
    }
    if let Trigger::Glint { .. } = firing.rule.trigger {
        data.object("glint", |glint| {
            for (key, word) in [
                ("id", &firing.glint.id),
                ("source", &firing.glint.source),
                ("phase", &firing.glint.phase),
            ] {
                if let Some(word) = word {
                    glint.text(key, word);
                }
            }
            glint.json("data", &firing.glint.text);
        });
    }
}

/// How a run goes, or how it ended: `ritual_status_update`.
pub(super) fn status(
    firing: &Firing,
    status: &str,
    progress: f64,
    steps: &[Step],
    millis: u64,
) -> Entry {
    entry(Name::RitualStatusUpdate, firing, |object| {
        object.text("id", &firing.key).text("status", status);
        object
            .text("ritual_name", &firing.rule.name)
            .number("progress", progress);
        object.count("duration_ms", millis);
        object.array("log", steps, |step, out| {
            json::object(out, |object| step.write(object))
        });
    })
}

/// A glint that a ritual posts, with its depth, so that rituals that follow from each other come to an end.
pub(super) fn glint(firing: &Firing, emit: &rites::rule::Emit, nth: usize) -> Entry {
    let fill = |text: &str| rites::template::fill(text, firing);
    let source = fill(&emit.source);
    let phase = emit
        .phase
        .as_deref()
        .map_or_else(|| firing.state.phase.as_str().to_owned(), fill);
    let id = format!("ritual-{}-{nth}", firing.key);
    let mut text = String::new();
    object(&mut text, |object| {
        object
            .text("id", &id)
            .text("source", &source)
            .text("phase", &phase);
        object.text("content", &fill(&emit.content));
        if let Some(toneform) = &emit.toneform {
            object.text("toneform", &fill(toneform));
        }
        object.object("ritual", |ritual| {
            ritual
                .text("rule", &firing.rule.name)
                .text("key", &firing.key);
            ritual.count("depth", u64::from(firing.depth) + 1);
        });
    });
    Entry {
        name: Name::GlintEmission,
        id: Some(id.into()),
        source: Some(source.into()),
        phase: Some(phase.into()),
        text: text.into(),
    }
}

fn entry(name: Name, firing: &Firing, write: impl FnOnce(&mut Object<'_>)) -> Entry {
    let mut text = String::new();
    object(&mut text, write);
    Entry {
        name,
        id: Some(firing.key.clone()),
        source: Some(firing.rule.name.clone()),
        phase: Some(firing.state.phase.as_str().into()),
        text: text.into(),
    }
}

/// What was said of runs.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The keys of those that began.
    pub(super) begun: HashSet<String>,
    /// The keys of those that ended.
    pub(super) ended: HashSet<String>,
}

/// Looks through what was said after an event. What cannot be read counts as not said: it is done again.
pub(super) fn said_since(tail: &Tail, after: u64) -> Said {
    let mut said = Said::default();
    let mut puller = Puller::new(tail.clone(), after);
    loop {
        let events = match puller.pull(PAGE) {
            Ok(Pull::Events(events)) => events,
            Ok(Pull::Gone { .. }) => continue,
            Ok(Pull::Head) => return said,
            Err(err) => {
                tracing::error!(%err, "what rituals said cannot be read");
                return said;
            }
        };
        for event in events
            .iter()
            .filter(|event| event.topic() == Topic::Rituals)
        {
            let Some(key) = event.id.as_deref() else {
                continue;
            };
            said.begun.insert(key.to_owned());
            let value = json::parse_to_depth(&event.text, json::MAX_DEPTH + 8);
            let status = value
                .as_ref()
                .ok()
                .and_then(|value| value.get("status"))
                .and_then(Value::as_str);
            if matches!(status, Some("completed" | "failed")) {
                said.ended.insert(key.to_owned());
            }
        }
    }
}
