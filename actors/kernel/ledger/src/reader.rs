//! Reads what was committed, beside the writer and from any thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile};
use crate::error::LedgerError;
use crate::format::{GROUP_HEADER, GroupHeader, RecordRef, read_body};
use crate::segment::{self, damaged};
use crate::writer::{Catalog, Segment, Shared, lock};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Records in order, at least one.
    Records(Vec<RecordRef>),
    /// Nothing comes after the place that was asked for.
    Head,
    /// What comes next is no longer here.
    Gone {
        /// The last record that is gone: reading goes on after it.
        floor: u64,
    },
}

/// Reads a log. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Shared,
}

impl Reader {
    pub(crate) fn new(shared: Shared) -> Reader {
        Reader { shared }
    }

    /// Opens a log that nobody writes, or a still picture of one that somebody does. Nothing is changed: what is torn or
    /// damaged is not read, and neither is what comes after it.
    ///
    /// # Errors
    /// Those of the disk, and a log whose segments do not follow each other.
    pub fn open(disk: &dyn Disk) -> Result<Reader, LedgerError> {
        let names = disk
            .list()
            .map_err(LedgerError::disk("listing", "the directory"))?;
        let mut firsts: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::first_seq_of(name))
            .collect();
        firsts.sort_unstable();
        let mut catalog = Catalog {
            epoch: 0,
            floor: firsts.first().map_or(0, |first| first - 1),
            segments: VecDeque::new(),
        };
        for first in firsts {
            let name = segment::name(first);
            let file = disk
                .open(&name)
                .map_err(LedgerError::disk("opening", &name))?;
            let scan = segment::scan(&file, &name)?;
            let expected = catalog
                .segments
                .back()
                .map_or(first, |segment: &Segment| segment.index.last_seq + 1);
            if first != expected {
                return Err(LedgerError::Hole {
                    file: name,
                    found: first,
                    expected,
                });
            }
            catalog.epoch = scan.header.epoch;
            let is_whole = scan.fault.is_none();
            catalog.segments.push_back(Segment {
                index: scan.index,
                file,
            });
            if !is_whole {
                break;
            }
        }
        Ok(Reader::new(Arc::new(Mutex::new(catalog))))
    }

    /// Returns the life of the log.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        lock(&self.shared).epoch
    }

    /// Returns the last record that was committed; 0 if there is none.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        lock(&self.shared)
            .segments
            .back()
            .map_or(0, |segment| segment.index.last_seq)
    }

    /// Returns the last record that is gone; 0 if none is.
    #[must_use]
    pub fn floor(&self) -> u64 {
        lock(&self.shared).floor
    }

    /// Returns the bytes of all segments, as far as they are committed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        lock(&self.shared)
            .segments
            .iter()
            .map(|segment| segment.index.bytes)
            .sum()
    }

    /// Returns up to `max_records` after `after`, none after `until`, of about `max_bytes` of payload: the record that
    /// passes the limit is the last.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn read(
        &self,
        after: u64,
        until: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Page, LedgerError> {
        let catalog = lock(&self.shared);
        if after < catalog.floor {
            return Ok(Page::Gone {
                floor: catalog.floor,
            });
        }
        let last = catalog
            .segments
            .back()
            .map_or(0, |segment| segment.index.last_seq)
            .min(until);
        if after >= last {
            return Ok(Page::Head);
        }
        let nth = catalog
            .segments
            .partition_point(|segment| segment.index.last_seq <= after);
        let Some(segment) = catalog.segments.get(nth) else {
            return Ok(Page::Head);
        };
        let mut groups = Groups::new(segment, segment.index.start_after(after));
        drop(catalog);
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < max_records && bytes < max_bytes {
            let found = groups.next_group(|seq, stamp, topic, topic_seq, payload| {
                if seq > after && seq <= last && records.len() < max_records && bytes < max_bytes {
                    bytes += payload.len();
                    records.push(RecordRef {
                        seq,
                        stamp,
                        topic,
                        topic_seq,
                        payload: payload.to_vec(),
                    });
                }
            })?;
            if !found {
                break;
            }
        }
        Ok(if records.is_empty() {
            Page::Head
        } else {
            Page::Records(records)
        })
    }

    /// Returns the record before the first one with a stamp of at least `stamp`: the last one, if there is none such.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn last_before(&self, stamp: i64) -> Result<u64, LedgerError> {
        let catalog = lock(&self.shared);
        let last = catalog
            .segments
            .back()
            .map_or(0, |segment| segment.index.last_seq);
        // Retention and clocks set back leave segments out of order in time: the first that reaches the stamp decides.
        let Some(segment) = catalog
            .segments
            .iter()
            .find(|segment| segment.index.latest >= stamp)
        else {
            return Ok(last);
        };
        let mut groups = Groups::new(segment, segment.index.start_since(stamp));
        drop(catalog);
        let mut found = None;
        while found.is_none() {
            let is_group = groups.next_group(|seq, record_stamp, _, _, _| {
                if record_stamp >= stamp && found.is_none() {
                    found = Some(seq - 1);
                }
            })?;
            if !is_group {
                break;
            }
        }
        Ok(found.unwrap_or(last))
    }
}

/// The groups of a segment from some place on, read in chunks.
struct Groups {
    file: Arc<dyn DiskFile>,
    first_seq: u64,
    at: u64,
    end: u64,
    chunk: Vec<u8>,
    /// Where in the chunk the next group begins.
    begin: usize,
}

impl Groups {
    fn new(segment: &Segment, at: u64) -> Groups {
        let (file, first_seq) = (segment.file.clone(), segment.index.first_seq);
        Groups {
            file,
            first_seq,
            at,
            end: segment.index.bytes,
            chunk: Vec::new(),
            begin: 0,
        }
    }

    /// Gives the records of the next group to `take`; tells whether there was one.
    fn next_group(
        &mut self,
        take: impl FnMut(u64, i64, u8, u64, &[u8]),
    ) -> Result<bool, LedgerError> {
        if self.at >= self.end {
            return Ok(false);
        }
        self.hold(GROUP_HEADER)?;
        let header =
            GroupHeader::decode(&self.chunk[self.begin..]).map_err(|what| self.damaged(what))?;
        let total = usize::try_from(header.total_len()).unwrap_or(usize::MAX);
        self.hold(total)?;
        let body = &self.chunk[self.begin + GROUP_HEADER..self.begin + total];
        read_body(body, &header, take).map_err(|(_, what)| self.damaged(what))?;
        self.begin += total;
        self.at += total as u64;
        Ok(true)
    }

    /// Has at least `bytes` of the file from the current group on in the chunk.
    fn hold(&mut self, bytes: usize) -> Result<(), LedgerError> {
        if self.chunk.len() - self.begin >= bytes {
            return Ok(());
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        self.chunk.resize(bytes.max(CHUNK).min(left), 0);
        self.begin = 0;
        let name = segment::name(self.first_seq);
        let read = self
            .file
            .read_at(&mut self.chunk, self.at)
            .map_err(LedgerError::disk("reading", &name))?;
        self.chunk.truncate(read);
        if read < bytes {
            Err(self.damaged("the file is shorter than it was"))
        } else {
            Ok(())
        }
    }

    fn damaged(&self, what: &'static str) -> LedgerError {
        damaged(
            &segment::name(self.first_seq),
            self.at,
            what,
            self.first_seq - 1,
        )
    }
}
