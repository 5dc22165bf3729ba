//! What leaves the broker: calls, commands, files.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Something to be done outside. Texts are filled in.
#[derive(Debug, Clone)]
pub enum Job {
    /// POSTs `body` to `url`, signed.
    Webhook {
        /// The address.
        url: String,
        /// JSON.
        body: String,
    },
    /// Runs an executable.
    Command {
        /// Its file name in the directory for commands.
        program: String,
        /// Its arguments.
        args: Vec<String>,
        /// What stands in its environment.
        environment: Vec<(&'static str, String)>,
    },
    /// Writes lines to a file.
    Archive {
        /// Its file name in the directory for archives.
        name: String,
        /// One event a line.
        lines: Vec<String>,
    },
}

/// How a job is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// The job.
    pub job: Job,
    /// The effect key: the same for every attempt.
    pub key: String,
    /// How long it may take.
    pub timeout: Duration,
}

/// What came of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Whether it went well.
    pub ok: bool,
    /// Whether another attempt may go better.
    pub retry: bool,
    /// Exit code or HTTP status, if there was one.
    pub status: Option<i32>,
    /// What it said last, cut to a limit.
    pub output: String,
    /// What went wrong, or nothing.
    pub reason: String,
}

impl Done {
    /// It went well and said this.
    #[must_use]
    pub fn well(output: impl Into<String>) -> Done {
        Done {
            ok: true,
            output: output.into(),
            ..Done::default()
        }
    }

    /// It cannot go well however often it is tried.
    #[must_use]
    pub fn never(reason: impl fmt::Display) -> Done {
        Done {
            reason: reason.to_string(),
            ..Done::default()
        }
    }

    /// It failed and may go better later.
    #[must_use]
    pub fn failed(reason: impl fmt::Display) -> Done {
        Done {
            retry: true,
            reason: reason.to_string(),
            ..Done::default()
        }
    }
}

/// A job under way.
pub type Doing = Pin<Box<dyn Future<Output = Done>>>;

/// Who does it. Never longer than the order's timeout, and whatever it started is gone then.
pub trait Hands: fmt::Debug + Send + Sync {
    /// Does one attempt.
    fn attempt(&self, order: Order) -> Doing;
}
