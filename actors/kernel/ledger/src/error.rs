//! What can go wrong with a log, and what to do about it.

use std::io;

use thiserror::Error;

/// A failure of the log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The disk refused.
    #[error(
        "{action} of {file} failed: {source}; free space or replace the disk, then start again"
    )]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were good once are not any more.
    #[error(
        "{file} is damaged at byte {at}: {what}; records up to {last_good} are good. \
         Restore the file from a copy, or set data.damaged = \"quarantine\" to go on without it"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The byte.
        at: u64,
        /// What is wrong there.
        what: &'static str,
        /// The last record before the damage.
        last_good: u64,
    },
    /// Segments do not follow each other.
    #[error(
        "segment {file} begins with record {found}, expected {expected}; restore the segment that is missing"
    )]
    Hole {
        /// The segment after the hole.
        file: String,
        /// Its first record.
        found: u64,
        /// The record that should come first.
        expected: u64,
    },
    /// An earlier write or sync failed.
    #[error(
        "the log stopped after a failed write or sync; start the broker again to see what the disk has"
    )]
    Poisoned,
    /// A record that the format cannot hold.
    #[error("a record of {bytes} bytes is longer than {max}; send less at once")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A group without records.
    #[error("a group has at least one record")]
    EmptyGroup,
}

impl LedgerError {
    /// Returns a stable token.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            LedgerError::Disk { .. } => "ledger_disk",
            LedgerError::Damaged { .. } => "ledger_damaged",
            LedgerError::Hole { .. } => "ledger_hole",
            LedgerError::Poisoned => "ledger_poisoned",
            LedgerError::RecordTooLarge { .. } => "ledger_record_too_large",
            LedgerError::EmptyGroup => "ledger_empty_group",
        }
    }

    pub(crate) fn disk(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> LedgerError {
        let file = file.to_owned();
        move |source| LedgerError::Disk {
            action,
            file,
            source,
        }
    }
}
