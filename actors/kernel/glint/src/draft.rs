//! A glint on its way in: any of the shapes that agents really send, read once.
//!
//! | shape | looks like |
//! | --- | --- |
//! | orchestrator envelope | `{"event": …, "data": {"glint": {"id": …, "module": …}}}` |
//! | nested | `{"glint": {…}, "timestamp": …, "source": "direct_post"}` |
//! | dotted keys | `{"glint.id": …, "glint.source": …, "glint.phase": …}` |
//! | flat | `{"id": …, "source": …, "phase": …}`, often without an id |
//!
//! A field is looked for in the innermost glint first, then outwards; within one object by its aliases in order.

use std::borrow::Cow;

use uuid::Uuid;

use crate::event::Name;
use crate::json::{self, JsonFault, Value};
use crate::refusal::{Refusal, RefusalKind};

/// Longest id, source and phase, in bytes of UTF-8. Real ones stay below 100.
pub const MAX_WORD_BYTES: usize = 1024;

const IDS: &[&[&str]] = &[&["id"], &["glint.id"], &["glint_id"]];
const SOURCES: &[&[&str]] = &[&["module"], &["source"], &["glint.source"]];
const PHASES: &[&[&str]] = &[
    &["phase"],
    &["glint.phase"],
    &["metadata", "phase"],
    &["ritual_phase"],
];

/// Where another value of `event` goes, which is the broker's to say.
const POSTED_EVENT: &str = "posted_event";

/// A glint that was read and found good, not yet in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The id that the glint came with, or a new one.
    pub id: Box<str>,
    /// Whether the id is new.
    pub minted: bool,
    /// Who sent it.
    pub source: Option<Box<str>>,
    /// The phase that it names, as it names it.
    pub phase: Option<Box<str>>,
    /// The payload: one line of ASCII JSON, an object.
    pub text: Box<str>,
}

impl Draft {
    /// Reads a body of at most `max_bytes`. A glint without an id gets `fresh`.
    ///
    /// # Errors
    /// When the body is too long, is not JSON, or is not an object, see [`Draft::from_value`].
    pub fn read(body: &[u8], max_bytes: usize, fresh: Uuid) -> Result<Draft, Refusal> {
        Draft::from_value(read_json(body, max_bytes)?, fresh)
    }

    /// Takes a value that was read before.
    ///
    /// A top-level `event` that says anything but `glint_emission` is renamed `posted_event`: line-oriented clients
    /// act on that member alone, so a publisher could speak in the broker's name.
    ///
    /// # Errors
    /// When the value is not an object, or a word in it is longer than [`MAX_WORD_BYTES`].
    pub fn from_value(mut value: Value<'_>, fresh: Uuid) -> Result<Draft, Refusal> {
        let Value::Object(members) = &mut value else {
            let detail = format!(
                "a glint is a JSON object; this is a JSON {}",
                value.type_name()
            );
            return Err(Refusal::invalid("glint_not_object", detail));
        };
        disown_event(members);
        let found = find(&value, IDS, "id", |value| match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.to_string()),
            other => Some(other.to_ascii()),
        })?;
        let minted = found.is_none();
        let id = found.unwrap_or_else(|| fresh.to_string().into());
        let source = find(&value, SOURCES, "source", word)?;
        let phase = find(&value, PHASES, "phase", word)?;
        Ok(Draft {
            id,
            minted,
            source,
            phase,
            text: value.to_ascii().into(),
        })
    }

    /// Takes a CloudEvent 1.0 in its JSON format; its own id and source count, not those within its data.
    ///
    /// # Errors
    /// `cloud_event_malformed` when a required attribute is missing, else as [`Draft::from_value`].
    pub fn from_cloud_event(value: Value<'_>, fresh: Uuid) -> Result<Draft, Refusal> {
        let attribute = |name: &'static str| {
            let text = value
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                let detail =
                    format!("a CloudEvent has the attribute {name}, a string that is not empty");
                Refusal::invalid("cloud_event_malformed", detail).on(name)
            })
        };
        let version = attribute("specversion")?;
        if version != "1.0" {
            let detail = format!("specversion {version:?} is not read here; send 1.0");
            return Err(Refusal::invalid("cloud_event_malformed", detail).on("specversion"));
        }
        attribute("type")?;
        let (id, source) = (
            bounded(attribute("id")?, "id")?,
            bounded(attribute("source")?, "source")?,
        );
        let draft = Draft::from_value(value, fresh)?;
        Ok(Draft {
            id,
            minted: false,
            source: Some(source),
            ..draft
        })
    }
}

