//! What every office stands on.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};
use actors::clock::Clock;
use actors::emitter::Emitter;
use actors::mail::{Bells, Post};
use actors::metrics::Metrics;
use actors::porter::{Lodge, Porter};
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
    /// Who is rung when there is news.
    pub bells: Bells,
    /// Where offices work that read on from a cursor and that nobody waits for: they may take milliseconds.
    pub study: Study,
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

/// A thread of offices.
#[derive(Debug, Clone)]
pub struct Study {
    /// The thread. It ends with the process.
    pub thread: ArbiterHandle,
    /// Where they have themselves rung.
    pub lodge: Lodge,
}

impl Study {
    /// Starts the thread, and the porter who is rung with `bells` for events of `tail`.
    #[must_use]
    pub fn start(bells: &Bells, clock: &Clock, tail: &Tail, warden: &Warden) -> Study {
        let thread = thread();
        let tripwire = warden.tripwire("porter");
        let lodge = Porter::start_on(&thread, bells, clock.clone(), tail.clone(), tripwire);
        Study { thread, lodge }
    }
}

/// Starts a thread for offices. It ends with the process.
#[must_use]
pub fn thread() -> ArbiterHandle {
    Arbiter::new().handle()
}
