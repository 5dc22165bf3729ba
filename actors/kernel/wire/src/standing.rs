//! Topics that are one document which changes: the breath, and the registry's seal.
//!
//! A subscriber that asks for patches has the document from the start, and then only what changes in it. Documents are
//! folded from events in the one order, once for everybody, and numbered, so that whoever spells a change can tell
//! whether its reader has what the change is made to.

use std::sync::Arc;

use glint::Topic;
use glint::event::{Event, Name};
use glint::json::{self, Object, Value, object};

use crate::glyph;

/// Most URLs that the document of the seal lists, and most bytes of them; then the list begins anew.
const LISTED: usize = 256;
const LISTED_BYTES: usize = 64 * 1024;

/// What a change of the breath may be in.
const BREATH: [&str; 4] = ["phase", "progress", "usage", "climate"];

/// A topic as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The topic.
    pub topic: Topic,
    /// Numbers the documents of this process; a document with the same number is the same.
    pub version: u64,
    /// The document: one line of ASCII JSON, an object.
    pub text: String,
    /// The same as a GS1 payload.
    pub glyph: String,
    /// The state hash of the document.
    pub hash: [u8; 32],
}

/// A document that became another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub before: Option<Arc<Document>>,
    /// What it is.
    pub after: Arc<Document>,
    /// What makes the one of the other, where that can be said, and shorter than the document.
    pub patch: Option<String>,
}

impl Change {
    /// Returns the bytes that this holds beyond those of its event.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let after = &*self.after;
        after.text.len() + after.glyph.len() + self.patch.as_ref().map_or(0, String::len)
    }
}

/// All topics that are documents. Cloning shares the documents.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    documents: [Option<Arc<Document>>; 2],
    versions: u64,
}

/// Returns the place of a topic that is a document.
fn place(topic: Topic) -> Option<usize> {
    match topic {
        Topic::State => Some(0),
        Topic::Seals => Some(1),
        _ => None,
    }
}

/// Tells whether a topic is a document that changes.
#[must_use]
pub fn is_document(topic: Topic) -> bool {
    place(topic).is_some()
}

impl Standings {
    /// Returns how a topic stands; `None` when nothing is known of it, or it is no document.
    #[must_use]
    pub fn of(&self, topic: Topic) -> Option<&Arc<Document>> {
        self.documents[place(topic)?].as_ref()
    }

    /// Takes a document that somebody else folded.
    pub fn take(&mut self, document: &Arc<Document>) {
        if let Some(at) = place(document.topic) {
            self.documents[at] = Some(document.clone());
        }
    }

    /// Sets how a topic stands, without an event: `text` is what its subscribers are greeted with.
    pub fn begin(&mut self, topic: Topic, text: &str) {
        let Some(at) = place(topic) else { return };
        let Ok(said) = json::parse(text) else { return };
        let name = match topic {
            Topic::Seals => Name::SealUpdate,
            _ => Name::PhaseUpdate,
        };
        let document = folded(None, name, "", &said);
        self.documents[at] = self.spelt(topic, document).map(Arc::new);
    }

    /// Takes an event in its order, and returns what it changed; `None` where its topic is no document.
    pub fn fold(&mut self, event: &Event) -> Option<Arc<Change>> {
        let at = place(event.topic())?;
        let before = self.documents[at].take();
        let known = before
            .as_ref()
            .and_then(|before| json::parse(&before.text).ok());
        let said = json::parse(&event.text).unwrap_or(Value::Null);
        let text = folded(known.as_ref(), event.name, &event.offset.to_string(), &said);
        let after = Arc::new(self.spelt(event.topic(), text)?);
        let patch = known.zip(json::parse(&after.text).ok());
        let patch = patch.and_then(|(before, after)| glyph::diff(&before, &after));
        let patch = patch.filter(|patch| patch.len() < after.glyph.len());
        self.documents[at] = Some(after.clone());
        Some(Arc::new(Change {
            before,
            after,
            patch,
        }))
    }

    fn spelt(&mut self, topic: Topic, text: String) -> Option<Document> {
        let value = json::parse(&text).ok()?;
        let mut line = String::with_capacity(text.len());
        glyph::write(&value, glyph::Form::Profile, &mut line).ok()?;
        let hash = glyph::state_hash(&value).ok()?;
        self.versions += 1;
        Some(Document {
            topic,
            version: self.versions,
            text,
            glyph: line,
            hash,
        })
    }
}

/// Returns what an event says by itself as a document, for history, of which the document before is not known.
#[must_use]
pub(crate) fn alone(event: &Event) -> Option<Document> {
    Standings::default()
        .fold(event)
        .map(|change| Document::clone(&change.after))
}

fn folded(before: Option<&Value<'_>>, name: Name, cursor: &str, said: &Value<'_>) -> String {
    let mut out = String::with_capacity(256);
    object(&mut out, |object| match name {
        Name::SealUpdate => seal(before, said, object),
        _ => breath(before, name, cursor, said, object),
    });
    out
}

/// The breath, and what was last noticed. Times are left out, as they would change every time.
fn breath(
    before: Option<&Value<'_>>,
    name: Name,
    cursor: &str,
    said: &Value<'_>,
    object: &mut Object<'_>,
) {
    let is_state = matches!(
        name,
        Name::PhaseUpdate | Name::ClimateUpdate | Name::UsageUpdate
    );
    for key in BREATH {
        let new = is_state.then(|| said.get(key)).flatten();
        if let Some(value) = new.or_else(|| before?.get(key)) {
            object.json(key, &value.to_ascii());
        }
    }
    if is_state {
        if let Some(notice) = before.and_then(|before| before.get("notice")) {
            object.json("notice", &notice.to_ascii());
        }
        return;
    }
    object.object("notice", |notice| {
        notice.text("event", name.as_str()).text("cursor", cursor);
        if let Some(message) = said.get("message") {
            notice.json("message", &message.to_ascii());
        }
    });
}

