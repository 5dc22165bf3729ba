//! What a rule is.

use std::sync::Arc;

use glint::{Climate, Phase};
use sieve::{Filter, Glob};

/// Rules, in the order of their file. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Arc<Rule>>,
    /// The text that they were read from.
    pub text: Arc<str>,
}

/// When something is done, what, and within which limits.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: letters, digits, `-`, `_` and `.`; unique in its file.
    pub name: Box<str>,
    /// The first 16 hexadecimal digits of a SHA-256 over everything that the rule says: another text, another version.
    pub version: Box<str>,
    /// What people read of it.
    pub description: Box<str>,
    /// A sign that dashboards show.
    pub glyph: Box<str>,
    /// Whether it is at work.
    pub enabled: bool,
    /// How loud it is; urgent ones run first.
    pub priority: Priority,
    /// What it waits for.
    pub trigger: Trigger,
    /// What must be true as well.
    pub filter: Option<Filter>,
    /// What is done, one after the other.
    pub actions: Vec<Action>,
    /// How long it rests after it fired.
    pub cooldown_micros: i64,
    /// For how long the same thing does not fire it again.
    pub dedupe_micros: i64,
    /// How many of its runs may go on at once.
    pub concurrency: usize,
    /// How long one action may take.
    pub timeout_ms: u64,
    /// How often an action that failed is tried again, and after how long.
    pub retry: Retry,
}

/// How loud a rule is, from quiet to loud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Background.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// Soon.
    High,
    /// First.
    Critical,
}

impl Priority {
    /// All priorities, from quiet to loud.
    pub const ALL: [Priority; 4] = [
        Priority::Low,
        Priority::Medium,
        Priority::High,
        Priority::Critical,
    ];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }
}

/// How an action that failed is tried again: after `backoff_ms`, doubled each time, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries beyond the first.
    pub times: u32,
    /// The wait before the first of them, in milliseconds.
    pub backoff_ms: u64,
}

/// What a rule waits for.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// A glint whose source and phase fit; no globs fit all.
    Glint {
        /// Globs over the source.
        modules: Vec<Glob>,
        /// Globs over the phase, upper and lower case alike.
        phases: Vec<Glob>,
    },
    /// The breath comes to a phase; `None` is any.
    PhaseEnters(Option<Phase>),
    /// The breath goes from a phase; `None` is any.
    PhaseLeaves(Option<Phase>),
    /// The climate becomes another; `None` is any.
    ClimateBecomes(Option<Climate>),
    /// Usage crosses a bound.
    Usage(Crossing),
    /// The seal of the registry changed.
    SealChanged,
    /// Every so often, in a phase or in all.
    Schedule {
        /// The distance of two firings.
        every_micros: i64,
        /// In which phase.
        phase: Option<Phase>,
    },
}

/// How usage crosses a bound, with a band in which it may waver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    /// Rises above `bound`; again only once it fell to `release` or below.
    Above {
        /// The bound, exclusive.
        bound: f64,
        /// Where the rule is armed again.
        release: f64,
    },
    /// Falls below `bound`; again only once it rose to `release` or above.
    Below {
        /// The bound, exclusive.
        bound: f64,
        /// Where the rule is armed again.
        release: f64,
    },
    /// Reaches `bound` from below, or falls below it again.
    Either {
        /// The bound; reaching it is being above.
        bound: f64,
    },
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Posts a glint.
    Emit(Emit),
    /// Calls an address with the trigger as JSON, signed.
    Webhook {
        /// The address.
        url: Box<str>,
    },
    /// Runs an executable of the directory that the settings allow.
    Command {
        /// Its file name.
        program: Box<str>,
        /// Its arguments, with placeholders.
        args: Vec<Box<str>>,
    },
    /// Refuses glints of some sources for a while.
    Throttle {
        /// A glob over the source.
        module: Box<str>,
        /// For how long.
        seconds: u64,
    },
    /// Changes the state.
    Set {
        /// The climate from now on.
        climate: Option<Climate>,
        /// The message of a caesura.
        caesura: Option<Box<str>>,
        /// For how many milliseconds streams gather what comes before they send it, for the rest of the phase.
        quiet_ms: Option<u64>,
    },
    /// Writes the events before the trigger to a file.
    Archive {
        /// How many of them at most.
        last: u64,
    },
}

impl Action {
    /// Returns the word for it in a rule.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Emit(_) => "emit",
            Action::Webhook { .. } => "webhook",
            Action::Command { .. } => "command",
            Action::Throttle { .. } => "throttle",
            Action::Set { .. } => "set",
            Action::Archive { .. } => "archive",
        }
    }
}

/// A glint to be posted, with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct Emit {
    /// Who it says it is from.
    pub source: Box<str>,
    /// What it says.
    pub content: Box<str>,
    /// Its phase; that of the breath when nothing is said.
    pub phase: Option<Box<str>>,
    /// Its toneform.
    pub toneform: Option<Box<str>>,
}
