//! What the broker says when it does not take something.

use std::fmt;

use thiserror::Error;

/// The kind of a refusal; the edge turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The sender must change what it sends.
    Invalid,
    /// Sent in a form that is not read here.
    Unsupported,
    /// Sent too slowly.
    Late,
    /// Over a limit that stays.
    TooLarge,
    /// At odds with what was taken before.
    Conflict,
    /// Something else is there already under the same name.
    Taken,
    /// Nobody says who sends it, or not so that it can be believed.
    Unauthorised,
    /// It is known who sends it, and that is not allowed.
    Forbidden,
    /// There is nothing of that name.
    NotFound,
    /// Too much at once: come back later.
    Busy,
    /// The broker is full or leaving: go elsewhere or come back later.
    Unavailable,
    /// What is asked for was here and is no more.
    Gone,
    /// Our fault.
    Internal,
}

/// A refusal: what is wrong, with which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Its kind.
    pub kind: RefusalKind,
    /// A stable token for programs, such as `glint_not_object`.
    pub code: &'static str,
    /// A sentence for people that says what to do. Never carries internals or secrets.
    pub detail: String,
    /// The field, parameter or header at fault, if one is.
    pub field: Option<String>,
    /// Seconds after which trying again makes sense.
    pub retry_after_seconds: Option<u32>,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(kind: RefusalKind, code: &'static str, detail: impl fmt::Display) -> Refusal {
        Refusal {
            kind,
            code,
            detail: detail.to_string(),
            field: None,
            retry_after_seconds: None,
        }
    }

    /// Makes a refusal of kind [`RefusalKind::Invalid`].
    pub fn invalid(code: &'static str, detail: impl fmt::Display) -> Refusal {
        Refusal::new(RefusalKind::Invalid, code, detail)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn on(mut self, field: impl Into<String>) -> Refusal {
        self.field = Some(field.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Refusal {
        self.retry_after_seconds = Some(seconds);
        self
    }
}