/// The seal, and the URLs that came since another seal: those of several announcements, as long as each lists all.
fn seal(before: Option<&Value<'_>>, said: &Value<'_>, object: &mut Object<'_>) {
    let now = said
        .get("after")
        .or_else(|| said.get("seal"))
        .unwrap_or(&Value::Null);
    let known = before.and_then(|before| before.get("seal"));
    let from = match said.get("before") {
        // The first announcement of a life begins where that life began.
        None | Some(Value::Null) => known,
        from => from,
    };
    let is_listed = said.get("complete") == Some(&Value::Bool(true));
    let new = if is_listed { list(said) } else { &[] };
    let mut urls = list_of(before).filter(|_| is_listed && known.is_some() && from == known);
    let fits = |old: &&[Value<'_>]| {
        let bytes = |list: &[Value<'_>]| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::len)
                .sum::<usize>()
        };
        old.len() + new.len() <= LISTED && bytes(old) + bytes(new) <= LISTED_BYTES
    };
    urls = urls.filter(fits);
    let since = match urls {
        Some(_) => before.and_then(|before| before.get("since")),
        None => from.filter(|_| is_listed),
    };
    object.json("seal", &now.to_ascii());
    for key in ["total", "latest"] {
        if let Some(value) = said.get(key) {
            object.json(key, &value.to_ascii());
        }
    }
    object.json("since", &since.unwrap_or(now).to_ascii());
    let urls = urls.unwrap_or_default().iter().chain(new);
    object.array("urls", urls, |url, out| out.push_str(&url.to_ascii()));
}

fn list<'v, 'a>(said: &'v Value<'a>) -> &'v [Value<'a>] {
    list_of(Some(said)).unwrap_or_default()
}

fn list_of<'v, 'a>(value: Option<&'v Value<'a>>) -> Option<&'v [Value<'a>]> {
    match value?.get("urls") {
        Some(Value::Array(urls)) => Some(urls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use glint::{Offset, Stamp};

    use super::*;

    fn event(name: Name, text: &str) -> Event {
        Event {
            name,
            offset: Offset { epoch: 7, seq: 3 },
            topic_seq: 1,
            stamp: Stamp(0),
            id: None,
            repeats_id: false,
            source: None,
            phase: None,
            text: text.into(),
        }
    }

    fn update(before: &str, after: &str, urls: &[String], is_complete: bool) -> Event {
        let text = format!(
            r#"{{"before": {before}, "after": "{after}", "total": 9, "added": 1, "latest": {{"pulse": 1}}, "complete": {is_complete}, "urls": {urls:?}}}"#
        );
        event(Name::SealUpdate, &text)
    }

    fn told(change: &Change) -> (String, String, usize) {
        let value = json::parse(&change.after.text).expect("JSON");
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        (text("since"), text("seal"), list(&value).len())
    }

    fn some(urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    #[test]
    fn what_is_listed_always_leads_from_the_one_seal_to_the_other() {
        let mut standings = Standings::default();
        standings.begin(
            Topic::Seals,
            r#"{"seal": "s0", "total": 0, "latest": {"pulse": 0}}"#,
        );
        let cases = [
            (update("null", "s1", &some(&["a"]), true), ("s0", "s1", 1)),
            (
                update(r#""s1""#, "s2", &some(&["b", "c"]), true),
                ("s0", "s2", 3),
            ),
            // An announcement that does not list all: nothing leads there.
            (
                update(r#""s2""#, "s3", &some(&["d"]), false),
                ("s3", "s3", 0),
            ),
            (
                update(r#""s3""#, "s4", &some(&["e"]), true),
                ("s3", "s4", 1),
            ),
            // One was missed.
            (
                update(r#""s5""#, "s6", &some(&["f"]), true),
                ("s5", "s6", 1),
            ),
            // The list is full.
            (
                update(r#""s6""#, "s7", &vec!["g".to_owned(); LISTED], true),
                ("s6", "s7", LISTED),
            ),
        ];
        for (event, (since, seal, count)) in cases {
            let change = standings.fold(&event).expect("a change");
            assert_eq!(told(&change), (since.into(), seal.into(), count));
            let before = change.before.clone().expect("it stood somehow");
            assert_eq!(change.after.version, before.version + 1);
        }
    }

    #[test]
    fn the_breath_keeps_what_a_change_does_not_say() {
        let mut standings = Standings::default();
        let greeting = r#"{"phase": "hold", "progress": 0.5, "usage": 0.3, "climate": "clear", "timestamp": "x"}"#;
        standings.begin(Topic::State, greeting);
        let change = standings
            .fold(&event(
                Name::UsageUpdate,
                r#"{"usage": 0.4, "phase": "hold", "climate": "clear"}"#,
            ))
            .expect("a change");
        assert_eq!(
            change.patch.as_deref(),
            Some("@patch\n= [\"usage\"] 0.4\n@end")
        );
        assert_eq!(
            change.after.glyph,
            "{climate=clear phase=hold progress=0.5 usage=0.4}"
        );
        let said = r#"{"message": "quiet", "phase": "hold"}"#;
        let change = standings
            .fold(&event(Name::CaesuraDetected, said))
            .expect("a change");
        assert_eq!(change.patch, None, "no applier takes a map alike");
        let notice = r#"notice={cursor="7-3" event=caesura_detected message=quiet}"#;
        assert!(
            change.after.glyph.contains(notice),
            "{}",
            change.after.glyph
        );
        assert!(standings.fold(&event(Name::GlintEmission, "{}")).is_none());
    }
}