/// Reads a body of at most `max_bytes` as JSON.
///
/// # Errors
/// `body_too_large`, or a `json_…` code with the byte at fault.
pub fn read_json(body: &[u8], max_bytes: usize) -> Result<Value<'_>, Refusal> {
    if body.len() > max_bytes {
        let detail = format!(
            "the body has {} bytes, the limit is {max_bytes}; send less at once",
            body.len()
        );
        return Err(Refusal::new(
            RefusalKind::TooLarge,
            "body_too_large",
            detail,
        ));
    }
    json::parse_bytes(body).map_err(|err| {
        let code = match err.fault {
            JsonFault::NonFinite => "json_not_finite",
            JsonFault::Surrogate => "json_lone_surrogate",
            JsonFault::Depth => "json_too_deep",
            JsonFault::Utf8 => "json_not_utf8",
            _ => "json_syntax",
        };
        Refusal::invalid(code, err)
    })
}

fn disown_event(members: &mut Vec<json::Member<'_>>) {
    let owned = Value::String(Cow::Borrowed(Name::GlintEmission.as_str()));
    let Some(place) = members.iter().position(|(key, _)| key == "event") else {
        return;
    };
    if members[place].1 == owned {
        return;
    }
    let posted = std::mem::replace(&mut members[place].1, owned);
    let mut key = POSTED_EVENT.to_owned();
    while members.iter().any(|(taken, _)| *taken == key) {
        key.push('_');
    }
    members.insert(place + 1, (Cow::Owned(key), posted));
}

/// The scopes in which a glint's fields may stand, innermost first.
fn scopes<'v, 'a>(value: &'v Value<'a>) -> impl Iterator<Item = &'v Value<'a>> {
    [
        value.at(&["data", "glint"]),
        value.get("glint"),
        value.get("data"),
        Some(value),
    ]
    .into_iter()
    .flatten()
}

