//! Traces in a file of their own, by redb: what a sink keeps by default, and what queries and exports read.
//!
//! A trace is kept once, as its exact record, under a running number. Indices lead to it by content, and by time alone
//! or after its agent, its key, its id. The rows of tables are made from the record when they are asked for. How far the
//! sink is stands in the same file and is written in the same transaction.

mod query;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use actors::sink::{Pending, Store, StoreError};
use attest::record::RECORD_LIMITS;
use attest::ring::{Change, Effect};
use attest::{KeyRing, Record, Tape};
use glint::{Event, Name, Offset, Topics};
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use redb::{ReadableTableMetadata as _, Table, WriteTransaction};
use thiserror::Error;

pub use self::query::{Mark, Order, Page, Query};
use super::tables::Kept;

/// The file within the data directory.
pub const FILE: &str = "traces.redb";
/// Memory for pages of the file.
const CACHE_BYTES: usize = 32 << 20;
/// The version of the tables below.
const FORMAT: u64 = 1;
const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Traces that are let go with one batch, at most: it catches up over several.
const SWEEP_MAX: u64 = 4096;

/// Epoch, number, stamp, record.
type Row = (u64, u64, i64, &'static str);

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const TRACES: TableDefinition<'_, u64, Row> = TableDefinition::new("traces");
const CONTENTS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("contents");
const BY_TIME: TableDefinition<'_, (i64, u64), ()> = TableDefinition::new("by_time");
const BY_AGENT: Index = TableDefinition::new("by_agent");
const BY_KEY: Index = TableDefinition::new("by_key");
const BY_TRACE: Index = TableDefinition::new("by_trace");
/// The changes of keys, in order: what is needed to check the traces from this file alone.
const KEYS: TableDefinition<'_, u64, &str> = TableDefinition::new("keys");
type Index = TableDefinition<'static, (&'static str, i64, u64), ()>;
type IndexTable<'w> = Table<'w, (&'static str, i64, u64), ()>;

/// What goes wrong with the store of traces.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceStoreError {
    /// Another process has it open.
    #[error("the traces in {0} are in use; ask the broker that runs there, by its address")]
    InUse(String),
    /// A later version wrote it.
    #[error("the traces are kept in format {0}, this program knows {FORMAT}; use a newer one")]
    Format(u64),
    /// The disk refuses, or the file is damaged.
    #[error("the store of traces failed: {0}; look at the disk")]
    Disk(String),
    /// A record that is no record.
    #[error("a trace that is kept cannot be read: {0}")]
    Record(#[from] attest::Fault),
}

/// How long traces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Most traces; 0 is no limit.
    pub traces: u64,
    /// Hours, counted back from the newest trace; 0 is no limit.
    pub hours: u64,
}

/// Tells whether a store of traces takes an event: traces, and the keys that prove them.
#[must_use]
pub fn wants(event: &Event) -> bool {
    matches!(event.name, Name::TraceCommitted | Name::KeyChanged)
}

/// Returns the topics of what [`wants`] takes.
#[must_use]
pub fn topics() -> Topics {
    let names = [Name::TraceCommitted, Name::KeyChanged];
    names.map(Name::topic).into_iter().collect()
}

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct TraceStore {
    database: Arc<Database>,
    retention: Retention,
}

