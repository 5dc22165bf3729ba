//! Expressions over events: CEL, compiled once, with a price that is known before anything is evaluated.
//!
//! | name | is |
//! | --- | --- |
//! | `glint` | `id`, `source`, `module` (the same), `phase`, `content`, `toneform`, `type`, and `data`, the payload as posted; absent from other events |
//! | `event` | `name`, `topic`, `cursor`, `seq`, `time` (RFC 3339, UTC), `id`, `source`, `phase`, and `data` |
//! | `state` | `phase`, `progress`, `usage`, `climate`; for rules only, as a replay has no state of its own |
//!
//! What an event does not have is absent: `has(glint.content)` tells. An expression that asks for it all the same, or
//! compares what cannot be compared, does not match.

mod facts;
mod text;
mod walk;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use cel::extractors::This;
use cel::{Context, Env, ExecutionError, Value};
use glint::refusal::Refusal;

pub use facts::{Facts, Size};
pub use walk::Demand;

/// Longest expression in bytes.
pub const MAX_FILTER_BYTES: usize = 2048;
/// Most words and signs of an expression. Reading and evaluating take some stack for each.
pub const MAX_WORDS: usize = 160;
/// Most parts of an expression once it is read: macros such as `exists` make several.
pub const MAX_PARTS: u32 = 400;
/// Deepest nesting of brackets and calls.
pub const MAX_DEPTH: u16 = 24;
/// Most steps that one evaluation may take. A step is one part looked at once, on up to a KiB of text.
pub const MAX_STEPS: u64 = 1_000_000;

/// What an expression may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `glint` and `event`: the same for everybody, live and in a replay.
    Stream,
    /// `state` too.
    Rule,
}

/// A compiled expression. Cloning shares it; two are equal when their text is.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Inner>,
}

struct Inner {
    text: Box<str>,
    program: cel::IdedExpr,
    weight: walk::Weight,
    demand: Demand,
    patterns: Option<walk::Patterns>,
}

/// Why an expression gave no answer for an event. It then does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The event does not have what is asked for.
    Missing(String),
    /// Something is compared or called that cannot be.
    Mistyped(String),
    /// It would take more than [`MAX_STEPS`] on this event.
    Dear {
        /// The steps it would take at worst.
        steps: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing(what) => write!(f, "the event has no {what}"),
            Fault::Mistyped(what) => f.write_str(what),
            Fault::Dear { steps } => write!(
                f,
                "it could take {steps} steps on this event, the limit is {MAX_STEPS}"
            ),
        }
    }
}

impl Filter {
    /// Compiles an expression that is true or false.
    ///
    /// # Errors
    /// `filter_malformed` with the column at fault, `filter_unknown_word`, `filter_not_boolean`, or `filter_too_large`.
    pub fn compile(text: &str, scope: Scope) -> Result<Filter, Refusal> {
        if text.len() > MAX_FILTER_BYTES {
            let detail = format!(
                "the expression has {} bytes, the limit is {MAX_FILTER_BYTES}",
                text.len()
            );
            return Err(refusal("filter_too_large", detail));
        }
        text::limit(text)?;
        let parser = cel::parser::Parser::new()
            .max_recursion_depth(MAX_DEPTH)
            .error_recovery_limit(1);
        let program = parser
            .parse(text)
            .map_err(|errors| refusal("filter_malformed", text::parse_error(&errors)))?;
        let found = walk::check(&program, scope)?;
        Ok(Filter {
            inner: Arc::new(Inner {
                text: text.into(),
                program,
                weight: found.weight,
                demand: found.demand,
                patterns: found.patterns,
            }),
        })
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.inner.text
    }

    /// Returns what an event must have for the expression to be true, as far as that can be read off it.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        &self.inner.demand
    }

    /// Tells whether the expression is true of an event.
    ///
    /// # Errors
    /// When it has no answer, see [`Fault`].
    pub fn test(&self, facts: &Facts<'_>) -> Result<bool, Fault> {
        let steps = self.inner.weight.steps(facts);
        if steps > MAX_STEPS {
            return Err(Fault::Dear { steps });
        }
        let mut context = Context::with_env(functions());
        if let Some(patterns) = &self.inner.patterns {
            add_matches(&mut context, patterns.clone());
        }
        context.set_variable_resolver(facts);
        match Value::resolve(&self.inner.program, &context).map_err(fault)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(Fault::Mistyped(format!(
                "the expression is a {}, not true or false",
                other.type_of()
            ))),
        }
    }

    /// Tells whether the expression is true of an event; what has no answer is not.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.test(facts).unwrap_or(false)
    }
}

/// The standard functions, made once: building them costs more than an evaluation.
fn functions() -> Arc<Env> {
    static FUNCTIONS: OnceLock<Arc<Env>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| Arc::new(Env::stdlib())).clone()
}

/// Puts `matches` in place, with patterns that are compiled already.
fn add_matches(context: &mut Context<'_, '_>, patterns: walk::Patterns) {
    let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        patterns
            .get(pattern.as_str())
            .is_some_and(|pattern| pattern.is_match(&text))
    };
    // The name is free: the interpreter is built without patterns of its own.
    let added = context.add_function("matches", matches);
    debug_assert!(added.is_ok(), "matches is declared elsewhere");
}

fn fault(err: ExecutionError) -> Fault {
    match err {
        ExecutionError::NoSuchKey(key) => Fault::Missing(text::cut(&key)),
        ExecutionError::UndeclaredReference(name) => Fault::Missing(text::cut(&name)),
        // Other errors carry values, which can be as large as the event.
        ExecutionError::NoSuchOverload(overload) => {
            Fault::Mistyped(text::cut(&overload.to_string()))
        }
        ExecutionError::IndexOutOfBounds(_) => Fault::Missing("such place in a list".into()),
        other => Fault::Mistyped(text::cut(&other.to_string())),
    }
}

fn refusal(code: &'static str, detail: impl fmt::Display) -> Refusal {
    Refusal::invalid(code, detail).on("filter")
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.inner.text).finish()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.inner.text == other.inner.text
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.text.hash(state);
    }
}

#[cfg(test)]
mod tests;
