//! Bytes of headers, groups and records; the tables are in the crate's documentation.

use sha2::{Digest, Sha256};

/// Length of a segment header.
pub const SEGMENT_HEADER: usize = 80;
/// Length of a group header.
pub const GROUP_HEADER: usize = 64;
/// Length of a record before its payload.
pub const RECORD_HEADER: usize = 25;
/// Longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 64 << 20;
/// Longest body of a group, in bytes.
pub const MAX_BODY: usize = 1 << 30;

const SEGMENT_MAGIC: &[u8; 8] = b"GLEDGER1";
const GROUP_MAGIC: &[u8; 4] = b"GRP1";

/// A chain head: the SHA-256 over everything before.
pub type Chain = [u8; 32];

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it happened, microseconds since 1970.
    pub stamp: i64,
    /// Its topic, a number of the caller's.
    pub topic: u8,
    /// Its number within the topic.
    pub topic_seq: u64,
    /// What it says.
    pub payload: &'a [u8],
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRef {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub stamp: i64,
    /// Its topic.
    pub topic: u8,
    /// Its number within the topic.
    pub topic_seq: u64,
    /// What it says.
    pub payload: Vec<u8>,
}

/// The beginning of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The life of the log.
    pub epoch: u64,
    /// The first record.
    pub first_seq: u64,
    /// When it was begun.
    pub created: i64,
    /// The chain head before it.
    pub chain: Chain,
}

/// The beginning of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHeader {
    /// Bytes of the body.
    pub body_len: u32,
    /// Records in it; a *witness* has none.
    pub count: u32,
    /// The first of them; of a witness, the next one.
    pub first_seq: u64,
    /// When it was written.
    pub stamp: i64,
    /// The chain head after it.
    pub chain: Chain,
}

impl SegmentHeader {
    /// Returns the bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        out[24..32].copy_from_slice(&self.created.to_le_bytes());
        out[32..64].copy_from_slice(&self.chain);
        let crc = crc32fast::hash(&out[..64]);
        out[64..68].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the bytes; says what is wrong with them.
    ///
    /// # Errors
    /// In words.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, &'static str> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER>() else {
            return Err("the segment header is cut off");
        };
        if &bytes[..8] != SEGMENT_MAGIC {
            return Err("this is no segment of this version");
        }
        if crc32fast::hash(&bytes[..64]) != u32_at(bytes, 64) || bytes[68..] != [0; 12] {
            return Err("the checksum of the segment header is wrong");
        }
        Ok(SegmentHeader {
            epoch: u64_at(bytes, 8),
            first_seq: u64_at(bytes, 16),
            created: u64_at(bytes, 24).cast_signed(),
            chain: chain_at(bytes, 32),
        })
    }
}

impl GroupHeader {
    /// Reads the bytes; says what is wrong with them.
    ///
    /// # Errors
    /// In words.
    pub fn decode(bytes: &[u8]) -> Result<GroupHeader, &'static str> {
        let Some(bytes) = bytes.first_chunk::<GROUP_HEADER>() else {
            return Err("the group header is cut off");
        };
        if &bytes[..4] != GROUP_MAGIC {
            return Err("no group begins here");
        }
        if crc32fast::hash(&bytes[..60]) != u32_at(bytes, 60) {
            return Err("the checksum of the group header is wrong");
        }
        let header = GroupHeader {
            body_len: u32_at(bytes, 4),
            count: u32_at(bytes, 8),
            first_seq: u64_at(bytes, 12),
            stamp: u64_at(bytes, 20).cast_signed(),
            chain: chain_at(bytes, 28),
        };
        let is_empty = header.body_len == 0;
        if header.body_len as usize > MAX_BODY || (header.count == 0) != is_empty {
            return Err("the group header makes no sense");
        }
        Ok(header)
    }

    /// Returns the bytes of the whole group on disk.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        GROUP_HEADER as u64 + u64::from(self.body_len)
    }

    /// Tells whether this group follows a chain head with this body.
    #[must_use]
    pub fn follows(&self, before: &Chain, header: &[u8], body: &[u8]) -> bool {
        self.chain == chain(before, &header[..28], body)
    }
}

/// Appends a group of `records` that begins with record `first_seq`, and returns the chain head after it.
pub fn push_group(
    records: &[Record<'_>],
    first_seq: u64,
    stamp: i64,
    before: &Chain,
    out: &mut Vec<u8>,
) -> Chain {
    let begin = out.len();
    out.resize(begin + GROUP_HEADER, 0);
    for record in records {
        push_record(record, out);
    }
    let (head, body) = out[begin..].split_at_mut(GROUP_HEADER);
    head[..4].copy_from_slice(GROUP_MAGIC);
    head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&(records.len() as u32).to_le_bytes());
    head[12..20].copy_from_slice(&first_seq.to_le_bytes());
    head[20..28].copy_from_slice(&stamp.to_le_bytes());
    let after = chain(before, &head[..28], body);
    head[28..60].copy_from_slice(&after);
    let crc = crc32fast::hash(&head[..60]);
    head[60..64].copy_from_slice(&crc.to_le_bytes());
    after
}

fn push_record(record: &Record<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&record.stamp.to_le_bytes());
    out.extend_from_slice(&record.topic_seq.to_le_bytes());
    out.push(record.topic);
    out.extend_from_slice(record.payload);
    let crc = crc32fast::hash(&out[begin + 8..]);
    out[begin + 4..begin + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the records of a body, the first of which is `first_seq`, and gives each to `take`.
///
/// # Errors
/// In words, with the byte of the body.
pub fn read_body(
    body: &[u8],
    header: &GroupHeader,
    mut take: impl FnMut(u64, i64, u8, u64, &[u8]),
) -> Result<(), (usize, &'static str)> {
    let mut at = 0;
    for nth in 0..u64::from(header.count) {
        let Some(head) = body[at..].first_chunk::<RECORD_HEADER>() else {
            return Err((at, "a record is cut off"));
        };
        let len = u32_at(head, 0) as usize;
        let Some(whole) = body[at..].get(..RECORD_HEADER + len) else {
            return Err((at, "a record is cut off"));
        };
        if crc32fast::hash(&whole[8..]) != u32_at(head, 4) {
            return Err((at, "the checksum of a record is wrong"));
        }
        let (stamp, topic_seq) = (u64_at(head, 8).cast_signed(), u64_at(head, 16));
        take(
            header.first_seq + nth,
            stamp,
            head[24],
            topic_seq,
            &whole[RECORD_HEADER..],
        );
        at += whole.len();
    }
    if at == body.len() {
        Ok(())
    } else {
        Err((at, "bytes follow the last record of a group"))
    }
}

fn chain(before: &Chain, head: &[u8], body: &[u8]) -> Chain {
    Sha256::new()
        .chain_update(before)
        .chain_update(head)
        .chain_update(body)
        .finalize()
        .into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn chain_at(bytes: &[u8], at: usize) -> Chain {
    let mut chain = [0; 32];
    chain.copy_from_slice(&bytes[at..at + 32]);
    chain
}
