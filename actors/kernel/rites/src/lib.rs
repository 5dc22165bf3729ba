//! Ritual rules: what they are, how they are read, when they fire, and what they would have done.
//!
//! Pure: events come in with their stamps, firings come out. It is *not* the runner: nothing here acts, waits or reads a
//! clock, so that a rehearsal over recorded events decides exactly as the office did, or would have.
//!
//! Layout:
//! - [`rule`]: a rule, its trigger, its actions.
//! - [`mod@read`]: rules from TOML, with every problem at once.
//! - [`matcher`]: which rules an event fires, and which it does not, and why.
//! - [`template`]: texts with values filled in.
//! - [`rehearse`]: a matcher over recorded events.

pub mod matcher;
pub mod read;
pub mod rehearse;
pub mod rule;
pub mod template;

pub use matcher::{Firing, Matcher, Skip, SkipReason};
pub use read::{Problem, Problems, read};
pub use rule::{Action, Priority, Rule, Rules, Trigger};
