//! Appends, syncs, rolls, forgets. There is one writer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::FIRST_SEQ;
use crate::disk::{Disk, DiskFile};
use crate::error::LedgerError;
use crate::format::{
    Chain, GroupHeader, MAX_PAYLOAD, Record, SEGMENT_HEADER, SegmentHeader, push_group,
};
use crate::reader::Reader;
use crate::recovery::{Found, OnDamage, Recovery, recover};
use crate::segment::{self, Index};

/// What a log is kept to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes after which a segment is closed.
    pub segment_bytes: u64,
    /// Bytes kept; at least the open segment stays.
    pub retain_bytes: u64,
    /// Records kept; at least those of the open segment stay.
    pub retain_records: u64,
    /// Time for which records are kept, in microseconds.
    pub retain_micros: i64,
    /// What to do with damage in the middle of the log.
    pub on_damage: OnDamage,
    /// Largest epoch that may be begun.
    pub max_epoch: u64,
    /// Zeros written ahead of the groups at a time; 0 for none. Each byte of the log is written twice then, and a sync costs
    /// less: it need not record that the file has grown.
    pub fill_bytes: u64,
}

impl Default for Options {
    /// Segments of 64 MiB, everything kept, damage refused, nothing filled ahead.
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            retain_bytes: u64::MAX,
            retain_records: u64::MAX,
            retain_micros: i64::MAX,
            on_damage: OnDamage::Refuse,
            max_epoch: (1 << 33) - 1,
            fill_bytes: 0,
        }
    }
}

/// What an append did; it is not durable before the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The first record of the group.
    pub first_seq: u64,
    /// The last record of the group.
    pub last_seq: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What readers see.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) epoch: u64,
    /// The last record that was forgotten.
    pub(crate) floor: u64,
    pub(crate) segments: VecDeque<Segment>,
}

/// A segment, up to what was committed.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) index: Index,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("first_seq", &self.index.first_seq)
            .finish_non_exhaustive()
    }
}

