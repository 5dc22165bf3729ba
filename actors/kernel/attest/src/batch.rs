//! A batch as it comes: total validation, before anything else is done with it.
//!
//! Nothing outside a trace is signed by anybody. What is not listed here is not looked at, and not kept.

use glint::Stamp;

use crate::fault::{Code, Fault};
use crate::fields::{instant, item_of, object, required, text, word};
use crate::record::Sealed;
use crate::ring::KeyRing;
use crate::tape::{Kind, Tape, Value};
use crate::trace::Trace;
use crate::vocab::{Level, Version};

/// Most traces of a batch.
pub const EVENTS_MAX: usize = 1000;
/// Most components of a batch, over all its traces.
pub const COMPONENTS_MAX: usize = 20_000;

/// The one kind of event that is read; others are reserved for loose live events.
const COMPLETE_TRACE: &str = "complete_trace";

/// A batch that is well formed. Whether its signatures hold is another matter.
#[derive(Debug)]
pub struct Batch<'t> {
    /// When it was put together, as it came. Not signed.
    pub batch_timestamp: &'t str,
    /// When its subject agreed to it, as it came. Not signed.
    pub consent_timestamp: &'t str,
    /// The level of the batch, of every event in it, and of every trace in those.
    pub level: Level,
    /// The traces.
    pub traces: Vec<Signed<'t>>,
}

/// A trace with the signature that came with it.
#[derive(Debug)]
pub struct Signed<'t> {
    /// The trace.
    pub trace: Trace<'t>,
    /// Its signature, as it came.
    pub signature: &'t str,
    /// The id of the key that made it.
    pub key_id: &'t str,
}

impl<'t> Batch<'t> {
    /// Reads a batch.
    ///
    /// # Errors
    /// The first fault, with its path and the remedy. Unknown members are passed over, as agents add some.
    pub fn read(tape: &'t Tape<'t>) -> Result<Batch<'t>, Fault> {
        let root = tape.root();
        if root.kind() != Kind::Object {
            let kind = root.kind();
            let detail = format!("a batch is an object with the member events, not {kind}");
            return Err(Fault::new(Code::FieldTypeMismatch, detail));
        }
        if let Some(at) = tape.nul_at() {
            let detail = format!(
                "a string holds U+0000 at byte {at}, which no database keeps; leave it out"
            );
            return Err(Fault::new(Code::NulCharacter, detail));
        }
        let version: &str = text(root, "trace_schema_version")?;
        supported(version)?;
        let level = level(root)?;
        let events = required(root, "events")?;
        check_events(events)?;
        let (batch_timestamp, _) = instant(root, "batch_timestamp")?;
        let (consent_timestamp, _) = instant(root, "consent_timestamp")?;
        let mut batch = Batch {
            batch_timestamp,
            consent_timestamp,
            level,
            traces: Vec::with_capacity(events.len()),
        };
        let mut components = 0;
        for (place, event) in events.items().enumerate() {
            let signed =
                read_event(event, level).map_err(|fault| fault.within(item_of("events", place)))?;
            components += signed.trace.components.len();
            batch.traces.push(signed);
        }
        if components > COMPONENTS_MAX {
            let detail = format!(
                "the batch has {components} components, the limit is {COMPONENTS_MAX}; send fewer traces at once"
            );
            return Err(Fault::new(Code::TooLarge, detail).on("events"));
        }
        Ok(batch)
    }

    /// Checks every signature, and then what every trace must hold: all of them, or none is taken.
    ///
    /// # Errors
    /// As [`KeyRing::active`] and [`Signed::verify`], with the path.
    pub fn verify<'b>(&'b self, ring: &KeyRing, now: Stamp) -> Result<Vec<Sealed<'b, 't>>, Fault> {
        let verify = |(place, signed): (usize, &'b Signed<'t>)| {
            let path = |fault: Fault| fault.within("trace").within(item_of("events", place));
            let key = ring.active(signed.key_id, now).map_err(path)?;
            signed.verify(key).map_err(path)
        };
        self.traces.iter().enumerate().map(verify).collect()
    }
}

fn check_events(events: Value<'_>) -> Result<(), Fault> {
    if events.kind() != Kind::Array {
        let detail = format!("events is an array of traces, not {}", events.kind());
        return Err(Fault::new(Code::FieldTypeMismatch, detail).on("events"));
    }
    if events.is_empty() {
        let detail = "events is empty; send at least one trace";
        return Err(Fault::new(Code::MissingField, detail).on("events"));
    }
    if events.len() > EVENTS_MAX {
        let count = events.len();
        let detail =
            format!("the batch has {count} events, the limit is {EVENTS_MAX}; send fewer at once");
        return Err(Fault::new(Code::TooLarge, detail).on("events"));
    }
    Ok(())
}

fn read_event(event: Value<'_>, batch_level: Level) -> Result<Signed<'_>, Fault> {
    object(event)?;
    let kind = text(event, "event_type")?;
    if kind != COMPLETE_TRACE {
        let detail = format!("only events of type {COMPLETE_TRACE} are taken; send whole traces");
        return Err(Fault::new(Code::UnsupportedEvent, detail).on("event_type"));
    }
    same_level(level(event)?, batch_level)?;
    let trace = required(event, "trace")?;
    let signed = read_signed(trace, batch_level).map_err(|fault| fault.within("trace"))?;
    Ok(signed)
}

fn read_signed(trace: Value<'_>, batch_level: Level) -> Result<Signed<'_>, Fault> {
    object(trace)?;
    same_level(level(trace)?, batch_level)?;
    let version = text(trace, "trace_schema_version")?;
    supported(version)?;
    Ok(Signed {
        signature: text(trace, "signature")?,
        key_id: crate::fields::id(trace, "signature_key_id")?,
        trace: Trace::read(trace)?,
    })
}

fn level(object: Value<'_>) -> Result<Level, Fault> {
    let level = text(object, "trace_level")?;
    word(
        Level::of(level),
        Level::WORDS,
        Code::UnknownTraceLevel,
        "trace_level",
    )
}

fn same_level(found: Level, batch: Level) -> Result<(), Fault> {
    if found == batch {
        return Ok(());
    }
    let detail = format!(
        "the level is {found}, that of the batch is {batch}; batch, event and trace must name the same one"
    );
    Err(Fault::new(Code::LevelMismatch, detail).on("trace_level"))
}

fn supported(version: &str) -> Result<Version, Fault> {
    word(
        Version::of(version),
        Version::WORDS,
        Code::UnsupportedVersion,
        "trace_schema_version",
    )
}
