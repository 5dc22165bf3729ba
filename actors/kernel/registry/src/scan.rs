//! From a document to its hits: every string in it that is a URL or a token with a payload.

use std::sync::Arc;

use glint::json::{JsonError, JsonFault, Value, parse_to_depth};

use crate::form::{pairs, unescape};
use crate::payload::{Links, Payload, Summary, with_canonical_payload, with_payload, with_token};
use crate::url::{Base, Parts, canonical, is_bare_token, trim};

/// Deepest nesting of a document and of a payload. The existing service cannot answer any more once it has stored more.
pub const MAX_DEPTH: usize = 255;

/// Longest chain that is read; of a longer one the last so many members count.
pub const MAX_CHAIN: usize = 512;

/// A string with a payload, ready to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The canonical URL: the key, which the entry will share.
    pub key: Arc<str>,
    /// What the payload of the key says.
    pub summary: Summary,
    /// The canonical URLs of the chain that the key names, from the origin to the parent.
    pub chain: Vec<Box<str>>,
}

/// Reads a document of JSON and returns its hits in the order of the text.
///
/// # Errors
/// The fault of the text: not UTF-8, not JSON, deeper than [`MAX_DEPTH`], with lone surrogates, with `NaN` or numbers
/// beyond a double. Such a document counts for nothing, as a whole.
pub fn read_document(bytes: &[u8], base: &Base) -> Result<Vec<Hit>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|err| JsonError {
        fault: JsonFault::Utf8,
        at: err.valid_up_to(),
    })?;
    // A byte order mark is no JSON to the existing service, so it is none here: the seals would differ.
    if text.starts_with('\u{FEFF}') {
        return Err(JsonError {
            fault: JsonFault::ExpectedValue,
            at: 0,
        });
    }
    let document = parse_to_depth(text, MAX_DEPTH)?;
    let mut hits = Vec::new();
    scan(&document, base, &mut hits);
    Ok(hits)
}

/// Appends the hits of a value, depth first; of objects only the values count.
pub fn scan(value: &Value<'_>, base: &Base, hits: &mut Vec<Hit>) {
    match value {
        Value::String(text) => hits.extend(hit(text, base)),
        Value::Array(items) => items.iter().for_each(|item| scan(item, base, hits)),
        Value::Object(members) => members.iter().for_each(|(_, item)| scan(item, base, hits)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the hit that a string is, if it is one. A malformed URL is none.
#[must_use]
pub fn hit(text: &str, base: &Base) -> Option<Hit> {
    let text = trim(text);
    if is_bare_token(text) {
        // Most of these are signatures: they are told apart before a URL is made of them.
        let summary = with_token(text, |payload| payload.summary())?;
        let key = canonical(text, base).ok()??;
        return Some(Hit::new(key, summary, Vec::new()));
    }
    let considered = text.starts_with("http")
        || text.contains("http")
        || (text.contains('/')
            && ["/s/", "/stream", "/p~"]
                .iter()
                .any(|mark| text.contains(mark)));
    if !considered {
        return None;
    }
    hit_of(canonical(text, base).ok()??, base)
}

fn hit_of(key: String, base: &Base) -> Option<Hit> {
    let summary = summary_of_key(&key, base)?;
    let chain = chain(&key, base);
    Some(Hit::new(key, summary, chain))
}

/// Returns what the payload of a canonical key says.
fn summary_of_key(key: &str, base: &Base) -> Option<Summary> {
    let read = |payload: Payload<'_>| payload.summary();
    // A canonical URL is canonical still, but where an empty query or fragment hid white space at its end.
    if key.ends_with(|ch: char| ch.is_whitespace() || ch < ' ') {
        return with_payload(key, base, read);
    }
    with_canonical_payload(key, read)
}

/// Returns what the payload of any URL says, canonical or not.
pub(crate) fn summary(url: &str, base: &Base) -> Option<Summary> {
    with_payload(url, base, |payload| payload.summary())
}

/// Returns the chain that a canonical URL names with `add`: in its query, then in its fragment, each URL once.
#[must_use]
pub fn chain(key: &str, base: &Base) -> Vec<Box<str>> {
    // Escapes could spell the name of the parameter as well.
    let Some(at) = key.find(['?', '#']) else {
        return Vec::new();
    };
    if !key[at..].contains("add") && !key[at..].contains('%') {
        return Vec::new();
    }
    let Ok(parts) = Parts::split(key) else {
        return Vec::new();
    };
    let fragment = parts.fragment.strip_prefix('#').unwrap_or(parts.fragment);
    let mut seen = std::collections::HashSet::new();
    let mut members: Vec<Box<str>> = Vec::new();
    for (name, value) in pairs(parts.query).chain(pairs(fragment)) {
        if name != "add" {
            continue;
        }
        // A malformed member is none; the chain goes on without it.
        let Ok(Some(member)) = canonical(trim(&unescape(&value)), base) else {
            continue;
        };
        let member = member.into_boxed_str();
        if seen.insert(member.clone()) {
            members.push(member);
        }
    }
    if members.len() > MAX_CHAIN {
        members.drain(..members.len() - MAX_CHAIN);
    }
    members
}

impl Hit {
    fn new(key: String, summary: Summary, chain: Vec<Box<str>>) -> Hit {
        Hit {
            key: key.into(),
            summary,
            chain,
        }
    }

    /// Returns the hit that a canonical key is, without asking whether a text like it would be considered.
    #[must_use]
    pub fn of_key(key: &str, base: &Base) -> Option<Hit> {
        hit_of(key.to_owned(), base)
    }

    /// Returns the links of the hit: of the payload, else of the chain, and canonical.
    pub(crate) fn links(&self, base: &Base) -> Links {
        let Links {
            mut origin,
            mut parent,
        } = self.summary.links.clone();
        if let (Some(first), Some(last)) = (self.chain.first(), self.chain.last()) {
            fill_empty(&mut origin, first);
            fill_empty(&mut parent, last);
        }
        for link in [&mut origin, &mut parent] {
            canonical_link(link, base);
        }
        Links { origin, parent }
    }
}

/// Fills a link that is absent or empty. One of blanks alone counts as there.
pub(crate) fn fill_empty(link: &mut Option<Box<str>>, with: &str) -> bool {
    if link.as_deref().is_none_or(str::is_empty) {
        *link = Some(with.into());
        return true;
    }
    false
}

/// Makes a link canonical. A blank one and a malformed one stay as they are; they lead nowhere.
pub(crate) fn canonical_link(link: &mut Option<Box<str>>, base: &Base) {
    if let Some(said) = link.as_deref()
        && let Ok(Some(url)) = canonical(said, base)
    {
        *link = Some(url.into_boxed_str());
    }
}

/// Tells whether a link leads somewhere.
pub(crate) fn leads(link: Option<&str>) -> Option<&str> {
    link.filter(|link| !trim(link).is_empty())
}
