//! What is said about a setting that cannot stand.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Values longer than this many characters are shown cut, so that one bad value does not hide the other problems.
const SHOWN_CHARS: usize = 80;

/// Where a value came from. Later layers win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The defaults built into the program.
    Default,
    /// The file of `--config`.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

/// One setting that cannot stand, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problem {
    /// Where the value came from.
    pub layer: Layer,
    /// The key, such as `edge.listen`; empty when the layer as a whole cannot be read.
    pub key: String,
    /// The value as it was given; empty when the layer as a whole cannot be read.
    pub value: String,
    /// What to do.
    pub remedy: String,
}

/// All settings that cannot stand. Prints one per line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub(super) fn new(
        layer: Layer,
        key: impl Into<String>,
        value: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem {
            layer,
            key: key.into(),
            value: value.into(),
            remedy: remedy.into(),
        }
    }
}

impl Problems {
    pub(super) fn one(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Default => f.write_str("default"),
            Layer::File(path) => write!(f, "file {}", path.display()),
            Layer::Environment(name) => write!(f, "environment {name}"),
            Layer::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "{}: {}", self.layer, self.remedy);
        }
        write!(f, "{}: {}", self.layer, self.key)?;
        if !self.value.is_empty() {
            let shown: String = self.value.chars().take(SHOWN_CHARS).collect();
            let cut = if shown.len() < self.value.len() {
                "…"
            } else {
                ""
            };
            write!(f, " = {shown}{cut}")?;
        }
        write!(f, ": {}", self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
