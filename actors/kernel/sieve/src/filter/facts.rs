//! What an expression sees of an event: nothing is read or copied before it is asked for.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, Type,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use glint::event::{Event, Topic};
use glint::json::{self, Value};
use glint::phase::State;

/// Where the words of a glint are looked for, from the outside in. The same shapes that drafts are read from.
const INNER: [&[&str]; 3] = [&["data", "glint"], &["glint"], &[]];

/// Deepest payload: what was posted, and one level that an envelope of ours adds.
const PAYLOAD_DEPTH: usize = json::MAX_DEPTH + 1;

/// An event, and the state in which it is looked at, for any number of expressions.
#[derive(Debug)]
pub struct Facts<'a> {
    event: &'a Event,
    state: Option<State>,
    payload: OnceLock<Payload<'a>>,
}

/// How large an event is to an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes of the payload.
    pub bytes: usize,
    /// Values in it, at any depth.
    pub values: usize,
    /// Items of its longest array, or members of its widest object.
    pub longest: usize,
}

#[derive(Debug)]
struct Payload<'a> {
    data: Box<dyn Val + 'a>,
    content: Option<Box<dyn Val + 'a>>,
    toneform: Option<Box<dyn Val + 'a>>,
    kind: Option<Box<dyn Val + 'a>>,
    size: Size,
}

impl<'a> Facts<'a> {
    /// Looks at an event; `state` is what rules see as `state`.
    #[must_use]
    pub fn new(event: &'a Event, state: Option<State>) -> Facts<'a> {
        Facts {
            event,
            state,
            payload: OnceLock::new(),
        }
    }

    /// Returns the event.
    #[must_use]
    pub fn event(&self) -> &'a Event {
        self.event
    }

    /// Returns the bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.event.text.len()
    }

    /// Returns the size of the payload, which is read for it.
    #[must_use]
    pub fn size(&self) -> Size {
        self.payload().size
    }

    fn payload(&self) -> &Payload<'a> {
        self.payload.get_or_init(|| {
            let text: &'a str = &self.event.text;
            // What is no JSON is not in the order; it would be seen as null.
            let value = json::parse_to_depth(text, PAYLOAD_DEPTH).unwrap_or(Value::Null);
            let word = |aliases: &[&str]| {
                let found = INNER.iter().find_map(|path| {
                    let inner = value.at(path)?;
                    aliases.iter().find_map(|alias| inner.get(alias))
                });
                found.map(|value| convert(value.clone(), &mut Size::default()))
            };
            let (content, toneform) = (
                word(&["content", "glint.content"]),
                word(&["toneform", "glint.toneform"]),
            );
            let kind = word(&["type", "glint_type"]);
            let mut size = Size {
                bytes: text.len(),
                ..Size::default()
            };
            Payload {
                content,
                toneform,
                kind,
                data: convert(value, &mut size),
                size,
            }
        })
    }
}

