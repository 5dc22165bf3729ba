//! Texts with `{name}` in them.

use glint::json::Value;

use crate::matcher::Firing;

/// Names that may stand in braces.
pub const NAMES: [&str; 12] = [
    "rule",
    "key",
    "trigger",
    "phase",
    "climate",
    "usage",
    "time",
    "glint.id",
    "glint.source",
    "glint.phase",
    "glint.content",
    "cursor",
];
/// Most characters of one value that are filled in.
const MAX_VALUE_CHARS: usize = 4096;

/// Returns the first name in braces that is not known.
#[must_use]
pub fn unknown(text: &str) -> Option<&str> {
    pieces(text).find_map(|piece| match piece {
        Piece::Name(name) if !NAMES.contains(&name) => Some(name),
        _ => None,
    })
}

/// Fills the values of a firing in. What the trigger does not have is empty.
#[must_use]
pub fn fill(text: &str, firing: &Firing) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(name) => out.extend(value(name, firing).chars().take(MAX_VALUE_CHARS)),
        }
    }
    out
}

fn value(name: &str, firing: &Firing) -> String {
    let word = |word: &Option<Box<str>>| word.as_deref().unwrap_or_default().to_owned();
    match name {
        "rule" => firing.rule.name.to_string(),
        "key" => firing.key.to_string(),
        "trigger" => firing.trigger.to_string(),
        "phase" => firing.state.phase.as_str().to_owned(),
        "climate" => firing.state.climate.as_str().to_owned(),
        "usage" => firing.state.usage.to_string(),
        "time" => firing.stamp.to_string(),
        "cursor" => firing
            .offset
            .map(|offset| offset.to_string())
            .unwrap_or_default(),
        "glint.id" => word(&firing.glint.id),
        "glint.source" => word(&firing.glint.source),
        "glint.phase" => word(&firing.glint.phase),
        "glint.content" => content(&firing.glint.text),
        _ => String::new(),
    }
}

fn content(text: &str) -> String {
    let parsed = glint::json::parse_to_depth(text, glint::json::MAX_DEPTH + 1);
    let Ok(value) = parsed else {
        return String::new();
    };
    let paths: [&[&str]; 4] = [
        &["data", "glint", "content"],
        &["glint", "content"],
        &["content"],
        &["glint.content"],
    ];
    let found = paths.iter().find_map(|path| value.at(path));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// Cuts a text at its names. A brace without its pair, or around something else than a name, stands for itself.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('{')
            && let Some(end) = inner.find('}')
            && is_name(&inner[..end])
        {
            rest = &inner[end + 1..];
            return Some(Piece::Name(&inner[..end]));
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find('{').map_or(rest.len(), |at| first + at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(piece))
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |ch: char| ch.is_ascii_lowercase() || ch == '.' || ch == '_';
    !text.is_empty() && text.chars().all(is_letter)
}
