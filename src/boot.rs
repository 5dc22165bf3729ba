//! Placeholder.

use crate::config::Settings;

/// Runs the broker until it is told to stop and returns the exit code.
///
/// # Errors
/// When the broker cannot start.
pub fn run(_settings: Settings) -> anyhow::Result<u8> {
    anyhow::bail!("the broker is not part of this build")
}