/// Turns JSON into values of the interpreter. Whole numbers that fit are ints, others doubles.
fn convert<'a>(value: Value<'a>, size: &mut Size) -> Box<dyn Val + 'a> {
    size.values += 1;
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(truth)),
        Value::Number(lexeme) => match lexeme.parse::<i64>() {
            Ok(whole) => Box::new(CelInt::from(whole)),
            Err(_) => Box::new(CelDouble::from(lexeme.parse::<f64>().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(string(text)),
        Value::Array(items) => {
            size.longest = size.longest.max(items.len());
            let items = items.into_iter().map(|item| convert(item, size));
            Box::new(CelList::from(items.collect::<Vec<_>>()))
        }
        Value::Object(members) => {
            size.longest = size.longest.max(members.len());
            let members = members
                .into_iter()
                .map(|(key, value)| (CelMapKey::String(string(key)), convert(value, size)));
            Box::new(CelMap::from(
                members.collect::<std::collections::HashMap<_, _>>(),
            ))
        }
    }
}

fn string(text: std::borrow::Cow<'_, str>) -> CelString<'_> {
    match text {
        std::borrow::Cow::Borrowed(text) => CelString::from(text),
        std::borrow::Cow::Owned(text) => CelString::from(text),
    }
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let root = match variable {
            "glint" if self.event.topic() == Topic::Glints => Root::Glint,
            "event" => Root::Event,
            "state" => Root::State,
            _ => return None,
        };
        Some(CowVal::owned(View { facts: self, root }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Glint,
    Event,
    State,
}

/// One of the three names, looked at.
#[derive(Debug)]
struct View<'b, 'a> {
    facts: &'b Facts<'a>,
    root: Root,
}

static RECORD: Type = Type::new_unspecified_type("record");

impl Val for View<'_, '_> {
    fn get_type(&self) -> &Type {
        &RECORD
    }

    fn cel_type() -> &'static Type {
        &RECORD
    }

    fn as_indexer<'x, 'v>(&'x self) -> Option<&'x (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(View {
            facts: self.facts,
            root: self.root,
        })
    }
}

impl Indexer for View<'_, '_> {
    fn get<'x, 'v>(&'x self, field: &dyn Val) -> Result<CowVal<'x, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(field) = field.downcast_ref::<CelString<'_>>() else {
            return Err(ExecutionError::no_such_key("field that is no string"));
        };
        let field = field.inner();
        let found = match self.root {
            Root::Glint => self.of_glint(field),
            Root::Event => self.of_event(field),
            Root::State => self.of_state(field),
        };
        found.ok_or_else(|| ExecutionError::no_such_key(field))
    }

    fn steal<'v>(self: Box<Self>, field: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(field).map(CowVal::into_owned)
    }
}

impl<'b, 'a> View<'b, 'a> {
    fn of_glint<'x, 'v>(&'x self, field: &str) -> Option<CowVal<'x, 'v>>
    where
        Self: 'v,
    {
        let borrowed = |found: &'b Option<Box<dyn Val + 'a>>| {
            found
                .as_ref()
                .map(|value| CowVal::Borrowed(value.as_ref() as &dyn Val))
        };
        match field {
            "source" | "module" => self.of_event("source"),
            "id" | "phase" | "data" => self.of_event(field),
            "content" => borrowed(&self.facts.payload().content),
            "toneform" => borrowed(&self.facts.payload().toneform),
            "type" => borrowed(&self.facts.payload().kind),
            _ => None,
        }
    }

    fn of_event<'x, 'v>(&'x self, field: &str) -> Option<CowVal<'x, 'v>>
    where
        Self: 'v,
    {
        let event: &'a Event = self.facts.event;
        let word = |word: &'a Option<Box<str>>| {
            word.as_deref()
                .map(|word| CowVal::owned(CelString::from(word)))
        };
        match field {
            "name" => Some(CowVal::owned(CelString::from(event.name.as_str()))),
            "topic" => Some(CowVal::owned(CelString::from(event.topic().as_str()))),
            "cursor" => Some(CowVal::owned(CelString::from(event.offset.to_string()))),
            "seq" => Some(CowVal::owned(CelInt::from(
                i64::try_from(event.offset.seq).unwrap_or(i64::MAX),
            ))),
            "time" => Some(CowVal::owned(CelString::from(event.stamp.to_string()))),
            "id" => word(&event.id),
            "source" => word(&event.source),
            "phase" => word(&event.phase),
            "data" => Some(CowVal::Borrowed(self.facts.payload().data.as_ref())),
            _ => None,
        }
    }

    fn of_state<'x, 'v>(&'x self, field: &str) -> Option<CowVal<'x, 'v>>
    where
        Self: 'v,
    {
        let state = self.facts.state?;
        Some(match field {
            "phase" => CowVal::owned(CelString::from(state.phase.as_str())),
            "climate" => CowVal::owned(CelString::from(state.climate.as_str())),
            "progress" => CowVal::owned(CelDouble::from(state.progress)),
            "usage" => CowVal::owned(CelDouble::from(state.usage)),
            _ => return None,
        })
    }
}