impl fmt::Debug for TraceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceStore")
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl TraceStore {
    /// Opens the store in `dir`, and makes it if there is none.
    ///
    /// # Errors
    /// When another process has it, when a later version wrote it, when the disk refuses.
    pub fn open(dir: &Path, retention: Retention) -> Result<TraceStore, TraceStoreError> {
        let path = dir.join(FILE);
        let mut builder = Builder::new();
        let database = builder.set_cache_size(CACHE_BYTES).create(&path);
        let database = database.map_err(|err| match err {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                TraceStoreError::InUse(path.display().to_string())
            }
            err => failed(err),
        })?;
        TraceStore::over(database, retention)
    }

    /// Makes a store that ends with the process.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory(retention: Retention) -> Result<TraceStore, TraceStoreError> {
        let mut builder = Builder::new();
        let builder = builder.set_cache_size(CACHE_BYTES);
        let database = builder.create_with_backend(InMemoryBackend::new());
        TraceStore::over(database.map_err(failed)?, retention)
    }

    fn over(database: Database, retention: Retention) -> Result<TraceStore, TraceStoreError> {
        let writing = database.begin_write().map_err(failed)?;
        {
            let mut meta = writing.open_table(META).map_err(failed)?;
            let format = meta
                .get("format")
                .map_err(failed)?
                .map(|found| found.value());
            match format {
                None => drop(meta.insert("format", FORMAT).map_err(failed)?),
                Some(FORMAT) => {}
                Some(other) => return Err(TraceStoreError::Format(other)),
            }
            // Tables that nobody wrote to yet could not be read.
            Tables::open(&writing)?;
        }
        writing.commit().map_err(failed)?;
        Ok(TraceStore {
            database: Arc::new(database),
            retention,
        })
    }

    /// Returns how far it is.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn position(&self) -> Result<Option<Offset>, TraceStoreError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let meta = reading.open_table(META).map_err(failed)?;
        let number = |name| meta.get(name).map(|found| found.map(|found| found.value()));
        let (epoch, seq) = (
            number("epoch").map_err(failed)?,
            number("seq").map_err(failed)?,
        );
        Ok(epoch.zip(seq).map(|(epoch, seq)| Offset { epoch, seq }))
    }

    /// Returns how many traces it holds.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn count(&self) -> Result<u64, TraceStoreError> {
        let reading = self.database.begin_read().map_err(failed)?;
        reading
            .open_table(TRACES)
            .map_err(failed)?
            .len()
            .map_err(failed)
    }

    /// Returns the keys as the store knows them: revoked ones, too, as what they signed before stays signed.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn keys(&self) -> Result<KeyRing, TraceStoreError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let mut ring = KeyRing::default();
        for entry in reading
            .open_table(KEYS)
            .map_err(failed)?
            .iter()
            .map_err(failed)?
        {
            let (_, text) = entry.map_err(failed)?;
            ring.apply(Change::from_json(text.value().as_bytes())?);
        }
        Ok(ring)
    }

    /// Keeps traces, and how far this goes, on disk when it returns. What it has it passes over.
    fn keep(&self, events: &[Arc<Event>], upto: Offset) -> Result<(), TraceStoreError> {
        let writing = self.database.begin_write().map_err(failed)?;
        {
            let mut tables = Tables::open(&writing)?;
            for event in events {
                match event.name {
                    Name::KeyChanged => tables.note_key(&event.text)?,
                    _ => tables.add(&Kept::of(event))?,
                }
            }
            tables.sweep(self.retention)?;
            let mut meta = writing.open_table(META).map_err(failed)?;
            meta.insert("epoch", upto.epoch).map_err(failed)?;
            meta.insert("seq", upto.seq).map_err(failed)?;
        }
        writing.commit().map_err(failed)
    }
}

/// The tables of a transaction that writes.
struct Tables<'w> {
    traces: Table<'w, u64, Row>,
    contents: Table<'w, &'static [u8; 32], u64>,
    by_time: Table<'w, (i64, u64), ()>,
    by_agent: IndexTable<'w>,
    by_key: IndexTable<'w>,
    by_trace: IndexTable<'w>,
    keys: Table<'w, u64, &'static str>,
}

