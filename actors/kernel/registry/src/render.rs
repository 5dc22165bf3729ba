//! Compact JSON: pages, entries and the whole state, as existing clients read them.

use std::fmt::Write as _;

use glint::json::Value;

use crate::payload::{NUMBER_FIELDS, Payload, TEXT_FIELDS, with_payload};
use crate::state::{Entry, Snapshot};
use crate::url::Base;

/// What the state calls its own form.
const SPEC: &str = "KKS-1.0";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a string with as few escapes as JSON allows.
pub fn text(text: &str, out: &mut String) {
    out.push('"');
    if is_plain(text.as_bytes()) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0C => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1F => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        out.push_str(short);
        if short.is_empty() {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Tells whether no byte needs an escape. It looks at all of them: without a way out the compiler does many at once, and
/// nearly every URL is plain.
fn is_plain(bytes: &[u8]) -> bool {
    let needs =
        |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    bytes.iter().fold(0, |found, byte| found | needs(byte)) == 0
}

/// Appends a value without spaces, numbers as they were sent.
pub fn value(value_: &Value<'_>, out: &mut String) {
    match value_ {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(lexeme) => out.push_str(lexeme),
        Value::String(said) => text(said, out),
        Value::Array(items) => list('[', items, ']', out, value),
        Value::Object(members) => list('{', members, '}', out, |(key, item), out| {
            member(key, out);
            value(item, out);
        }),
    }
}

/// Appends items between brackets, with commas between them.
pub fn list<T>(
    open: char,
    items: impl IntoIterator<Item = T>,
    close: char,
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (nth, item) in items.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// Appends the URLs of a page as an array.
pub fn urls(snapshot: &Snapshot, offset: usize, limit: usize, out: &mut String) {
    let page = snapshot.list().page(offset, limit);
    list('[', page, ']', out, |entry, out| text(&entry.url, out));
}

/// Appends the whole registry with payloads, which are read from the URLs again.
pub fn state(snapshot: &Snapshot, base: &Base, out: &mut String) {
    let latest = snapshot.latest();
    // Writing to a String never fails.
    let _ = write!(
        out,
        "{{\"spec\":\"{SPEC}\",\"total_urls\":{},\"latest\":{{\"pulse\":{},\"beat\":{},\"stepIndex\":{}}},\
         \"state_seal\":\"{}\",\"registry\":",
        snapshot.list().len(),
        latest.pulse,
        latest.beat,
        latest.step,
        snapshot.seal(),
    );
    list('[', snapshot.list().iter(), ']', out, |item, out| {
        entry(item, base, out)
    });
    out.push_str(",\"urls\":");
    urls(snapshot, 0, usize::MAX, out);
    out.push('}');
}

/// Appends one entry with its payload, and what is projected from it.
pub fn entry(entry: &Entry, base: &Base, out: &mut String) {
    member_of('{', "url", out);
    text(&entry.url, out);
    let written = with_payload(&entry.url, base, |payload| {
        let payload = payload.with_links(&entry.links);
        member_of(',', "payload", out);
        write_payload(&payload, out);
        project(&payload, out);
    });
    debug_assert!(written.is_some(), "an entry has a payload");
    out.push('}');
}

/// Appends a payload: the declared fields first, then the others.
fn write_payload(payload: &Payload<'_>, out: &mut String) {
    let mut open = '{';
    for (name, number) in NUMBER_FIELDS.iter().zip(payload.numbers) {
        member_of(std::mem::replace(&mut open, ','), name, out);
        optional_number(number, out);
    }
    for (name, said) in TEXT_FIELDS.iter().zip(&payload.texts) {
        member_of(',', name, out);
        optional_text(said.as_deref(), out);
    }
    for (key, item) in &payload.extras {
        out.push(',');
        member(key, out);
        value(item, out);
    }
    out.push('}');
}

fn project(payload: &Payload<'_>, out: &mut String) {
    for (name, number) in NUMBER_FIELDS.iter().zip(payload.numbers) {
        member_of(',', name, out);
        optional_number(Some(number.unwrap_or_default()), out);
    }
    for (name, said) in TEXT_FIELDS.iter().zip(&payload.texts) {
        member_of(',', name, out);
        optional_text(said.as_deref(), out);
    }
    let [.., user_phi, phi, phi_lower] = &payload.texts;
    let first = [user_phi, phi_lower, phi]
        .into_iter()
        .find(|key| key.as_deref().is_some_and(|key| !key.is_empty()));
    member_of(',', "id", out);
    optional_text(first.unwrap_or(phi).as_deref(), out);
}

fn member_of(before: char, key: &str, out: &mut String) {
    out.push(before);
    member(key, out);
}

fn member(key: &str, out: &mut String) {
    text(key, out);
    out.push(':');
}

fn optional_number(number: Option<i128>, out: &mut String) {
    match number {
        Some(number) => {
            let _ = write!(out, "{number}");
        }
        None => out.push_str("null"),
    }
}

fn optional_text(said: Option<&str>, out: &mut String) {
    match said {
        Some(said) => text(said, out),
        None => out.push_str("null"),
    }
}