fn find(
    value: &Value<'_>,
    aliases: &[&[&str]],
    field: &'static str,
    take: fn(&Value<'_>) -> Option<String>,
) -> Result<Option<Box<str>>, Refusal> {
    let found = scopes(value).find_map(|scope| {
        aliases
            .iter()
            .find_map(|path| scope.at(path).and_then(take))
    });
    found.map(|text| bounded(text, field)).transpose()
}

fn bounded(text: String, field: &'static str) -> Result<Box<str>, Refusal> {
    if text.len() > MAX_WORD_BYTES {
        let detail = format!(
            "{field} has {} bytes, the limit is {MAX_WORD_BYTES}",
            text.len()
        );
        return Err(Refusal::invalid("word_too_long", detail).on(field));
    }
    Ok(text.into())
}

fn word(value: &Value<'_>) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 4096;

    fn read(text: &str) -> Draft {
        Draft::read(text.as_bytes(), LIMIT, Uuid::nil()).expect(text)
    }

    fn refused(body: &[u8]) -> &'static str {
        Draft::read(body, LIMIT, Uuid::nil())
            .expect_err("refused")
            .code
    }

    fn fields(draft: &Draft) -> (&str, Option<&str>, Option<&str>) {
        (&draft.id, draft.source.as_deref(), draft.phase.as_deref())
    }

    #[test]
    fn takes_every_shape_that_agents_send() {
        let cases = [
            (
                r#"{"event":"glint_emission","data":{"glint":{"id":"a","module":"m","phase":"hold"},"breath_state":{"phase":"inhale"}}}"#,
                ("a", Some("m"), Some("hold")),
            ),
            (
                r#"{"glint.id":"b","glint.source":"s","glint.phase":"exhale.cast"}"#,
                ("b", Some("s"), Some("exhale.cast")),
            ),
            (
                r#"{"id":"c","source":"s","phase":"Hold"}"#,
                ("c", Some("s"), Some("Hold")),
            ),
            (
                r#"{"glint":{"id":"d","source":"inner","phase":"error"},"source":"direct_post"}"#,
                ("d", Some("inner"), Some("error")),
            ),
            (
                r#"{"glint":{"content":"x"},"source":"direct_post"}"#,
                (NIL, Some("direct_post"), None),
            ),
            (
                r#"{"glint_id":"e","metadata":{"phase":"echo"}}"#,
                ("e", None, Some("echo")),
            ),
            (
                r#"{"id":17,"ritual_phase":"calibration"}"#,
                ("17", None, Some("calibration")),
            ),
            (r#"{"id":{"k":1}}"#, (r#"{"k": 1}"#, None, None)),
            (
                r#"{"id":null,"module":{"no":"word"},"source":"s"}"#,
                (NIL, Some("s"), None),
            ),
            ("{}", (NIL, None, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(fields(&read(text)), expected, "{text}");
        }
    }

    const NIL: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn says_whether_the_id_is_new() {
        assert!(read("{}").minted);
        assert!(!read(r#"{"id":"x"}"#).minted);
    }

    #[test]
    fn the_publisher_never_chooses_the_event_name() {
        assert_eq!(
            &*read(r#"{"event":"heartbeat","state":1}"#).text,
            r#"{"event": "glint_emission", "posted_event": "heartbeat", "state": 1}"#
        );
        assert_eq!(
            &*read(r#"{"posted_event":0,"event":{"a":"phase_update"}}"#).text,
            r#"{"posted_event": 0, "event": "glint_emission", "posted_event_": {"a": "phase_update"}}"#
        );
        assert_eq!(
            &*read(r#"{"event":"glint_emission"}"#).text,
            r#"{"event": "glint_emission"}"#
        );
        assert_eq!(&*read(r#"{"a":1}"#).text, r#"{"a": 1}"#);
        let escaped = read(r#"{"ev\u0065nt":"heartbeat"}"#);
        assert!(escaped.text.starts_with(r#"{"event": "glint_emission""#));
    }

    #[test]
    fn numbers_stay_as_they_were_sent() {
        let text =
            r#"{"a": 0.48999999999999994, "b": 1, "c": 1.0, "d": 123456789012345678901234567890}"#;
        assert_eq!(&*read(text).text, text);
    }

    #[test]
    fn a_cloud_event_is_known_by_its_own_attributes() {
        let event =
            |text: &str| Draft::from_cloud_event(json::parse(text).expect("JSON"), Uuid::nil());
        let whole = r#"{"specversion":"1.0","id":"e1","source":"/agents/7","type":"t","data":{"id":"inner","module":"m","phase":"hold"}}"#;
        let draft = event(whole).unwrap();
        assert_eq!(fields(&draft), ("e1", Some("/agents/7"), Some("hold")));
        for missing in ["specversion", "id", "source", "type"] {
            let err = event(&whole.replace(&format!("\"{missing}\""), "\"x\"")).unwrap_err();
            assert_eq!(
                (err.code, err.field.as_deref()),
                ("cloud_event_malformed", Some(missing))
            );
        }
        assert_eq!(
            event(&whole.replace("1.0", "0.3"))
                .unwrap_err()
                .field
                .as_deref(),
            Some("specversion")
        );
    }

    #[test]
    fn refuses_with_a_code_for_each_reason() {
        assert_eq!(refused(b"[1]"), "glint_not_object");
        assert_eq!(refused(b"\"x\""), "glint_not_object");
        assert_eq!(refused(b"{\"a\":NaN}"), "json_not_finite");
        assert_eq!(refused(b"{\"a\":\"\\ud800\"}"), "json_lone_surrogate");
        assert_eq!(refused(b"{\"a\":\"\xff\"}"), "json_not_utf8");
        assert_eq!(refused(b"{\"a\":}"), "json_syntax");
        assert_eq!(refused(b""), "json_syntax");
        assert_eq!(refused(&[b' '; LIMIT + 1]), "body_too_large");
        assert_eq!(
            refused(format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64)).as_bytes()),
            "json_too_deep"
        );
        assert_eq!(
            refused(format!("{{\"id\":\"{}\"}}", "x".repeat(MAX_WORD_BYTES + 1)).as_bytes()),
            "word_too_long"
        );
    }

    #[test]
    fn takes_a_byte_order_mark_off() {
        assert_eq!(
            &*Draft::read(b"\xEF\xBB\xBF{\"id\":\"x\"}", LIMIT, Uuid::nil())
                .unwrap()
                .id,
            "x"
        );
    }
}