impl<'w> Tables<'w> {
    fn open(writing: &'w WriteTransaction) -> Result<Tables<'w>, TraceStoreError> {
        Ok(Tables {
            traces: writing.open_table(TRACES).map_err(failed)?,
            contents: writing.open_table(CONTENTS).map_err(failed)?,
            by_time: writing.open_table(BY_TIME).map_err(failed)?,
            by_agent: writing.open_table(BY_AGENT).map_err(failed)?,
            by_key: writing.open_table(BY_KEY).map_err(failed)?,
            by_trace: writing.open_table(BY_TRACE).map_err(failed)?,
            keys: writing.open_table(KEYS).map_err(failed)?,
        })
    }

    /// Keeps a trace, unless its content is kept already.
    fn add(&mut self, kept: &Kept) -> Result<(), TraceStoreError> {
        let tape = Tape::read(kept.text.as_bytes(), &RECORD_LIMITS)?;
        let record = Record::read(&tape)?;
        // What gives no rows could not be shown or exported: it is told apart now, not later.
        record.event_rows()?;
        record.llm_rows()?;
        let content = &record.content.0;
        if self.contents.get(content).map_err(failed)?.is_some() {
            return Ok(());
        }
        let last = self.traces.last().map_err(failed)?;
        let row = last.map_or(1, |(row, _)| row.value() + 1);
        let Kept {
            offset,
            stamp,
            text,
        } = kept;
        let value = (offset.epoch, offset.seq, stamp.0, &**text);
        self.traces.insert(row, value).map_err(failed)?;
        self.contents.insert(content, row).map_err(failed)?;
        for_indices(self, &record, |index, text| {
            index.insert((text, stamp.0, row), ()).map(drop)
        })
        .map_err(failed)?;
        self.by_time.insert((stamp.0, row), ()).map_err(failed)?;
        Ok(())
    }

    /// Notes a change of a key, unless it changes nothing. There are few: the ring has a bound.
    fn note_key(&mut self, text: &str) -> Result<(), TraceStoreError> {
        let change = Change::from_json(text.as_bytes())?;
        let mut ring = KeyRing::default();
        let mut last = 0;
        for entry in self.keys.iter().map_err(failed)? {
            let (place, text) = entry.map_err(failed)?;
            last = place.value();
            ring.apply(Change::from_json(text.value().as_bytes())?);
        }
        if ring.check(&change) == Ok(Effect::Changes) {
            self.keys.insert(last + 1, text).map_err(failed)?;
        }
        Ok(())
    }

    /// Lets go of what is over the limits, the oldest first.
    fn sweep(&mut self, retention: Retention) -> Result<(), TraceStoreError> {
        let count = self.traces.len().map_err(failed)?;
        let over = match retention.traces {
            0 => 0,
            most => count.saturating_sub(most),
        };
        let newest = self.by_time.last().map_err(failed)?;
        let newest = newest.map(|(key, _)| key.value().0);
        let since = match (retention.hours, newest) {
            (0, _) | (_, None) => i64::MIN,
            (hours, Some(newest)) => {
                let hours = i64::try_from(hours).unwrap_or(i64::MAX);
                newest.saturating_sub(hours.saturating_mul(MICROS_PER_HOUR))
            }
        };
        for swept in 0..SWEEP_MAX {
            let oldest = self.by_time.first().map_err(failed)?;
            let Some((stamp, row)) = oldest.map(|(key, _)| key.value()) else {
                break;
            };
            if swept >= over && stamp >= since {
                break;
            }
            self.remove(stamp, row)?;
        }
        Ok(())
    }

    fn remove(&mut self, stamp: i64, row: u64) -> Result<(), TraceStoreError> {
        self.by_time.remove((stamp, row)).map_err(failed)?;
        let removed = self.traces.remove(row).map_err(failed)?;
        let Some(text) = removed.map(|value| value.value().3.to_owned()) else {
            return Ok(());
        };
        let tape = Tape::read(text.as_bytes(), &RECORD_LIMITS)?;
        let record = Record::read(&tape)?;
        self.contents.remove(&record.content.0).map_err(failed)?;
        for_indices(self, &record, |index, text| {
            index.remove((text, stamp, row)).map(drop)
        })
        .map_err(failed)
    }
}

/// Does something to each index that begins with a text of the record.
fn for_indices(
    tables: &mut Tables<'_>,
    record: &Record<'_>,
    mut change: impl FnMut(&mut IndexTable<'_>, &str) -> Result<(), redb::StorageError>,
) -> Result<(), redb::StorageError> {
    change(&mut tables.by_agent, record.trace.agent_id_hash)?;
    change(&mut tables.by_key, record.key_id)?;
    change(&mut tables.by_trace, record.trace.trace_id)
}

impl Store for TraceStore {
    fn open(&mut self) -> Pending<'_, Option<Offset>> {
        let position = self.position().map_err(|err| refusal(&err));
        Box::pin(async move { position })
    }

    fn write<'a>(&'a mut self, events: &'a [Arc<Event>], upto: Offset) -> Pending<'a, ()> {
        let (store, events) = (self.clone(), events.to_vec());
        // A sync of the disk takes milliseconds: others live on this thread.
        let kept = tokio::task::spawn_blocking(move || store.keep(&events, upto));
        Box::pin(async move {
            match kept.await {
                Ok(kept) => kept.map_err(|err| refusal(&err)),
                Err(err) => Err(StoreError::Transient(err.to_string())),
            }
        })
    }
}

fn refusal(err: &TraceStoreError) -> StoreError {
    match err {
        TraceStoreError::Record(fault) => StoreError::Permanent(fault.to_string()),
        err => StoreError::Transient(err.to_string()),
    }
}

fn failed(err: impl fmt::Display) -> TraceStoreError {
    TraceStoreError::Disk(err.to_string())
}

#[cfg(test)]
mod tests;
