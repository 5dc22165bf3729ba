//! Checks everything, offline: each CRC, each number, and the chain from the first group to the last.

use crate::disk::Disk;
use crate::error::LedgerError;
use crate::format::Chain;
use crate::segment;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments looked at.
    pub segments: usize,
    /// Good records.
    pub records: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// The first and the last good record; 0 if there is none.
    pub range: (u64, u64),
    /// The chain head after the last good group.
    pub chain: Chain,
    /// What is wrong, in order.
    pub faults: Vec<Fault>,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The byte.
    pub at: u64,
    /// What is wrong there.
    pub what: &'static str,
    /// The last good record before it.
    pub last_good: u64,
}

/// Reads the whole log.
///
/// # Errors
/// Those of the disk. What is wrong with the bytes is in the report.
pub fn verify(disk: &dyn Disk) -> Result<Report, LedgerError> {
    let names = disk
        .list()
        .map_err(LedgerError::disk("listing", "the directory"))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::first_seq_of(name))
        .collect();
    firsts.sort_unstable();
    let mut report = Report::default();
    let mut expected: Option<(u64, Chain, u64)> = None;
    for first in firsts {
        let name = segment::name(first);
        let file = disk
            .open(&name)
            .map_err(LedgerError::disk("opening", &name))?;
        report.segments += 1;
        let scan = match segment::scan(&file, &name) {
            Ok(scan) => scan,
            Err(LedgerError::Damaged { file, at, what, .. }) => {
                let last_good = report.range.1;
                report.faults.push(Fault {
                    file,
                    at,
                    what,
                    last_good,
                });
                expected = None;
                continue;
            }
            Err(err) => return Err(err),
        };
        let mut fault = |at, what| {
            let (file, last_good) = (name.clone(), report.range.1);
            report.faults.push(Fault {
                file,
                at,
                what,
                last_good,
            });
        };
        if scan.header.first_seq != first {
            fault(16, "the segment is not the one that its name says");
        }
        if let Some((seq, chain, epoch)) = expected {
            if seq != first {
                fault(16, "records are missing before this segment");
            }
            if chain != scan.header.chain {
                fault(
                    32,
                    "the chain of the segment does not follow the one before it",
                );
            }
            if epoch != scan.header.epoch {
                fault(8, "the segment is of another epoch");
            }
        }
        let records = scan.index.last_seq + 1 - scan.index.first_seq;
        report.records += records;
        report.bytes += scan.len;
        if records > 0 {
            let begin = if report.range.0 == 0 {
                scan.index.first_seq
            } else {
                report.range.0
            };
            report.range = (begin, scan.index.last_seq);
        }
        report.chain = scan.index.chain;
        if let Some((at, what)) = scan.fault {
            report.faults.push(Fault {
                file: name,
                at,
                what,
                last_good: scan.index.last_seq,
            });
        }
        expected = Some((scan.index.last_seq + 1, scan.index.chain, scan.header.epoch));
    }
    Ok(report)
}
