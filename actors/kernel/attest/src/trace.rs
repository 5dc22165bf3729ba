//! One trace: the fields that its signature covers, and what its components must hold.

use glint::Stamp;

use crate::canon;
use crate::columns::{Action, Call};
use crate::fault::{Code, Fault};
use crate::fields::{
    id, instant, item_of, mismatch, object, optional_id, present, required, text, word,
};
use crate::tape::{Kind, Value};
use crate::vocab::{ComponentKind, EventKind, Level, Version};

/// Deepest nesting of `data`, itself included.
pub const DATA_DEPTH_MAX: usize = 32;
/// Highest number of an attempt.
pub const ATTEMPT_MAX: u16 = 1024;

/// What the members of a deployment profile are named; `deployment_region` may be null.
const PROFILE: [&str; 5] = [
    "agent_role",
    "agent_template",
    "deployment_domain",
    "deployment_type",
    "deployment_trust_mode",
];

/// How strictly optional members of `data` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// As an agent signed it: a member of the wrong type is refused.
    AsSigned,
    /// After scrubbing: where a number was, a mask may stand; such a member counts as absent.
    Redacted,
}

/// A trace that is well formed.
#[derive(Debug)]
pub struct Trace<'t> {
    /// Its id, chosen by the agent.
    pub trace_id: &'t str,
    /// The thought that it is of.
    pub thought_id: &'t str,
    /// The task that the thought is of, if it is of one.
    pub task_id: Option<&'t str>,
    /// Who thought it: the beginning of the hash of the agent's key.
    pub agent_id_hash: &'t str,
    /// When it began, as signed.
    pub started_at: (&'t str, Stamp),
    /// When it ended, as signed.
    pub completed_at: (&'t str, Stamp),
    /// How much it says.
    pub level: Level,
    /// Which fields are signed.
    pub version: Version,
    /// Its parts, in the order in which they came.
    pub components: Vec<Component<'t>>,
    value: Value<'t>,
}

/// One part of a trace.
#[derive(Debug)]
pub struct Component<'t> {
    /// What part it is.
    pub kind: ComponentKind,
    /// What it reports.
    pub event: EventKind,
    /// When, as signed.
    pub timestamp: (&'t str, Stamp),
    /// What it says.
    pub data: Value<'t>,
    value: Value<'t>,
}

impl<'t> Trace<'t> {
    /// Reads a trace. What its `data` holds is another matter, see [`Trace::attempts`].
    ///
    /// # Errors
    /// The first fault, with its path from the trace on and the remedy.
    pub fn read(value: Value<'t>) -> Result<Trace<'t>, Fault> {
        let version = word(
            Version::of(text(value, "trace_schema_version")?),
            Version::WORDS,
            Code::UnsupportedVersion,
            "trace_schema_version",
        )?;
        let level = word(
            Level::of(text(value, "trace_level")?),
            Level::WORDS,
            Code::UnknownTraceLevel,
            "trace_level",
        )?;
        let mut trace = Trace {
            trace_id: id(value, "trace_id")?,
            thought_id: id(value, "thought_id")?,
            task_id: optional_id(value, "task_id")?,
            agent_id_hash: id(value, "agent_id_hash")?,
            started_at: instant(value, "started_at")?,
            completed_at: instant(value, "completed_at")?,
            level,
            version,
            components: Vec::new(),
            value,
        };
        if version == Version::V279 {
            check_profile(value)?;
        }
        let components = required(value, "components")?;
        if components.kind() != Kind::Array {
            return Err(mismatch("components", "an array", components));
        }
        if components.is_empty() {
            let detail = "components is empty; a sealed trace has at least one";
            return Err(Fault::new(Code::MissingField, detail).on("components"));
        }
        trace.components.reserve_exact(components.len());
        for (place, item) in components.items().enumerate() {
            let component = Component::read(item, &trace)
                .map_err(|fault| fault.within(item_of("components", place)))?;
            trace.components.push(component);
        }
        Ok(trace)
    }

    /// Checks what the `data` of each component must hold; returns the numbers of the attempts.
    ///
    /// After the signature: where both are wrong, somebody changed what an agent sent, and that is what to say.
    ///
    /// # Errors
    /// The first fault, with its path from the trace on and the remedy.
    pub fn attempts(&self, strictness: Strictness) -> Result<Vec<u16>, Fault> {
        let check = |(place, component): (usize, &Component<'t>)| {
            component
                .check_data(self.version, strictness)
                .map_err(|fault| fault.within("data").within(item_of("components", place)))
        };
        self.components.iter().enumerate().map(check).collect()
    }

    /// Bytes of the trace as it came: about as many as its canonical form has.
    pub(crate) fn raw_len(&self) -> usize {
        self.value.raw().len()
    }

    /// Writes the bytes that are signed.
    pub fn write_canonical(&self, out: &mut String) {
        self.write_with(out, |out, component| canon::write(out, component.data));
    }

    /// Writes the fields that are signed, each `data` as `data` writes it. Nothing else can change.
    pub(crate) fn write_with(
        &self,
        out: &mut String,
        mut data: impl FnMut(&mut String, &Component<'t>),
    ) {
        let newer = self.version == Version::V279;
        out.push('{');
        self.member(out, "agent_id_hash", "");
        self.member(out, "completed_at", ",");
        out.push_str(",\"components\":");
        canon::write_array(out, self.components.iter(), |out, component| {
            component.write_with(out, newer, &mut data);
        });
        if newer {
            self.member(out, "deployment_profile", ",");
        }
        self.member(out, "started_at", ",");
        self.member(out, "task_id", ",");
        self.member(out, "thought_id", ",");
        self.member(out, "trace_id", ",");
        self.member(out, "trace_level", ",");
        self.member(out, "trace_schema_version", ",");
        out.push('}');
    }

    fn member(&self, out: &mut String, name: &str, before: &str) {
        out.push_str(before);
        member(out, self.value, name);
    }
}

impl<'t> Component<'t> {
    fn read(value: Value<'t>, trace: &Trace<'t>) -> Result<Component<'t>, Fault> {
        object(value)?;
        let data = required(value, "data")?;
        if data.kind() != Kind::Object {
            return Err(mismatch("data", "an object", data));
        }
        if data.height() > DATA_DEPTH_MAX {
            let detail = format!(
                "data is nested {} levels deep, the limit is {DATA_DEPTH_MAX}",
                data.height()
            );
            return Err(Fault::new(Code::DataTooDeep, detail).on("data"));
        }
        let component = Component {
            kind: word(
                ComponentKind::of(text(value, "component_type")?),
                ComponentKind::WORDS,
                Code::FieldTypeMismatch,
                "component_type",
            )?,
            event: word(
                EventKind::of(text(value, "event_type")?),
                EventKind::WORDS,
                Code::FieldTypeMismatch,
                "event_type",
            )?,
            timestamp: instant(value, "timestamp")?,
            data,
            value,
        };
        if trace.version == Version::V279 && id(value, "agent_id_hash")? != trace.agent_id_hash {
            let detail = "the component names another agent than its trace";
            return Err(Fault::new(Code::KeyAgentMismatch, detail).on("agent_id_hash"));
        }
        Ok(component)
    }

    /// Checks what `data` must hold; returns the number of the attempt.
    fn check_data(&self, version: Version, strictness: Strictness) -> Result<u16, Fault> {
        let attempt = attempt(self.data, "attempt_index")?;
        self.check_columns(version, strictness)?;
        Ok(attempt)
    }

    fn check_columns(&self, version: Version, strictness: Strictness) -> Result<(), Fault> {
        match self.event {
            EventKind::ActionResult => Action::read(self.data, strictness).map(|_| ()),
            EventKind::LlmCall => Call::read(self.data, version, strictness).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn write_with(
        &self,
        out: &mut String,
        newer: bool,
        data: &mut impl FnMut(&mut String, &Component<'t>),
    ) {
        out.push('{');
        if newer {
            member(out, self.value, "agent_id_hash");
            out.push(',');
        }
        member(out, self.value, "component_type");
        out.push_str(",\"data\":");
        data(out, self);
        out.push(',');
        member(out, self.value, "event_type");
        out.push(',');
        member(out, self.value, "timestamp");
        out.push('}');
    }
}

/// Writes a member of ours in its canonical form; one that is absent is null, as signers have it.
fn member(out: &mut String, object: Value<'_>, name: &str) {
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    match object.get(name) {
        Some(value) => canon::write(out, value),
        None => out.push_str("null"),
    }
}

/// Reads the number of an attempt.
pub(crate) fn attempt(data: Value<'_>, name: &str) -> Result<u16, Fault> {
    let value = required(data, name)?;
    if value.kind() != Kind::Int {
        return Err(mismatch(name, "an integer", value));
    }
    if value.raw().starts_with('-') && value.raw() != "-0" {
        let detail = format!("{name} is below 0; attempts count from 0");
        return Err(Fault::new(Code::NegativeAttemptIndex, detail).on(name));
    }
    let attempt = value.as_i64().and_then(|number| u16::try_from(number).ok());
    attempt
        .filter(|number| *number <= ATTEMPT_MAX)
        .ok_or_else(|| {
            let detail = format!("{name} is above {ATTEMPT_MAX}, the limit");
            Fault::new(Code::AttemptIndexOutOfRange, detail).on(name)
        })
}

fn check_profile(trace: Value<'_>) -> Result<(), Fault> {
    let profile = required(trace, "deployment_profile")?;
    if profile.kind() != Kind::Object {
        return Err(mismatch("deployment_profile", "an object", profile));
    }
    let check = || -> Result<(), Fault> {
        for name in PROFILE {
            text(profile, name)?;
        }
        match present(profile, "deployment_region") {
            Some(_) => text(profile, "deployment_region").map(|_| ()),
            None => Ok(()),
        }
    };
    check().map_err(|fault| fault.within("deployment_profile"))
}
