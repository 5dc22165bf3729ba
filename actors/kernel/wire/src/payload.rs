//! The payloads of the broker's own events: flat objects, members in the order that existing clients were built on.

use glint::event::Name;
use glint::json::object;
use glint::{Climate, Stamp, State, Zone};

/// Returns the payload of event `name` at `stamp`: one line of ASCII JSON.
///
/// Progress and usage are rounded to four digits, times are local to `zone` and say so nowhere: both are what the
/// existing clients of the glint stream expect.
#[must_use]
pub fn of_state(name: Name, state: &State, stamp: Stamp, zone: Zone) -> String {
    let mut out = String::with_capacity(192);
    let time = stamp.naive(zone);
    let phase = state.phase.as_str();
    let climate = state.climate.as_str();
    object(&mut out, |object| match name {
        Name::ClimateUpdate => {
            object
                .text("climate", climate)
                .text("phase", phase)
                .number("usage", round4(state.usage));
            object.display("timestamp", time);
        }
        Name::UsageUpdate => {
            object
                .number("usage", round4(state.usage))
                .text("phase", phase)
                .text("climate", climate);
            object.display("timestamp", time);
        }
        Name::PhaseUpdate | Name::TestEvent => {
            object
                .text("phase", phase)
                .number("progress", round4(state.progress))
                .text("climate", climate);
            object
                .number("usage", round4(state.usage))
                .display("timestamp", time);
        }
        Name::Heartbeat => {
            object
                .json("state", &greeting(state, stamp, zone))
                .display("timestamp", time);
        }
        _ => {
            object.text("phase", phase).display("timestamp", time);
        }
    });
    out
}

/// Returns the payload of a caesura or a drift: what was noticed, in which phase.
#[must_use]
pub fn of_notice(message: &str, state: &State, stamp: Stamp, zone: Zone) -> String {
    let mut out = String::with_capacity(128);
    object(&mut out, |object| {
        object
            .text("message", message)
            .text("phase", state.phase.as_str());
        object.display("timestamp", stamp.naive(zone));
    });
    out
}

/// Returns the state as the first frame of a stream shows it.
#[must_use]
pub fn greeting(state: &State, stamp: Stamp, zone: Zone) -> String {
    let mut out = String::with_capacity(128);
    object(&mut out, |object| state_members(object, state, stamp, zone));
    out
}

pub(crate) fn state_members(
    object: &mut glint::json::Object<'_>,
    state: &State,
    stamp: Stamp,
    zone: Zone,
) {
    object
        .text("phase", state.phase.as_str())
        .number("progress", round4(state.progress));
    object
        .number("usage", round4(state.usage))
        .text("climate", state.climate.as_str());
    object.display("timestamp", stamp.naive(zone));
}

/// How a climate looks, for dashboards that draw it: clarity, saturation and turbulence in `[0, 1]`.
pub(crate) fn weather(climate: Climate) -> [(&'static str, f64); 3] {
    let [clarity, saturation, turbulence] = match climate {
        Climate::Clear => [1.0, 0.3, 0.1],
        Climate::Suspicious => [0.5, 0.6, 0.5],
        Climate::Restricted => [0.2, 0.9, 0.8],
    };
    [
        ("clarity", clarity),
        ("saturation", saturation),
        ("turbulence", turbulence),
    ]
}

/// Rounds to four digits after the point.
#[must_use]
pub fn round4(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use glint::Phase;

    use super::*;

    const STATE: State = State {
        phase: Phase::NightHold,
        progress: 0.083_249,
        usage: 0.3,
        climate: Climate::Clear,
    };

    fn payload(name: Name) -> String {
        of_state(name, &STATE, Stamp(1_000_000), Zone { east_seconds: 3600 })
    }

    #[test]
    fn payloads_have_the_members_and_the_order_that_clients_expect() {
        let state = r#"{"phase": "night_hold", "progress": 0.0832, "usage": 0.3, "climate": "clear", "timestamp": "1970-01-01T01:00:01.000000"}"#;
        assert_eq!(
            greeting(&STATE, Stamp(1_000_000), Zone { east_seconds: 3600 }),
            state
        );
        assert_eq!(
            payload(Name::Heartbeat),
            format!(r#"{{"state": {state}, "timestamp": "1970-01-01T01:00:01.000000"}}"#)
        );
        assert_eq!(
            payload(Name::PhaseUpdate),
            r#"{"phase": "night_hold", "progress": 0.0832, "climate": "clear", "usage": 0.3, "timestamp": "1970-01-01T01:00:01.000000"}"#
        );
        assert_eq!(
            payload(Name::ClimateUpdate),
            r#"{"climate": "clear", "phase": "night_hold", "usage": 0.3, "timestamp": "1970-01-01T01:00:01.000000"}"#
        );
        assert_eq!(
            payload(Name::UsageUpdate),
            r#"{"usage": 0.3, "phase": "night_hold", "climate": "clear", "timestamp": "1970-01-01T01:00:01.000000"}"#
        );
        assert_eq!(
            of_notice("quiet", &STATE, Stamp(0), Zone::default()),
            r#"{"message": "quiet", "phase": "night_hold", "timestamp": "1970-01-01T00:00:00.000000"}"#
        );
    }
}
