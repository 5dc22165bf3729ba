//! What is found when a log is opened, and what is done about it.

use crate::disk::Disk;
use crate::error::LedgerError;
use crate::format::Chain;
use crate::segment::{self, Index, Scan, damaged};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments.
    pub segments: usize,
    /// The last record; 0 if there is none.
    pub last_seq: u64,
    /// Bytes of a group that was being written when the process or the machine stopped, and that nobody was told of. Damage
    /// to the last group looks the same until a witness follows it ([`Writer::witness`](crate::Writer::witness)).
    pub torn_bytes: u64,
    /// Why they are not good.
    pub torn_reason: Option<&'static str>,
    /// Segments that were put aside, with the records that went with them.
    pub quarantined: Vec<String>,
    /// Segments whose index was made again.
    pub reindexed: usize,
    /// Whether the last group is a witness.
    pub(crate) is_witnessed: bool,
}

/// The segments of a log in order.
pub(crate) struct Found {
    pub(crate) epoch: u64,
    pub(crate) segments: Vec<Index>,
    pub(crate) recovery: Recovery,
}

/// What to do with damage in the middle of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDamage {
    /// Refuse to open it.
    #[default]
    Refuse,
    /// Put aside the damaged segment and all after it, and go on in a new epoch: readers are told of the gap.
    Quarantine,
}

/// Looks at all segments; `None` when there are none.
pub(crate) fn recover(disk: &dyn Disk, on_damage: OnDamage) -> Result<Option<Found>, LedgerError> {
    let names = disk
        .list()
        .map_err(LedgerError::disk("listing", "the directory"))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::first_seq_of(name))
        .collect();
    firsts.sort_unstable();
    drop_unfinished(disk, &mut firsts)?;
    let Some(&last) = firsts.last() else {
        return Ok(None);
    };
    let mut found = Found {
        epoch: 0,
        segments: Vec::new(),
        recovery: Recovery::default(),
    };
    for &first in &firsts {
        let looked = look(disk, first, first == last, &mut found);
        match looked {
            Ok(index) => found.segments.push(index),
            Err(err @ (LedgerError::Damaged { .. } | LedgerError::Hole { .. })) => {
                if on_damage == OnDamage::Refuse {
                    return Err(err);
                }
                quarantine(disk, &firsts, first, &mut found)?;
                break;
            }
            Err(err) => return Err(err),
        }
    }
    found.recovery.segments = found.segments.len();
    found.recovery.last_seq = found.segments.last().map_or(0, |index| index.last_seq);
    Ok(Some(found))
}

/// A crash while a segment was begun leaves a file without a whole header: nothing was in it.
fn drop_unfinished(disk: &dyn Disk, firsts: &mut Vec<u64>) -> Result<(), LedgerError> {
    let Some(&last) = firsts.last() else {
        return Ok(());
    };
    let name = segment::name(last);
    let file = disk
        .open(&name)
        .map_err(LedgerError::disk("opening", &name))?;
    let len = file.len().map_err(LedgerError::disk("reading", &name))?;
    if len <= crate::format::SEGMENT_HEADER as u64 && segment::scan(&file, &name).is_err() {
        segment::remove(disk, last)?;
        firsts.pop();
    }
    Ok(())
}

fn look(
    disk: &dyn Disk,
    first: u64,
    is_last: bool,
    found: &mut Found,
) -> Result<Index, LedgerError> {
    let name = segment::name(first);
    let expected = found
        .segments
        .last()
        .map(|index| (index.last_seq + 1, index.chain));
    if let Some((expected, _)) = expected.filter(|(expected, _)| *expected != first) {
        return Err(LedgerError::Hole {
            file: name,
            found: first,
            expected,
        });
    }
    let file = disk
        .open(&name)
        .map_err(LedgerError::disk("opening", &name))?;
    let len = file.len().map_err(LedgerError::disk("reading", &name))?;
    if let (false, true, Some(index)) = (
        is_last,
        found.epoch > 0,
        segment::load_index(disk, first, len),
    ) {
        return Ok(index);
    }
    let scan = segment::scan(&file, &name)?;
    check_header(&scan, &name, first, expected.map(|(_, chain)| chain), found)?;
    found.epoch = scan.header.epoch;
    if let Some((at, what)) = scan.fault {
        let is_torn = is_last
            && !segment::has_good_group_after(&file, at, len)
                .map_err(LedgerError::disk("reading", &name))?;
        if !is_torn {
            return Err(damaged(&name, at, what, scan.index.last_seq));
        }
        file.truncate(at)
            .map_err(LedgerError::disk("truncation", &name))?;
        file.sync().map_err(LedgerError::disk("sync", &name))?;
        found.recovery.torn_bytes = scan.len - at;
        found.recovery.torn_reason = Some(what);
    }
    if let Some(from) = scan.last_group.filter(|_| is_last) {
        segment::rewrite(&file, from, scan.index.bytes)
            .map_err(LedgerError::disk("sync", &name))?;
    }
    found.recovery.is_witnessed = scan.is_witnessed;
    if !is_last {
        segment::store_index(disk, &scan.index);
        found.recovery.reindexed += 1;
    }
    Ok(scan.index)
}

fn check_header(
    scan: &Scan,
    name: &str,
    first: u64,
    chain: Option<Chain>,
    found: &Found,
) -> Result<(), LedgerError> {
    let before = first.saturating_sub(1);
    if scan.header.first_seq != first {
        return Err(damaged(
            name,
            16,
            "the segment is not the one that its name says",
            before,
        ));
    }
    if found.epoch > 0 && scan.header.epoch != found.epoch {
        return Err(damaged(name, 8, "the segment is of another epoch", before));
    }
    if chain.is_some_and(|chain| chain != scan.header.chain) {
        return Err(damaged(
            name,
            32,
            "the chain of the segment does not follow the one before it",
            before,
        ));
    }
    Ok(())
}

/// Puts aside the damaged segment and all after it.
fn quarantine(
    disk: &dyn Disk,
    firsts: &[u64],
    from: u64,
    found: &mut Found,
) -> Result<(), LedgerError> {
    for first in firsts.iter().filter(|first| **first >= from) {
        let name = segment::name(*first);
        let aside = format!("{name}.damaged");
        disk.rename(&name, &aside)
            .map_err(LedgerError::disk("renaming", &name))?;
        found.recovery.quarantined.push(aside);
    }
    disk.sync_dir()
        .map_err(LedgerError::disk("sync", "the directory"))
}
