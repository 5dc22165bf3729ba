//! Reading what memory no longer holds: off the workers, a few at a time.

use std::sync::Arc;

use glint::{Event, Offset, Stamp};
use ledger::{LedgerError, Page, Reader};
use tokio::sync::Semaphore;

use super::record;
use crate::tail::History;

/// Streams that may read the disk at once; the others wait for their turn.
const READERS: usize = 4;
/// Bytes of payload read in one turn.
const PAGE_BYTES: usize = 64 * 1024;

/// The log, for readers. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Archive {
    reader: Reader,
    turns: Arc<Semaphore>,
}

impl Archive {
    /// Makes an archive of a log.
    #[must_use]
    pub fn new(reader: Reader) -> Archive {
        Archive {
            reader,
            turns: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Returns up to `max_events` events after `after`, none after `until`, on this thread: for programs that do nothing
    /// else.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn page_now(
        &self,
        after: u64,
        until: u64,
        max_events: usize,
    ) -> Result<History, LedgerError> {
        read_page(&self.reader, after, until, max_events)
    }

    /// Returns the place of the last event in it.
    #[must_use]
    pub fn head(&self) -> Offset {
        Offset {
            epoch: self.reader.epoch(),
            seq: self.reader.last_seq(),
        }
    }

    /// Returns the last event that is gone from it.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.reader.floor()
    }

    /// Returns the last event before `stamp`.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn last_before(&self, stamp: Stamp) -> Result<u64, LedgerError> {
        self.reader.last_before(stamp.0)
    }

    /// Returns up to `max_events` events after `after`, none after `until`, from the thread pool for blocking work.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub async fn page(
        &self,
        after: u64,
        until: u64,
        max_events: usize,
    ) -> Result<History, LedgerError> {
        let turn = self.turns.clone().acquire_owned().await;
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read_page(&reader, after, until, max_events)
        });
        read.await.unwrap_or(Ok(History::Head))
    }
}

/// Reads a page of events.
pub(super) fn read_page(
    reader: &Reader,
    after: u64,
    until: u64,
    max_events: usize,
) -> Result<History, LedgerError> {
    let epoch = reader.epoch();
    Ok(match reader.read(after, until, max_events, PAGE_BYTES)? {
        Page::Gone { floor } => History::Gone { floor },
        Page::Head => History::Head,
        Page::Records(records) => {
            let event = |record| record::read(epoch, record).map(|(event, _)| Arc::new(event));
            History::Events(
                records
                    .iter()
                    .filter_map(event)
                    .collect::<Vec<Arc<Event>>>(),
            )
        }
    })
}
