//! Compiled views: which events a subscriber asked for.
//!
//! A [`View`] is parsed once per distinct request, compared by value so that equal requests share one, and evaluated
//! once per event and view, at a bounded cost.
//!
//! Layout:
//! - [`View`]: topics, modules, phases, event names, an expression.
//! - [`filter`]: expressions in CEL.
//! - [`Glob`]: `*` and `?` over text.

pub mod filter;
mod glob;

use glint::event::{Event, Name, Topic, Topics};
use glint::refusal::Refusal;

pub use filter::Filter;
pub use glob::Glob;

/// Most patterns in one parameter.
pub const MAX_PATTERNS: usize = 32;
/// Longest pattern in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// What was asked for, as text: comma-separated lists, `None` where nothing was said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// Topic names; nothing said means those with [`Topic::is_default`]. `state` brings the heartbeat along, as it is
    /// the state once a second.
    pub topics: Option<&'a str>,
    /// Globs over the source of an event.
    pub module: Option<&'a str>,
    /// Globs over the phase of an event, ASCII case ignored: real agents send `hold` and `Hold`.
    pub phase: Option<&'a str>,
    /// Event names.
    pub event: Option<&'a str>,
    /// An expression, see [`filter`].
    pub filter: Option<&'a str>,
}

/// A compiled view. Every condition that was given must hold; an event without the attribute does not match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    topics: Topics,
    modules: Vec<Glob>,
    phases: Vec<Glob>,
    names: Vec<Name>,
    filter: Option<Filter>,
}

impl View {
    /// Compiles what was asked for.
    ///
    /// # Errors
    /// Names the parameter, the word in it, and the words that are known.
    pub fn compile(ask: &Ask<'_>) -> Result<View, Refusal> {
        Ok(View {
            topics: topics(ask.topics)?,
            modules: globs(ask.module, "module", Glob::new)?,
            phases: globs(ask.phase, "phase", Glob::ignoring_case)?,
            names: names(ask.event)?,
            filter: filter(ask.filter)?,
        })
    }

    /// Returns the view of whoever asks for nothing in particular.
    #[must_use]
    pub fn everything() -> View {
        View {
            topics: by_default(),
            modules: Vec::new(),
            phases: Vec::new(),
            names: Vec::new(),
            filter: None,
        }
    }

    /// Tells whether the view is made of whole topics, with no condition within them.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.modules.is_empty()
            && self.phases.is_empty()
            && self.names.is_empty()
            && self.filter.is_none()
    }

    /// Returns the topics of which something may match.
    pub fn topics(&self) -> impl Iterator<Item = Topic> {
        Topic::ALL
            .into_iter()
            .filter(|topic| self.topics.contains(*topic))
    }

    /// Tells whether `event` was asked for.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.topics.contains(event.topic())
            && (self.names.is_empty() || self.names.contains(&event.name))
            && any(&self.modules, event.source.as_deref())
            && any(&self.phases, event.phase.as_deref())
            && self.passes(event)
    }

    fn passes(&self, event: &Event) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        filter.matches(&filter::Facts::new(event, None))
    }
}

/// Nothing but white space asks for nothing, as an empty parameter does.
fn filter(text: Option<&str>) -> Result<Option<Filter>, Refusal> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    Filter::compile(text, filter::Scope::Stream).map(Some)
}

fn any(globs: &[Glob], text: Option<&str>) -> bool {
    globs.is_empty() || text.is_some_and(|text| globs.iter().any(|glob| glob.matches(text)))
}

/// The words of a comma-separated list, checked against the limits.
fn words<'a>(list: Option<&'a str>, parameter: &'static str) -> Result<Vec<&'a str>, Refusal> {
    let words: Vec<&str> = list
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() > MAX_PATTERNS {
        let detail = format!(
            "{parameter} lists {} words, the limit is {MAX_PATTERNS}",
            words.len()
        );
        return Err(Refusal::invalid("view_too_wide", detail).on(parameter));
    }
    if let Some(word) = words.iter().find(|word| word.len() > MAX_PATTERN_BYTES) {
        let detail = format!(
            "a word of {parameter} has {} bytes, the limit is {MAX_PATTERN_BYTES}",
            word.len()
        );
        return Err(Refusal::invalid("view_too_wide", detail).on(parameter));
    }
    Ok(words)
}

fn unknown(parameter: &'static str, word: &str, known: &[&str]) -> Refusal {
    let detail = format!(
        "{parameter} has no {word:?}; one or more of: {}",
        known.join(", ")
    );
    Refusal::invalid("view_unknown_word", detail).on(parameter)
}

fn by_default() -> Topics {
    let chosen = Topic::ALL.into_iter().filter(|topic| topic.is_default());
    chosen.collect()
}

fn topics(list: Option<&str>) -> Result<Topics, Refusal> {
    let words = words(list, "topics")?;
    let public = || Topic::ALL.into_iter().filter(|topic| topic.is_public());
    if words.is_empty() {
        return Ok(by_default());
    }
    let mut chosen = Topics::default();
    for word in words {
        let Some(topic) = public().find(|topic| topic.as_str() == word) else {
            let known: Vec<&str> = public().map(Topic::as_str).collect();
            return Err(unknown("topics", word, &known));
        };
        chosen.insert(topic);
        if topic == Topic::State {
            chosen.insert(Topic::Heartbeat);
        }
    }
    Ok(chosen)
}

