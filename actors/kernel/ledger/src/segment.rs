//! One segment: where its groups are, and what a scan of it finds.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::LedgerError;
use crate::format::{Chain, GROUP_HEADER, GroupHeader, SEGMENT_HEADER, SegmentHeader, read_body};

/// Bytes of a segment between two marks of its index.
const MARK_EVERY: u64 = 64 * 1024;
/// Bytes read at once by a scan.
const SCAN_CHUNK: usize = 1 << 20;
/// Magic of an index file.
const INDEX_MAGIC: &[u8; 8] = b"GINDEX_1";
/// Bytes of a mark in an index file.
const MARK_BYTES: usize = 24;
/// Bytes of an index file before its marks.
const INDEX_HEAD: usize = 8 + 8 + 8 + 8 + 8 + 32 + 4;

/// A place to start reading: the first group at or after a step of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The first record of the group.
    pub seq: u64,
    /// The latest stamp of any record before the group: nothing before it is later.
    pub latest_before: i64,
    /// Where the group begins.
    pub at: u64,
}

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The first record, whether it is there or to come.
    pub first_seq: u64,
    /// The last record; `first_seq - 1` if there is none.
    pub last_seq: u64,
    /// The latest stamp in it; `i64::MIN` if there is none.
    pub latest: i64,
    /// Bytes up to the end of the last good group.
    pub bytes: u64,
    /// The chain head after it.
    pub chain: Chain,
    /// Places to start reading, in order.
    pub marks: Vec<Mark>,
}

impl Index {
    /// Returns the index of a segment without groups.
    #[must_use]
    pub fn empty(header: &SegmentHeader) -> Index {
        Index {
            first_seq: header.first_seq,
            last_seq: header.first_seq - 1,
            latest: i64::MIN,
            bytes: SEGMENT_HEADER as u64,
            chain: header.chain,
            marks: Vec::new(),
        }
    }

    /// Notes a group of `total` bytes whose latest stamp is `latest`.
    pub fn note(&mut self, header: &GroupHeader, latest: i64) {
        if self
            .marks
            .last()
            .is_none_or(|mark| self.bytes - mark.at >= MARK_EVERY)
        {
            self.marks.push(Mark {
                seq: header.first_seq,
                latest_before: self.latest,
                at: self.bytes,
            });
        }
        self.last_seq = header.first_seq + u64::from(header.count) - 1;
        self.latest = self.latest.max(latest);
        self.bytes += header.total_len();
        self.chain = header.chain;
    }

    /// Returns where to start reading for the record after `after`.
    #[must_use]
    pub fn start_after(&self, after: u64) -> u64 {
        let next = self
            .marks
            .partition_point(|mark| mark.seq <= after.saturating_add(1));
        next.checked_sub(1)
            .map_or(SEGMENT_HEADER as u64, |nth| self.marks[nth].at)
    }

