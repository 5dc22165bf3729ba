//! Settings of administration, and how a secret is kept out of sight.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Keys whose values are never shown.
pub(super) const SECRETS: &[&str] = &["admin.token", "postgres.password", "rituals.webhook_secret"];
/// What is shown instead.
pub(super) const HIDDEN: &str = "\"(hidden)\"";

/// Settings of administration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// What administrators send; none closes administration to all but this machine.
    pub token: Secret,
    /// Whether requests from this machine need no token.
    pub open_on_loopback: bool,
}

/// A text that is never shown: not by `{:?}`, not in logs. Empty is none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Returns the text, if there is one.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}

/// The value of `key` as it may be shown.
pub(super) fn shown(key: &str, value: String) -> String {
    if SECRETS.contains(&key) && value != "\"\"" && !value.is_empty() {
        return HIDDEN.to_owned();
    }
    value
}
