//! What is taken out of `data` before anything is kept: rules, and the writer that follows them.
//!
//! The writer is given nothing but `data`, so nothing else can change. It writes the canonical form of what is left in
//! one pass; there is no tree to forget something in.

mod path;
mod text;

use glint::hex::Hex;

use crate::canon::{write, write_string};
use crate::fault::{Code, Fault};
use crate::seal::PrivateKey;
use crate::tape::{Kind, Value};
use crate::trace::Component;
use crate::vocab::{EventKind, Level};

pub use self::path::{Path, SEGMENTS_MAX};

/// Most rules.
pub const RULES_MAX: usize = 256;

/// What stands where something was masked.
const MASK: &str = "[masked]";

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A keyed hash stands in its place: equal values can be told to be equal, and no more.
    Hash,
    /// `"[masked]"` stands in its place.
    Mask,
    /// It is gone.
    Drop,
}

impl Action {
    /// The words for them.
    pub const WORDS: &[&str] = &["drop", "mask", "hash"];

    /// Returns the one that a word names.
    #[must_use]
    pub fn of(word: &str) -> Option<Action> {
        match word {
            "drop" => Some(Action::Drop),
            "mask" => Some(Action::Mask),
            "hash" => Some(Action::Hash),
            _ => None,
        }
    }
}

/// One rule: at these levels, in these events, this happens to what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where, within `data`.
    pub path: Path,
    /// At which levels; none means at all of them.
    pub levels: Vec<Level>,
    /// In which kinds of events; none means in all of them.
    pub events: Vec<EventKind>,
    /// What happens.
    pub action: Action,
}

/// Rules that were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// Members of `data` that rows are made of: rules pass over them, and one that names them is refused.
fn is_protected(event: EventKind, name: &str) -> bool {
    const CALL: [&str; 6] = [
        "duration_ms",
        "handler_name",
        "parent_attempt_index",
        "parent_event_type",
        "service_name",
        "status",
    ];
    name == "attempt_index" || (event == EventKind::LlmCall && CALL.contains(&name))
}

impl Rules {
    /// Takes rules.
    ///
    /// # Errors
    /// [`Code::InvalidRule`] for more than [`RULES_MAX`], and for one that names what must stay.
    pub fn new(rules: Vec<Rule>) -> Result<Rules, Fault> {
        if rules.len() > RULES_MAX {
            let detail = format!("{} scrub rules, the limit is {RULES_MAX}", rules.len());
            return Err(Fault::new(Code::InvalidRule, detail));
        }
        for rule in &rules {
            let Some(name) = rule.path.only_name() else {
                continue;
            };
            let all = rule.events.is_empty();
            let events = if all { EventKind::ALL } else { &rule.events };
            // Where a rule is for all events, what must stay in some of them stays there.
            let stays = |event: &&EventKind| is_protected(**event, name);
            let forbidden = if all {
                events.iter().all(|event| is_protected(*event, name))
            } else {
                events.iter().any(|event| stays(&event))
            };
            if forbidden {
                let detail = format!("{name} cannot be scrubbed: rows are made of it");
                return Err(Fault::new(Code::InvalidRule, detail));
            }
        }
        Ok(Rules { rules })
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Tells whether something could change at a level.
    #[must_use]
    pub fn touch(&self, level: Level) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.levels.is_empty() || rule.levels.contains(&level))
    }
}

/// Writes the canonical form of what is left of a component's `data`; returns how many values were changed.
pub fn write_scrubbed(
    out: &mut String,
    component: &Component<'_>,
    level: Level,
    rules: &Rules,
    key: &PrivateKey,
) -> u32 {
    let event = component.event;
    let applies = |rule: &&Rule| {
        (rule.levels.is_empty() || rule.levels.contains(&level))
            && (rule.events.is_empty() || rule.events.contains(&event))
    };
    let mut scrubber = Scrubber {
        rules: rules.rules.iter().filter(applies).collect(),
        states: Vec::new(),
        key,
        event,
        changed: 0,
    };
    for place in 0..scrubber.rules.len() {
        scrubber.enter(place, 0, 0);
    }
    let end = scrubber.states.len();
    scrubber.write(out, component.data, 0..end, true);
    scrubber.changed
}

/// A rule whose path matched so far, and how far.
type State = (usize, usize);

struct Scrubber<'r> {
    rules: Vec<&'r Rule>,
    /// A stack: for each open array or object the states that its values are matched with.
    states: Vec<State>,
    key: &'r PrivateKey,
    event: EventKind,
    changed: u32,
}

impl Scrubber<'_> {
    /// Adds a state to those from `base` on, and those that it reaches without a step.
    fn enter(&mut self, rule: usize, segment: usize, base: usize) {
        if self.states[base..].contains(&(rule, segment)) {
            return;
        }
        self.states.push((rule, segment));
        if self.rules[rule].path.is_deep(segment) {
            self.enter(rule, segment + 1, base);
        }
    }

    /// Steps from the states of a container to those of one of its values; returns what happens to the value.
    fn step(&mut self, states: std::ops::Range<usize>, name: Option<&str>) -> Option<Action> {
        let base = self.states.len();
        let mut action = None;
        for place in states {
            let (rule, segment) = self.states[place];
            let path = &self.rules[rule].path;
            if path.is_deep(segment) {
                self.enter(rule, segment, base);
            } else if path.matches(segment, name) {
                if path.len() == segment + 1 {
                    action = action.max(Some(self.rules[rule].action));
                } else {
                    self.enter(rule, segment + 1, base);
                }
            }
        }
        action
    }

    fn write(
        &mut self,
        out: &mut String,
        value: Value<'_>,
        states: std::ops::Range<usize>,
        is_top: bool,
    ) {
        if states.is_empty() {
            return write(out, value);
        }
        match value.kind() {
            Kind::Object => {
                out.push('{');
                let empty = out.len();
                for (name, value) in value.members() {
                    let word = name.as_str().unwrap_or("");
                    if is_top && is_protected(self.event, word) {
                        separate(out, empty);
                        write(out, name);
                        out.push(':');
                        write(out, value);
                        continue;
                    }
                    self.one(out, empty, Some((name, word)), value, states.clone());
                }
                out.push('}');
            }
            Kind::Array => {
                out.push('[');
                let empty = out.len();
                for value in value.items() {
                    self.one(out, empty, None, value, states.clone());
                }
                out.push(']');
            }
            _ => write(out, value),
        }
    }

    fn one(
        &mut self,
        out: &mut String,
        empty: usize,
        name: Option<(Value<'_>, &str)>,
        value: Value<'_>,
        states: std::ops::Range<usize>,
    ) {
        let base = self.states.len();
        let action = self.step(states, name.map(|(_, word)| word));
        self.changed += u32::from(action.is_some());
        if action != Some(Action::Drop) {
            separate(out, empty);
            if let Some((name, _)) = name {
                write(out, name);
                out.push(':');
            }
            match action {
                None => {
                    let end = self.states.len();
                    self.write(out, value, base..end, false);
                }
                Some(Action::Hash) => {
                    let mut canonical = String::with_capacity(value.raw().len());
                    write(&mut canonical, value);
                    let hash = Hex(&self.key.keyed_hash(canonical.as_bytes())).to_string();
                    write_string(out, &format!("hmac-sha256:{hash}"));
                }
                Some(Action::Mask | Action::Drop) => write_string(out, MASK),
            }
        }
        self.states.truncate(base);
    }
}

fn separate(out: &mut String, empty: usize) {
    if out.len() > empty {
        out.push(',');
    }
}