    /// Returns where to start reading for the first record with a stamp of at least `stamp`.
    #[must_use]
    pub fn start_since(&self, stamp: i64) -> u64 {
        let next = self
            .marks
            .partition_point(|mark| mark.latest_before < stamp);
        next.checked_sub(1)
            .map_or(SEGMENT_HEADER as u64, |nth| self.marks[nth].at)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INDEX_HEAD + self.marks.len() * MARK_BYTES + 4);
        out.extend_from_slice(INDEX_MAGIC);
        for number in [
            self.first_seq,
            self.last_seq,
            self.latest.cast_unsigned(),
            self.bytes,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.chain);
        out.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        for mark in &self.marks {
            for number in [mark.seq, mark.latest_before.cast_unsigned(), mark.at] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Index> {
        let (rest, crc) = bytes.split_last_chunk::<4>()?;
        if rest.len() < INDEX_HEAD
            || &rest[..8] != INDEX_MAGIC
            || crc32fast::hash(rest) != u32::from_le_bytes(*crc)
        {
            return None;
        }
        let number = |at: usize| {
            rest.get(at..at + 8)?
                .try_into()
                .ok()
                .map(u64::from_le_bytes)
        };
        let count = u32::from_le_bytes(rest.get(72..76)?.try_into().ok()?) as usize;
        if rest.len() != INDEX_HEAD + count * MARK_BYTES {
            return None;
        }
        let mark = |nth: usize| {
            let at = INDEX_HEAD + nth * MARK_BYTES;
            Some(Mark {
                seq: number(at)?,
                latest_before: number(at + 8)?.cast_signed(),
                at: number(at + 16)?,
            })
        };
        Some(Index {
            first_seq: number(8)?,
            last_seq: number(16)?,
            latest: number(24)?.cast_signed(),
            bytes: number(32)?,
            chain: rest.get(40..72)?.try_into().ok()?,
            marks: (0..count).map(mark).collect::<Option<_>>()?,
        })
    }
}

/// Returns the name of the segment that begins with record `first_seq`.
#[must_use]
pub fn name(first_seq: u64) -> String {
    format!("{first_seq:020}.log")
}

/// Returns the first record of the segment that is called `name`.
#[must_use]
pub fn first_seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

fn index_name(first_seq: u64) -> String {
    format!("{first_seq:020}.idx")
}

/// Writes the index of a closed segment beside it. A failure costs a scan at the next start, nothing else.
pub fn store_index(disk: &dyn Disk, index: &Index) {
    let name = index_name(index.first_seq);
    let _ = disk.remove(&name);
    let _ = disk.create(&name).and_then(|file| {
        file.write_at(&index.encode(), 0)?;
        file.sync()
    });
}

/// Reads the index of a closed segment, if it is there, whole, and of a segment of this length.
#[must_use]
pub fn load_index(disk: &dyn Disk, first_seq: u64, segment_len: u64) -> Option<Index> {
    let file = disk.open(&index_name(first_seq)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    let read = file.read_at(&mut bytes, 0).ok()?;
    let index = Index::decode(&bytes[..read])?;
    (index.first_seq == first_seq && index.bytes == segment_len).then_some(index)
}

/// Removes a segment and its index.
///
/// # Errors
/// Those of the disk.
pub fn remove(disk: &dyn Disk, first_seq: u64) -> Result<(), LedgerError> {
    let name = name(first_seq);
    disk.remove(&name)
        .map_err(LedgerError::disk("removal", &name))?;
    let _ = disk.remove(&index_name(first_seq));
    Ok(())
}

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    /// The beginning of the segment.
    pub header: SegmentHeader,
    /// The good groups.
    pub index: Index,
    /// What comes after them, if something does: where, and what is wrong with it.
    pub fault: Option<(u64, &'static str)>,
    /// Where the last good group begins.
    pub last_group: Option<u64>,
    /// Whether it has no records, so that all before it is known to have been on disk.
    pub is_witnessed: bool,
    /// Bytes of the file up to the zeros at its end.
    pub len: u64,
}

/// Reads a whole segment and checks everything in it, up to the first fault.
///
/// # Errors
/// Those of the disk, and a header that is not good.
pub fn scan(file: &Arc<dyn DiskFile>, name: &str) -> Result<Scan, LedgerError> {
    let disk = |action| LedgerError::disk(action, name);
    let len = file.len().map_err(disk("reading"))?;
    let mut head = [0; SEGMENT_HEADER];
    let read = file.read_at(&mut head, 0).map_err(disk("reading"))?;
    let header = SegmentHeader::decode(&head[..read]).map_err(|what| damaged(name, 0, what, 0))?;
    let mut index = Index::empty(&header);
    let mut buffer: Vec<u8> = Vec::new();
    let (mut fault, mut last_group, mut is_witnessed) = (None, None, false);
    let mut end = len;
    while index.bytes < end {
        match read_group(file, &mut buffer, &index, len).map_err(disk("reading"))? {
            Ok((group, latest)) => {
                last_group = Some(index.bytes);
                is_witnessed = group.count == 0;
                index.note(&group, latest);
            }
            Err(what) => {
                end = end_of_bytes(file, index.bytes, len).map_err(disk("reading"))?;
                fault = (index.bytes < end).then_some((index.bytes, what));
                break;
            }
        }
    }
    Ok(Scan {
        header,
        index,
        fault,
        last_group,
        is_witnessed,
        len: end,
    })
}

/// Returns where the zeros at the end of a file begin, `from` or later.
fn end_of_bytes(file: &Arc<dyn DiskFile>, from: u64, len: u64) -> std::io::Result<u64> {
    let (mut chunk, mut at, mut end) = (vec![0; SCAN_CHUNK], from, from);
    while at < len {
        let read = file.read_at(&mut chunk, at)?;
        if let Some(last) = chunk[..read].iter().rposition(|byte| *byte != 0) {
            end = at + last as u64 + 1;
        }
        at += SCAN_CHUNK as u64;
    }
    Ok(end)
}

type Checked = Result<(GroupHeader, i64), &'static str>;

/// Reads and checks the group at the end of what `index` knows.
fn read_group(
    file: &Arc<dyn DiskFile>,
    buffer: &mut Vec<u8>,
    index: &Index,
    len: u64,
) -> std::io::Result<Checked> {
    let mut head = [0; GROUP_HEADER];
    let read = file.read_at(&mut head, index.bytes)?;
    let header = match GroupHeader::decode(&head[..read]) {
        Ok(header) => header,
        Err(what) => return Ok(Err(what)),
    };
    if header.first_seq != index.last_seq + 1 {
        return Ok(Err("the group does not follow the one before it"));
    }
    if index.bytes + header.total_len() > len {
        return Ok(Err("the group is cut off"));
    }
    buffer.clear();
    buffer.reserve((header.body_len as usize).min(SCAN_CHUNK));
    buffer.resize(header.body_len as usize, 0);
    let read = file.read_at(buffer, index.bytes + GROUP_HEADER as u64)?;
    if read < buffer.len() {
        return Ok(Err("the group is cut off"));
    }
    if !header.follows(&index.chain, &head, buffer) {
        return Ok(Err("the chain of the group is wrong"));
    }
    let mut latest = i64::MIN;
    match read_body(buffer, &header, |_, stamp, _, _, _| {
        latest = latest.max(stamp)
    }) {
        Ok(()) => Ok(Ok((header, latest))),
        Err((_, what)) => Ok(Err(what)),
    }
}

/// Writes what lies between two places again, and syncs.
///
/// After a sync that failed the system may hold pages that read well and that it will never write, as it takes them for
/// written. Written again, they are.
///
/// # Errors
/// Those of the disk.
pub fn rewrite(file: &Arc<dyn DiskFile>, from: u64, to: u64) -> std::io::Result<()> {
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, from)?;
    file.write_at(&bytes[..read], from)?;
    file.sync()
}

pub(crate) fn damaged(file: &str, at: u64, what: &'static str, last_good: u64) -> LedgerError {
    LedgerError::Damaged {
        file: file.to_owned(),
        at,
        what,
        last_good,
    }
}

/// Tells whether a good group begins anywhere after `from`: what comes before it then was not torn by a crash, but
/// damaged.
///
/// # Errors
/// Those of the disk.
pub fn has_good_group_after(
    file: &Arc<dyn DiskFile>,
    from: u64,
    len: u64,
) -> std::io::Result<bool> {
    let mut chunk = vec![0; SCAN_CHUNK + GROUP_HEADER];
    let mut at = from + 1;
    while at < len {
        let read = file.read_at(&mut chunk, at)?;
        for begin in 0..read.saturating_sub(GROUP_HEADER - 1).min(SCAN_CHUNK) {
            if chunk[begin] == b'G' && GroupHeader::decode(&chunk[begin..read]).is_ok() {
                return Ok(true);
            }
        }
        at += SCAN_CHUNK as u64;
    }
    Ok(false)
}
