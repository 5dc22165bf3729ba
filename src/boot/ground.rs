//! What every office stands on.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};
use actors::clock::Clock;
use actors::emitter::Emitter;
use actors::mail::Post;
use actors::metrics::Metrics;
use actors::tail::Tail;
use actors::vault::{MemoryVault, SharedVault};
use actors::warden::Warden;
use prometheus::Registry;

use crate::config::Settings;
use crate::store::vault::FileVault;

/// What the offices share; each takes what it needs.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The time.
    pub clock: Clock,
    /// The past.
    pub tail: Tail,
    /// Who gives events their places.
    pub emitter: Post<Emitter>,
    /// What the cast counts.
    pub metrics: Metrics,
    /// Where offices register what they count themselves.
    pub registry: Registry,
    /// Who is told of the end of an office.
    pub warden: Warden,
    /// Small things that must be found again.
    pub vault: SharedVault,
    /// The directory for what outlives the process, if there is one.
    pub dir: Option<PathBuf>,
    /// The thread of offices that read on from a cursor and that nobody waits for: they may take milliseconds.
    pub study: ArbiterHandle,
}

/// Opens the vault: in the data directory, or in memory without one.
///
/// # Errors
/// When the disk refuses, or the file is no vault.
pub fn vault(settings: &Settings) -> anyhow::Result<SharedVault> {
    Ok(match &settings.data.dir {
        Some(dir) => Arc::new(FileVault::open(dir)?),
        None => Arc::new(MemoryVault::default()),
    })
}

/// Starts the thread of the study. It ends with the process.
#[must_use]
pub fn study() -> ArbiterHandle {
    Arbiter::new().handle()
}
