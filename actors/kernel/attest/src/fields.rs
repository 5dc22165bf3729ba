//! Members of objects, with errors that name them.

use std::fmt;

use glint::Stamp;

use crate::fault::{Code, Fault};
use crate::tape::{Kind, Value};

/// Longest id of a trace, a thought, a task, an agent, a key: bytes.
pub const ID_MAX: usize = 256;

/// The path of an item: `events[3]`.
pub(crate) fn item_of(list: &str, place: usize) -> impl fmt::Display {
    format!("{list}[{place}]")
}

pub(crate) fn mismatch(name: &str, wanted: &str, found: Value<'_>) -> Fault {
    let detail = format!("{name} is {wanted}, not {}", found.kind());
    Fault::new(Code::FieldTypeMismatch, detail).on(name)
}

pub(crate) fn object(value: Value<'_>) -> Result<(), Fault> {
    if value.kind() == Kind::Object {
        return Ok(());
    }
    let detail = format!("expected an object, not {}", value.kind());
    Err(Fault::new(Code::FieldTypeMismatch, detail))
}

pub(crate) fn required<'t>(object: Value<'t>, name: &str) -> Result<Value<'t>, Fault> {
    object.get(name).ok_or_else(|| {
        Fault::new(Code::MissingField, format!("the member {name} is missing")).on(name)
    })
}

/// A member that is there and not null.
pub(crate) fn present<'t>(object: Value<'t>, name: &str) -> Option<Value<'t>> {
    object.get(name).filter(|value| value.kind() != Kind::Null)
}

pub(crate) fn text<'t>(object: Value<'t>, name: &str) -> Result<&'t str, Fault> {
    let value = required(object, name)?;
    value
        .as_str()
        .ok_or_else(|| mismatch(name, "a string", value))
}

/// A string that names something: not empty, and not longer than [`ID_MAX`].
pub(crate) fn id<'t>(object: Value<'t>, name: &str) -> Result<&'t str, Fault> {
    check_id(name, text(object, name)?)
}

/// As [`id`]; none when it is absent or null.
pub(crate) fn optional_id<'t>(object: Value<'t>, name: &str) -> Result<Option<&'t str>, Fault> {
    match present(object, name) {
        None => Ok(None),
        Some(_) => id(object, name).map(Some),
    }
}

pub(crate) fn check_id<'t>(name: &str, text: &'t str) -> Result<&'t str, Fault> {
    if text.is_empty() {
        let detail = format!("{name} is empty");
        return Err(Fault::new(Code::MissingField, detail).on(name));
    }
    if text.len() > ID_MAX {
        let detail = format!("{name} has {} bytes, the limit is {ID_MAX}", text.len());
        return Err(Fault::new(Code::FieldTypeMismatch, detail).on(name));
    }
    Ok(text)
}

/// A time as it came, and what it stands for. The bytes are what is signed, so they are kept.
pub(crate) fn instant<'t>(object: Value<'t>, name: &str) -> Result<(&'t str, Stamp), Fault> {
    let text = text(object, name)?;
    if text.is_empty() {
        let detail = format!("{name} is empty; give a time with an offset");
        return Err(Fault::new(Code::MissingField, detail).on(name));
    }
    let stamp = text.parse().map_err(|_| {
        let detail =
            format!(r#"{name} is no time with an offset, such as "2026-01-01T06:00:00+00:00""#);
        Fault::new(Code::InvalidTimestamp, detail).on(name)
    })?;
    Ok((text, stamp))
}

/// One of a closed list.
pub(crate) fn word<T>(
    found: Option<T>,
    words: &[&str],
    code: Code,
    name: &str,
) -> Result<T, Fault> {
    found.ok_or_else(|| {
        let detail = format!("{name} is none of {}", words.join(", "));
        Fault::new(code, detail).on(name)
    })
}