pub(crate) type Shared = Arc<Mutex<Catalog>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, Catalog> {
    // Nothing in here panics half way through a change.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a log.
pub struct Writer {
    disk: Arc<dyn Disk>,
    options: Options,
    shared: Shared,
    file: Arc<dyn DiskFile>,
    epoch: u64,
    next_seq: u64,
    /// Where the next group goes in the open segment.
    at: u64,
    /// Up to where it is filled with zeros, if further.
    filled: u64,
    /// Whether the last group is a witness, or there is none.
    is_witnessed: bool,
    /// Whether the last commit was durable.
    is_synced: bool,
    chain: Chain,
    /// Groups that were written and not committed.
    staged: Vec<(GroupHeader, i64)>,
    buffer: Vec<u8>,
    poisoned: bool,
}

impl Writer {
    /// Opens the log in a directory, or begins one in the epoch of `now` (microseconds since 1970; the epoch is in
    /// seconds).
    ///
    /// # Errors
    /// Those of the disk, and damage that [`Options::on_damage`] refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        now: i64,
    ) -> Result<(Writer, Recovery), LedgerError> {
        let found = recover(&*disk, options.on_damage)?;
        let (epoch, segments, recovery) = match found {
            Some(Found {
                epoch,
                segments,
                recovery,
            }) => (epoch, segments, recovery),
            None => (0, Vec::new(), Recovery::default()),
        };
        let is_new_life = segments.is_empty() || !recovery.quarantined.is_empty();
        let fresh = u64::try_from(now / 1_000_000)
            .unwrap_or(0)
            .clamp(1, options.max_epoch);
        let epoch = if is_new_life {
            fresh.max(epoch + 1).min(options.max_epoch)
        } else {
            epoch
        };
        if is_new_life && !segments.is_empty() {
            set_aside(&*disk, &segments)?;
        }
        let segments = if is_new_life { Vec::new() } else { segments };
        let mut open = VecDeque::with_capacity(segments.len() + 1);
        for index in segments {
            let name = segment::name(index.first_seq);
            let file = disk
                .open(&name)
                .map_err(LedgerError::disk("opening", &name))?;
            open.push_back(Segment { index, file });
        }
        if open.is_empty() {
            let header = SegmentHeader {
                epoch,
                first_seq: FIRST_SEQ,
                created: now,
                chain: [0; 32],
            };
            open.push_back(begin(&*disk, &header)?);
        }
        let floor = open
            .front()
            .map_or(0, |segment| segment.index.first_seq - 1);
        // Never empty: a segment was begun if there was none.
        let last = open.back().cloned().ok_or(LedgerError::EmptyGroup)?;
        let name = segment::name(last.index.first_seq);
        let filled = last.file.len();
        let mut writer = Writer {
            filled: filled.map_err(LedgerError::disk("reading", &name))?,
            is_synced: true,
            is_witnessed: recovery.is_witnessed || last.index.last_seq < last.index.first_seq,
            file: last.file,
            epoch,
            next_seq: last.index.last_seq + 1,
            at: last.index.bytes,
            chain: last.index.chain,
            shared: Arc::new(Mutex::new(Catalog {
                epoch,
                floor,
                segments: open,
            })),
            staged: Vec::new(),
            buffer: Vec::new(),
            poisoned: false,
            options,
            disk,
        };
        // What was found good has been written again and synced.
        writer.witness(now)?;
        Ok((writer, recovery))
    }

    /// Returns a reader, which may go to another thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone())
    }

    /// Returns the life of the log.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the number that the next record gets.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Returns the chain head after the last group that was written.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Writes a group. Nobody sees it before [`Writer::commit`].
    ///
    /// # Errors
    /// Those of the disk, after which the writer writes no more; a record that is too large or an empty group, which
    /// write nothing.
    pub fn append(&mut self, records: &[Record<'_>], now: i64) -> Result<Appended, LedgerError> {
        if self.poisoned {
            return Err(LedgerError::Poisoned);
        }
        let largest = records
            .iter()
            .map(|record| record.payload.len())
            .max()
            .ok_or(LedgerError::EmptyGroup)?;
        if largest > MAX_PAYLOAD {
            return Err(LedgerError::RecordTooLarge {
                bytes: largest,
                max: MAX_PAYLOAD,
            });
        }
        if self.at >= self.options.segment_bytes && self.staged.is_empty() {
            self.poison_on_error(|writer| writer.roll(now))?;
        }
        let header = self.poison_on_error(|writer| writer.write(records, now))?;
        Ok(Appended {
            first_seq: header.first_seq,
            last_seq: self.next_seq - 1,
            bytes: header.total_len(),
        })
    }

    /// Writes a group without records, unless the last one is such: whoever opens the log then knows that all before it
    /// was on disk, and takes nothing of it for the end of a write that was torn. For when there is nothing else to do; it
    /// is not synced itself.
    ///
    /// # Errors
    /// Those of the disk, after which the writer writes no more.
    pub fn witness(&mut self, now: i64) -> Result<(), LedgerError> {
        if self.poisoned {
            return Err(LedgerError::Poisoned);
        }
        if self.is_witnessed || !self.staged.is_empty() {
            return Ok(());
        }
        if !self.is_synced {
            let name = self.name();
            self.poison_on_error(|writer| {
                writer.file.sync().map_err(LedgerError::disk("sync", &name))
            })?;
            self.is_synced = true;
        }
        self.poison_on_error(|writer| writer.write(&[], now))?;
        self.show();
        Ok(())
    }

    /// Writes a group behind the last one.
    fn write(&mut self, records: &[Record<'_>], now: i64) -> Result<GroupHeader, LedgerError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let after = push_group(records, self.next_seq, now, &self.chain, &mut buffer);
        let written = self.file.write_at(&buffer, self.at);
        let header = GroupHeader {
            body_len: (buffer.len() - crate::format::GROUP_HEADER) as u32,
            count: records.len() as u32,
            first_seq: self.next_seq,
            stamp: now,
            chain: after,
        };
        self.buffer = buffer;
        written.map_err(|source| LedgerError::disk("writing", &self.name())(source))?;
        let latest = records
            .iter()
            .map(|record| record.stamp)
            .max()
            .unwrap_or(i64::MIN);
        self.staged.push((header, latest));
        self.at += header.total_len();
        self.chain = after;
        self.next_seq += u64::from(header.count);
        self.is_witnessed = records.is_empty();
        self.fill();
        Ok(header)
    }

    /// Fills the segment with zeros some way ahead, when the last group went beyond what was filled. The next sync has them
    /// on disk together with the group. What cannot be filled is not: whoever writes there is told why.
    fn fill(&mut self) {
        if self.options.fill_bytes == 0 || self.at <= self.filled {
            return;
        }
        let to = (self.at + self.options.fill_bytes).min(self.options.segment_bytes);
        let zeros = vec![0; usize::try_from(to.saturating_sub(self.at)).unwrap_or(0)];
        if self.file.write_at(&zeros, self.at).is_ok() {
            self.filled = to.max(self.at);
        }
    }

    /// Shows readers what was written; with `durable`, only after the disk has it.
    ///
    /// # Errors
    /// Those of the disk, after which the writer writes no more: the system may have dropped what it could not write,
    /// and say yes to the next sync all the same.
    pub fn commit(&mut self, durable: bool) -> Result<(), LedgerError> {
        if self.poisoned {
            return Err(LedgerError::Poisoned);
        }
        if durable {
            let name = self.name();
            self.poison_on_error(|writer| {
                writer.file.sync().map_err(LedgerError::disk("sync", &name))
            })?;
        }
        self.is_synced = durable;
        self.show();
        Ok(())
    }

    /// Shows readers what is staged.
    fn show(&mut self) {
        let mut catalog = lock(&self.shared);
        if let Some(open) = catalog.segments.back_mut() {
            for (header, latest) in self.staged.drain(..) {
                open.index.note(&header, latest);
            }
        }
    }

    /// Forgets whole segments that are over a limit, oldest first, and returns the last record that is gone.
    ///
    /// # Errors
    /// Those of the disk; what could not be removed is forgotten all the same, until the next start.
    pub fn retain(&mut self, now: i64) -> Result<u64, LedgerError> {
        loop {
            let mut catalog = lock(&self.shared);
            let bytes: u64 = catalog
                .segments
                .iter()
                .map(|segment| segment.index.bytes)
                .sum();
            let records = self.next_seq - 1 - catalog.floor;
            let Some(oldest) = catalog
                .segments
                .front()
                .filter(|_| catalog.segments.len() > 1)
            else {
                return Ok(catalog.floor);
            };
            let index = &oldest.index;
            let kept_records = records - (index.last_seq - catalog.floor);
            let is_over = bytes > self.options.retain_bytes
                || kept_records >= self.options.retain_records
                || now.saturating_sub(index.latest) > self.options.retain_micros;
            if !is_over {
                return Ok(catalog.floor);
            }
            let (first, last) = (index.first_seq, index.last_seq);
            catalog.floor = last;
            catalog.segments.pop_front();
            drop(catalog);
            segment::remove(&*self.disk, first)?;
        }
    }

    /// Closes the open segment and begins the next. Nothing is staged.
    fn roll(&mut self, now: i64) -> Result<(), LedgerError> {
        let name = self.name();
        if self.filled > self.at {
            self.file
                .truncate(self.at)
                .map_err(LedgerError::disk("truncation", &name))?;
        }
        // In a log that is not synced at each commit, a closed segment is, so that only the open one can be torn.
        self.file.sync().map_err(LedgerError::disk("sync", &name))?;
        let header = SegmentHeader {
            epoch: self.epoch,
            first_seq: self.next_seq,
            created: now,
            chain: self.chain,
        };
        let next = begin(&*self.disk, &header)?;
        let mut catalog = lock(&self.shared);
        let closed = catalog.segments.back().map(|segment| segment.index.clone());
        self.file = next.file.clone();
        self.at = SEGMENT_HEADER as u64;
        self.filled = 0;
        catalog.segments.push_back(next);
        drop(catalog);
        if let Some(closed) = closed {
            segment::store_index(&*self.disk, &closed);
        }
        Ok(())
    }

    fn poison_on_error<T>(
        &mut self,
        act: impl FnOnce(&mut Writer) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let done = act(self);
        self.poisoned |= done.is_err();
        done
    }

    fn name(&self) -> String {
        let catalog = lock(&self.shared);
        segment::name(
            catalog
                .segments
                .back()
                .map_or(FIRST_SEQ, |segment| segment.index.first_seq),
        )
    }
}

/// Begins a segment: its header is on disk, and so is its name.
fn begin(disk: &dyn Disk, header: &SegmentHeader) -> Result<Segment, LedgerError> {
    let name = segment::name(header.first_seq);
    let file = disk
        .create(&name)
        .map_err(LedgerError::disk("creation", &name))?;
    file.write_at(&header.encode(), 0)
        .map_err(LedgerError::disk("writing", &name))?;
    file.sync().map_err(LedgerError::disk("sync", &name))?;
    disk.sync_dir()
        .map_err(LedgerError::disk("sync", "the directory"))?;
    Ok(Segment {
        index: Index::empty(header),
        file,
    })
}

/// Renames the good segments of a life that ended in damage: their numbers begin anew.
fn set_aside(disk: &dyn Disk, segments: &[Index]) -> Result<(), LedgerError> {
    for index in segments {
        let name = segment::name(index.first_seq);
        disk.rename(&name, &format!("{name}.before-damage"))
            .map_err(LedgerError::disk("renaming", &name))?;
    }
    disk.sync_dir()
        .map_err(LedgerError::disk("sync", "the directory"))
}
