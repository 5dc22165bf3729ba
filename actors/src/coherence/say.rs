//! What is said of sources: the payloads of events and records, and the answers to questions.

use coherence::{Arcs, Change, Complex, Contract, Expect, Numbers, Overlay, Reading, Row};
use glint::json::{Object, object, write_ascii_string};
use glint::{Name, Stamp};

/// Returns the event for a change.
#[must_use]
pub(super) fn name_of(what: &str) -> Name {
    match what {
        "collapse" => Name::CoherenceCollapse,
        "release" => Name::CoherenceRelease,
        "drift" => Name::CoherenceDrift,
        "dissipate" => Name::CoherenceDissipate,
        "flag" => Name::CoherenceFlag,
        "quarantine" => Name::CoherenceQuarantine,
        "burst" => Name::CoherenceBurst,
        "silence" => Name::CoherenceSilence,
        _ => Name::CoherenceRecover,
    }
}

/// Writes a complex number as a pair.
pub(super) fn pair(object: &mut Object<'_>, key: &str, at: Complex) {
    object.json(key, &format!("[{:?}, {:?}]", at.re, at.im));
}

/// Writes what a kernel says.
pub(super) fn reading(object: &mut Object<'_>, reading: &Reading) {
    pair(object, "t", reading.t);
    object
        .number("coherence", reading.coherence)
        .number("mass", reading.mass)
        .number("cycles", reading.cycles)
        .number("evidence", reading.evidence)
        .number("debiased", reading.debiased);
}

/// Returns the name of the part of the breath in which a source speaks, if it has a direction.
#[must_use]
pub(super) fn phase_of(arcs: &Arcs, reading: &Reading) -> Option<&'static str> {
    reading.turns().map(|turns| arcs.at(turns))
}

/// Writes the numbers behind a change, each of which a rule may ask for.
pub(super) fn numbers(object: &mut Object<'_>, numbers: &Numbers, arcs: &Arcs) {
    let Numbers { master, sync, .. } = numbers;
    object
        .number("coherence", master.coherence)
        .number("evidence", master.evidence)
        .number("mass", master.mass);
    if let Some(phase) = phase_of(arcs, master) {
        object.text("preferred_phase", phase);
    }
    pair(object, "t_sync", sync.t);
    object
        .number("sync_coherence", sync.coherence)
        .number("delta", sync.delta_vector)
        .number("tolerance", numbers.tolerance)
        .number("moved_seconds", numbers.moved_us as f64 / 1e6)
        .number("burst", numbers.burst)
        .number("recent_events", numbers.fast)
        .number("phi", numbers.phi);
}

/// What is known of a change besides the change itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    /// Whom it is about.
    pub source: &'a str,
    /// What it has promised.
    pub contract: &'a Contract,
    /// When.
    pub at: Stamp,
    /// The event in which it showed; 0 where time alone brought it about.
    pub seq: u64,
    /// Who decided, if a person did.
    pub actor: Option<&'a str>,
}

/// Returns the payload of a `coherence` event, which is that of the witness record as well.
#[must_use]
pub(super) fn change(change: &Change, cause: &Cause<'_>, arcs: &Arcs) -> String {
    let mut out = String::with_capacity(512);
    object(&mut out, |object| {
        object
            .text("source", cause.source)
            .text("change", change.what)
            .text("from", change.from)
            .text("to", change.to)
            .text("reason", change.reason.as_str())
            .text("mode", cause.contract.mode.as_str());
        numbers(object, &change.numbers, arcs);
        object.text("actor", cause.actor.unwrap_or("coherence"));
        object
            .count("cause", cause.seq)
            .display("timestamp", cause.at);
    });
    out
}