fn names(list: Option<&str>) -> Result<Vec<Name>, Refusal> {
    let find = |word: &str| Name::ALL.into_iter().find(|name| name.as_str() == word);
    let find =
        |word| find(word).ok_or_else(|| unknown("event", word, &Name::ALL.map(Name::as_str)));
    words(list, "event")?.into_iter().map(find).collect()
}

fn globs(
    list: Option<&str>,
    parameter: &'static str,
    make: fn(&str) -> Glob,
) -> Result<Vec<Glob>, Refusal> {
    Ok(words(list, parameter)?.into_iter().map(make).collect())
}

#[cfg(test)]
mod tests {
    use glint::offset::Offset;
    use glint::stamp::Stamp;

    use super::*;

    fn event(name: Name, source: Option<&str>, phase: Option<&str>) -> Event {
        Event {
            name,
            offset: Offset { epoch: 1, seq: 1 },
            topic_seq: 1,
            stamp: Stamp(0),
            id: None,
            repeats_id: false,
            source: source.map(Into::into),
            phase: phase.map(Into::into),
            text: "{}".into(),
        }
    }

    fn view(ask: Ask<'_>) -> View {
        View::compile(&ask).expect("a good view")
    }

    #[test]
    fn nothing_asked_is_everything() {
        let all = view(Ask::default());
        assert_eq!(all, View::everything());
        assert!(all.is_whole());
        for name in Name::ALL {
            let matches = all.matches(&event(name, None, None));
            assert_eq!(matches, name.topic().is_default(), "{name}");
        }
    }

    #[test]
    fn topics_choose_streams_and_state_brings_the_heartbeat() {
        let glints = view(Ask {
            topics: Some(" glints ,"),
            ..Ask::default()
        });
        assert!(glints.is_whole());
        assert!(glints.matches(&event(Name::GlintEmission, None, None)));
        assert!(!glints.matches(&event(Name::Heartbeat, None, None)));
        let state = view(Ask {
            topics: Some("state"),
            ..Ask::default()
        });
        assert_eq!(
            state.topics().collect::<Vec<_>>(),
            [Topic::State, Topic::Heartbeat]
        );
    }

    #[test]
    fn the_records_of_the_house_are_shown_to_nobody() {
        let err = View::compile(&Ask {
            topics: Some("house"),
            ..Ask::default()
        });
        assert_eq!(err.unwrap_err().code, "view_unknown_word");
        assert!(
            View::everything()
                .topics()
                .all(|topic| topic != Topic::House)
        );
    }

    #[test]
    fn every_condition_must_hold() {
        let narrow = view(Ask {
            module: Some("spiral.*,x"),
            phase: Some("hold*"),
            ..Ask::default()
        });
        let glint = |source, phase| event(Name::GlintEmission, source, phase);
        assert!(!narrow.is_whole());
        assert!(narrow.matches(&glint(Some("spiral.linter"), Some("Hold.recognition"))));
        assert!(narrow.matches(&glint(Some("x"), Some("hold"))));
        assert!(
            !narrow.matches(&glint(Some("Spiral.linter"), Some("hold"))),
            "modules keep their case"
        );
        assert!(!narrow.matches(&glint(Some("x"), Some("inhale"))));
        assert!(!narrow.matches(&glint(Some("x"), None)));
        assert!(!narrow.matches(&glint(None, Some("hold"))));
        let named = view(Ask {
            event: Some("phase_update"),
            ..Ask::default()
        });
        assert!(named.matches(&event(Name::PhaseUpdate, None, None)));
        assert!(!named.matches(&glint(None, None)));
    }

    #[test]
    fn an_expression_narrows_a_view() {
        let narrow = view(Ask {
            topics: Some("glints"),
            filter: Some(r#" glint.source.startsWith("spiral.") "#),
            ..Ask::default()
        });
        assert!(!narrow.is_whole());
        let glint = |source| event(Name::GlintEmission, Some(source), None);
        assert!(narrow.matches(&glint("spiral.linter")));
        assert!(!narrow.matches(&glint("agent.seven")));
        let empty = view(Ask {
            filter: Some(" "),
            ..Ask::default()
        });
        assert_eq!(empty, View::everything());
    }

    #[test]
    fn unknown_words_are_refused_by_name() {
        let err = View::compile(&Ask {
            topics: Some("glint"),
            ..Ask::default()
        })
        .unwrap_err();
        assert_eq!(
            (err.code, err.field.as_deref()),
            ("view_unknown_word", Some("topics"))
        );
        assert!(
            err.detail.contains("\"glint\"") && err.detail.contains("glints, state"),
            "{err}"
        );
        let err = View::compile(&Ask {
            event: Some("nope"),
            ..Ask::default()
        })
        .unwrap_err();
        assert_eq!(err.field.as_deref(), Some("event"));
    }

    #[test]
    fn the_width_of_a_view_is_bounded() {
        let many = vec!["a"; MAX_PATTERNS + 1].join(",");
        assert_eq!(
            View::compile(&Ask {
                module: Some(&many),
                ..Ask::default()
            })
            .unwrap_err()
            .code,
            "view_too_wide"
        );
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert_eq!(
            View::compile(&Ask {
                phase: Some(&long),
                ..Ask::default()
            })
            .unwrap_err()
            .code,
            "view_too_wide"
        );
    }
}
