//! How many files the process may open: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beyond the streams: publishers, dashboards that poll, the log.
const SPARE: u64 = 1024;

/// Raises the limit to what `streams_max` streams need, as far as the system lets it, and says so when that is not enough.
pub(super) fn raise(streams_max: usize) {
    let wanted = streams_max as u64 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    let allowed = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if allowed(limit.current) >= wanted {
        return;
    }
    let possible = allowed(limit.maximum).min(wanted);
    let raised = Rlimit {
        current: Some(possible),
        maximum: limit.maximum,
    };
    if let Err(err) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%err, "the limit of open files cannot be raised");
    }
    let current = allowed(getrlimit(Resource::Nofile).current);
    if current < wanted {
        tracing::warn!(
            open_files = current,
            wanted,
            "this process may open fewer files than edge.streams_max needs; raise `ulimit -n`, or lower it to {}",
            current.saturating_sub(SPARE).max(1)
        );
    }
}
