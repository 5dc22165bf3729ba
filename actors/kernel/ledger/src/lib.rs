//! A segmented append-only log of records.
//!
//! Records are appended in *groups*. A group is one write and one sync, and nobody reads a record before the sync of its
//! group has come back: what was acknowledged is on disk, and what is read was acknowledged. After a write or a sync
//! that failed the [`Writer`] never writes again, because nobody can know what the disk has then.
//!
//! It is *not* a queue (reading removes nothing), not a database (records are opaque, found by number or by time), and
//! it neither reads a clock nor starts a thread: time is an argument, and whoever owns the writer calls it.
//!
//! # Format
//!
//! A directory of segments named by the number of their first record, `00000000000000000001.log`. All numbers are
//! little-endian. CRCs are CRC-32 (IEEE).
//!
//! | segment header, 80 bytes | |
//! | --- | --- |
//! | 0..8 | magic `GLEDGER1` |
//! | 8..16 | epoch |
//! | 16..24 | number of the first record |
//! | 24..32 | when the segment was begun, microseconds since 1970 |
//! | 32..64 | chain head before the first group |
//! | 64..68 | CRC of 0..64 |
//! | 68..80 | zero |
//!
//! | group | |
//! | --- | --- |
//! | 0..4 | magic `GRP1` |
//! | 4..8 | bytes of the body |
//! | 8..12 | number of records |
//! | 12..20 | number of the first record |
//! | 20..28 | when the group was written |
//! | 28..60 | chain head: SHA-256 of the head before, then 0..28, then the body |
//! | 60..64 | CRC of 0..60 |
//! | 64.. | body: the records |
//!
//! | record | |
//! | --- | --- |
//! | 0..4 | bytes of the payload |
//! | 4..8 | CRC of 8..end |
//! | 8..16 | stamp |
//! | 16..24 | number within the topic |
//! | 24 | topic |
//! | 25.. | payload |
//!
//! A group without records is a *witness*: all before it was on disk when it was written. A bad group at the very end may
//! be one that was being written when the machine stopped; a bad group before a witness is damage. The writer puts one
//! down when it has nothing else to do ([`Writer::witness`]).
//!
//! Zeros may follow the last group of the open segment: room that is filled ahead ([`Options::fill_bytes`]), as a sync
//! of bytes that replace others need not record a new length as well.
//!
//! A closed segment has an index beside it (`.idx`), which can be made again from the segment.
//!
//! # Layout
//! - [`disk`]: what is asked of a file system.
//! - [`mod@format`]: bytes of headers, groups and records.
//! - [`segment`]: one segment: its index, its scan.
//! - [`writer`]: appends, syncs, rolls, forgets.
//! - [`reader`]: reads what was committed, beside the writer.
//! - [`recovery`]: what is found when a log is opened.
//! - [`mod@verify`]: checks everything, offline.

pub mod disk;
mod error;
pub mod format;
pub mod reader;
pub mod recovery;
pub mod segment;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verify;
pub mod writer;

pub use disk::{Disk, StdDisk};
pub use error::LedgerError;
pub use format::{Record, RecordRef};
pub use reader::{Page, Reader};
pub use recovery::Recovery;
pub use verify::{Report, verify};
pub use writer::{Appended, Options, Writer};

/// The number of the first record of a log.
pub const FIRST_SEQ: u64 = 1;
