//! Settings of where traces are kept besides the log.

use serde::Deserialize;

use super::admin::Secret;

/// Settings of the store of traces in the data directory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesSettings {
    /// Whether there is one.
    pub store: TracesStore,
    /// Traces kept; 0 is everything.
    pub retain_traces: u64,
    /// Hours kept; 0 is everything.
    pub retain_hours: u64,
}

/// Where traces are kept besides the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TracesStore {
    /// In a file of the data directory, or in memory without one.
    Embedded,
    /// Nowhere.
    Off,
}

/// Settings of the database that gets every trace.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// Where it is; empty is nowhere. It holds no password.
    pub url: String,
    /// The password.
    pub password: Secret,
    /// The schema of the tables.
    pub schema: String,
    /// Most traces of a transaction.
    pub batch_traces: usize,
    /// How long it may take for a transaction.
    pub timeout_seconds: u64,
    /// The longest time between two attempts.
    pub retry_max_ms: u64,
}

/// Takes the address of a database, without a password.
pub(super) fn url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let example = "write for example postgresql://user@host:5432/database";
    let scheme = ["postgresql://", "postgres://"];
    let Some(rest) = scheme.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return Err(format!("must begin with postgresql://; {example}"));
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || rest.contains("password=") {
        return Err("must not hold a password; set postgres.password, best by GLINTCAST__POSTGRES__PASSWORD".to_owned());
    }
    Ok(())
}

/// Takes the name of a schema: it stands in statements, so only what needs no quotes.
pub(super) fn schema(text: &str) -> Result<(), String> {
    let mut bytes = text.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if first && rest && text.len() <= 63 {
        return Ok(());
    }
    Err("must be 1 to 63 of a-z, 0-9 and _, and not begin with a digit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_holds_a_password() {
        for good in [
            "",
            "postgresql://ann@db:5432/traces",
            "postgres://%2Frun%2Fpg/x",
        ] {
            assert_eq!(url(good), Ok(()), "{good}");
        }
        for bad in [
            "mysql://db/x",
            "postgresql://ann:secret@db/x",
            "postgresql://db/x?user=ann&password=secret",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_schema_needs_no_quotes() {
        assert_eq!(schema("glintcast_2"), Ok(()));
        for bad in ["", "2x", "a-b", "A", "a;drop"] {
            assert!(schema(bad).is_err(), "{bad}");
        }
    }
}