/// Writes a contract.
pub(super) fn contract(object: &mut Object<'_>, contract: &Contract) {
    match contract.expect {
        Expect::Any => {
            object.text("expect", "any");
        }
        Expect::Periodic {
            period_us,
            tolerance,
        } => {
            object
                .text("expect", "periodic")
                .json("period_us", &period_us.to_string());
            object.number("tolerance", tolerance);
        }
        Expect::Locked { carrier, arc } => {
            object.text("expect", "locked");
            if let Some(carrier) = carrier {
                object.json("period_us", &carrier.period_us().to_string());
                object.json("epoch_us", &carrier.epoch_us().to_string());
            }
            if let Some((from, to)) = arc {
                object.json("arc", &format!("[{from:?}, {to:?}]"));
            }
        }
    }
    object.text("mode", contract.mode.as_str());
}

/// Writes what is said of a source in a table.
pub(super) fn row(object: &mut Object<'_>, row: &Row<'_>, now_us: i64, arcs: &Arcs) {
    let (events, slot, late) = row.source.counts();
    let master = row.source.master(row.params, now_us);
    let verdict = row.standing.verdict();
    object
        .text("source", row.name)
        .text("state", row.standing.condition().as_str())
        .array("overlays", overlays(row), |word, out| {
            write_ascii_string(word, out)
        })
        .flag("collapsed", row.standing.is_collapsed())
        .text("action", verdict.as_str())
        .text("mode", row.contract.mode.as_str());
    object
        .number("coherence", master.coherence)
        .number("evidence", master.evidence)
        .number("mass", master.mass);
    if let Some(phase) = phase_of(arcs, &master) {
        object.text("preferred_phase", phase);
    }
    object
        .count("events", events)
        .count("slot_dropped", slot.into())
        .count("late_dropped", late.into())
        .display("first", Stamp(row.source.first_us()))
        .display("last", Stamp(row.source.heard_us()));
}

fn overlays<'r>(row: &Row<'r>) -> impl Iterator<Item = &'static str> + use<'r> {
    let standing = *row.standing;
    let on = Overlay::ALL
        .into_iter()
        .filter(move |overlay| standing.has(*overlay));
    on.map(Overlay::as_str)
}

/// Writes everything about a source.
pub(super) fn whole(object: &mut Object<'_>, source: &Row<'_>, now_us: i64, arcs: &Arcs) {
    row(object, source, now_us, arcs);
    let numbers = source
        .standing
        .numbers(source.source, source.params, now_us);
    object.object("master", |object| {
        reading(object, &numbers.master);
        object.json("tau_us", &source.params.master_tau_us.to_string());
    });
    object.object("emissary", |object| {
        reading(object, &numbers.emissary);
        object.json("tau_us", &source.params.emissary_tau_us.to_string());
    });
    object.object("sync", |object| sync(object, &numbers));
    let (intervals, lag) = (source.source.intervals(), source.source.lag().0);
    object.object("rhythm", |object| {
        object
            .number("interval_seconds", intervals.mean / 1e6)
            .number("deviation_seconds", intervals.variance.sqrt() / 1e6)
            .number("variation", intervals.variation());
        pair(object, "step", lag);
        object
            .number("clock_error", source.source.clock_error())
            .number("phi", numbers.phi)
            .number("burst", numbers.burst)
            .number("recent_events", numbers.fast)
            .number("expected_events", numbers.expected);
    });
    object.object("carrier", |object| {
        let carrier = &source.params.carrier;
        object.json("period_us", &carrier.period_us().to_string());
        object.json("epoch_us", &carrier.epoch_us().to_string());
    });
    object.object("contract", |object| contract(object, source.contract));
}

/// Writes the kernels compared.
pub(super) fn sync(object: &mut Object<'_>, numbers: &Numbers) {
    let sync = &numbers.sync;
    let alignment = coherence::Alignment::of(sync.delta_vector, numbers.tolerance);
    pair(object, "t", sync.t);
    object
        .number("coherence", sync.coherence)
        .number("power", sync.power)
        .text("aligned", alignment.as_str())
        .number("delta_magnitude", sync.delta_magnitude)
        .number("delta_vector", sync.delta_vector)
        .number("delta_angle", sync.delta_angle)
        .number("tolerance", numbers.tolerance)
        .number("moved_seconds", numbers.moved_us as f64 / 1e6);
}
