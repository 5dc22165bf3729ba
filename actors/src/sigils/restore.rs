//! The state at a start: what the vault has, and what the log has beyond that.

use std::sync::Arc;

use glint::json;
use glint::{Event, Name};
use ledger::LedgerError;
use registry::state::RestoreError;
use registry::{Hit, Mode, Quota, Registry, Seal};
use thiserror::Error;

use super::keep::Head;
use super::record::{Batch, Reader};
use crate::puller::{Pull, Puller};
use crate::tail::Tail;
use crate::vault::VaultError;

/// Events that are read at once.
const PAGE: usize = 1000;

/// Why the registry cannot be served: better none than a wrong one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreFault {
    /// The vault cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What it counts cannot be registered.
    #[error("the metrics of the registry cannot be registered: {0}")]
    Metrics(String),
    /// The head of the kept state cannot be read.
    #[error("the kept state of the registry has an unreadable head; {REMEDY}")]
    Head,
    /// A blob cannot be read.
    #[error("the kept state of the registry is damaged at {0}; {REMEDY}")]
    Blob(String),
    /// An entry is none.
    #[error("{0}; {REMEDY}")]
    Entry(#[from] RestoreError),
    /// The state is not the one that was acknowledged.
    #[error("the state of the registry after batch {batch} does not add up; {REMEDY}")]
    Sum {
        /// The last batch in it.
        batch: u64,
    },
    /// A record cannot be read.
    #[error("event {seq} of the log is no batch of the registry: {reason}; {REMEDY}")]
    Record {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Batches are missing.
    #[error("batch {expected} of the registry is missing, the log goes on with {found}; {REMEDY}")]
    Missing {
        /// The next one after what is kept.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
}

const REMEDY: &str =
    "put a copy of the data directory in its place, or move vault.redb away if the log is whole";

/// The state at a start.
#[derive(Debug)]
pub(super) struct Restored {
    /// The registry.
    pub(super) registry: Registry,
    /// The last event that is in it.
    pub(super) after: u64,
    /// The last batch that is in it.
    pub(super) batch: u64,
    /// The seal that was announced last.
    pub(super) announced: Option<Seal>,
    /// Whether anything came from the log, beyond the vault.
    pub(super) replayed: bool,
    /// Whether every batch was merged with closure.
    pub(super) closed: bool,
}

impl Restored {
    pub(super) fn new(registry: Registry, head: &Head) -> Restored {
        Restored {
            after: head.after,
            batch: head.batch,
            announced: head.announced,
            closed: registry.is_empty() || registry.rules().1 == Mode::Closure,
            registry,
            replayed: false,
        }
    }

    /// Reads on in the log.
    pub(super) fn replay(&mut self, tail: &Tail) -> Result<(), RestoreFault> {
        let head = tail.head().seq;
        // A log that lost what was not synced: what it has next comes after all that is kept.
        self.after = self.after.min(head);
        let mut puller = Puller::new(tail.clone(), self.after);
        let mut reader = Reader::default();
        loop {
            match puller.pull(PAGE)? {
                Pull::Events(events) => {
                    for event in events {
                        self.take(&event, &mut reader)?;
                    }
                }
                // Whether a batch was among them shows when the next one comes.
                Pull::Gone { from, to } => {
                    tracing::warn!(from, to, "the registry passes over events that are gone")
                }
                Pull::Head => break,
            }
        }
        self.after = puller.position();
        Ok(())
    }

    fn take(&mut self, event: &Arc<Event>, reader: &mut Reader) -> Result<(), RestoreFault> {
        let seq = event.offset.seq;
        match event.name {
            Name::SigilBatch => {
                let read = reader
                    .read(&event.text)
                    .map_err(|reason| RestoreFault::Record { seq, reason })?;
                read.map_or(Ok(()), |batch| self.merge(batch))
            }
            Name::SealUpdate => {
                let value = json::parse(&event.text).ok();
                let after = value
                    .as_ref()
                    .and_then(|value| value.get("after")?.as_str()?.parse().ok());
                self.announced = after.or(self.announced);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn merge(&mut self, batch: Batch) -> Result<(), RestoreFault> {
        // A vault that was moved away has the log start anywhere; it must start with the first batch.
        if batch.number != self.batch + 1 {
            return Err(RestoreFault::Missing {
                expected: self.batch + 1,
                found: batch.number,
            });
        }
        self.batch = batch.number;
        self.replayed = true;
        self.closed &= batch.mode == Mode::Closure;
        self.registry.set_rules(batch.base, batch.mode);
        let (base, _) = self.registry.rules();
        let hits: Vec<Hit> = batch
            .urls
            .iter()
            .filter_map(|url| Hit::of_key(url, base))
            .collect();
        let wrong = RestoreFault::Sum {
            batch: batch.number,
        };
        let Ok(delta) = self.registry.merge(hits, &Quota::NONE) else {
            return Err(wrong);
        };
        self.registry.apply(&delta);
        if self.registry.sum() == batch.sum {
            Ok(())
        } else {
            Err(wrong)
        }
    }
}
