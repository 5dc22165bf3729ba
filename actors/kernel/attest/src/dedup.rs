//! What was taken before: so that a trace is kept once, and no other content takes its place.
//!
//! A trace claims, for its agent, trace id and thought id, the pairs of event type and attempt of its components. Times
//! are no part of it: one claim with two times is a contradiction, not two facts.

use sha2::{Digest as _, Sha256};

use crate::seal::ContentId;
use crate::trace::{ATTEMPT_MAX, Trace};
use crate::vocab::EventKind;

/// Bits of an attempt in a tuple.
const ATTEMPT_BITS: u32 = 11;
const _: () = assert!((ATTEMPT_MAX as u32) < 1 << ATTEMPT_BITS);
const _: () = assert!(EventKind::ALL.len() <= 1 << (u16::BITS - ATTEMPT_BITS));

/// Bytes of an entry before its tuples: content, place, number of tuples.
const ENTRY_HEAD: usize = 32 + 8 + 2;

/// Agent, trace and thought: half of a SHA-256 over the three, each with its length before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// Returns the identity of a trace.
    #[must_use]
    pub fn of(trace: &Trace<'_>) -> Identity {
        let mut hash = Sha256::new();
        for part in [trace.agent_id_hash, trace.trace_id, trace.thought_id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Identity(half)
    }
}

/// An event type and an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple(u16);

impl Tuple {
    /// Packs both.
    #[must_use]
    pub fn of(event: EventKind, attempt: u16) -> Tuple {
        Tuple((event as u16) << ATTEMPT_BITS | attempt)
    }
}

/// Tuples that were seen: a bit each.
#[derive(Debug)]
pub(crate) struct Seen([u64; 1 << (u16::BITS - 6)]);

impl Seen {
    /// Has seen none.
    pub(crate) fn none() -> Seen {
        Seen([0; 1 << (u16::BITS - 6)])
    }

    /// Tells whether it was not seen.
    pub(crate) fn is_new(&self, tuple: Tuple) -> bool {
        self.0[usize::from(tuple.0 >> 6)] >> (tuple.0 & 63) & 1 == 0
    }

    /// Sees one; tells whether it is the first time.
    pub(crate) fn first(&mut self, tuple: Tuple) -> bool {
        let word = &mut self.0[usize::from(tuple.0 >> 6)];
        let bit = 1 << (tuple.0 & 63);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// One content that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub content: ContentId,
    /// Its place in the log.
    pub seq: u64,
    /// What it claims.
    pub tuples: Vec<Tuple>,
}

/// What was taken for one identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    entries: Vec<Entry>,
}

/// What a content is, beside what was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// New.
    New,
    /// The same, taken before at this place.
    Duplicate {
        /// The place.
        seq: u64,
    },
    /// Another one that claims the same.
    Conflict {
        /// What was taken.
        content: ContentId,
        /// Its place.
        seq: u64,
    },
}

impl Known {
    /// Judges a content.
    #[must_use]
    pub fn judge(&self, content: ContentId, tuples: &[Tuple]) -> Verdict {
        if let Some(same) = self.entries.iter().find(|entry| entry.content == content) {
            return Verdict::Duplicate { seq: same.seq };
        }
        // What comes is looked at once, however much was taken before.
        let mut offered = Seen::none();
        for tuple in tuples {
            offered.first(*tuple);
        }
        let claims = |entry: &&Entry| entry.tuples.iter().any(|tuple| !offered.is_new(*tuple));
        match self.entries.iter().find(claims) {
            None => Verdict::New,
            Some(other) => Verdict::Conflict {
                content: other.content,
                seq: other.seq,
            },
        }
    }

    /// Adds a content, once. One that has no place yet has the place 0.
    pub fn add(&mut self, entry: Entry) {
        match self.find(entry.content) {
            Some(known) => known.seq = known.seq.max(entry.seq),
            None => self.entries.push(entry),
        }
    }

    /// Says where a content is that was added before its place was known.
    pub fn place(&mut self, content: ContentId, seq: u64) {
        if let Some(entry) = self.find(content) {
            entry.seq = seq;
        }
    }

    fn find(&mut self, content: ContentId) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.content == content)
    }

    /// Returns the place of a content; 0 if it has none yet.
    #[must_use]
    pub fn seq_of(&self, content: ContentId) -> Option<u64> {
        let found = self.entries.iter().find(|entry| entry.content == content);
        found.map(|entry| entry.seq)
    }

    /// Tells whether something in it has no place yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.entries.iter().any(|entry| entry.seq == 0)
    }

    /// Takes a content out that was not kept after all.
    pub fn remove(&mut self, content: ContentId) {
        self.entries.retain(|entry| entry.content != content);
    }

    /// Tells whether nothing was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes what has a place, for a store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.seq > 0) {
            out.extend_from_slice(&entry.content.0);
            out.extend_from_slice(&entry.seq.to_be_bytes());
            out.extend_from_slice(&(entry.tuples.len() as u16).to_be_bytes());
            for tuple in &entry.tuples {
                out.extend_from_slice(&tuple.0.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`Known::to_bytes`] wrote; none for other bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Known> {
        let mut known = Known::default();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at_checked(ENTRY_HEAD)?;
            let content: [u8; 32] = head[..32].try_into().ok()?;
            let seq: [u8; 8] = head[32..40].try_into().ok()?;
            let count: [u8; 2] = head[40..].try_into().ok()?;
            let size = 2 * usize::from(u16::from_be_bytes(count));
            let (tuples, rest) = rest.split_at_checked(size)?;
            let tuple = |pair: &[u8]| Tuple(u16::from_be_bytes([pair[0], pair[1]]));
            known.entries.push(Entry {
                content: ContentId(content),
                seq: u64::from_be_bytes(seq),
                tuples: tuples.chunks_exact(2).map(tuple).collect(),
            });
            bytes = rest;
        }
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, tuples: &[Tuple]) -> Entry {
        Entry {
            content: ContentId::of(name.as_bytes()),
            seq: 7,
            tuples: tuples.to_vec(),
        }
    }

    #[test]
    fn tuples_differ_by_event_and_by_attempt() {
        let mut seen = std::collections::HashSet::new();
        for event in EventKind::ALL {
            for attempt in 0..=ATTEMPT_MAX {
                assert!(seen.insert(Tuple::of(*event, attempt)));
            }
        }
    }

    #[test]
    fn the_same_is_a_duplicate_and_another_claim_of_it_a_conflict() {
        let (first, second) = (
            Tuple::of(EventKind::LlmCall, 0),
            Tuple::of(EventKind::LlmCall, 1),
        );
        let mut known = Known::default();
        let taken = entry("taken", &[first]);
        assert_eq!(known.judge(taken.content, &[first]), Verdict::New);
        known.add(taken.clone());
        let duplicate = Verdict::Duplicate { seq: 7 };
        assert_eq!(known.judge(taken.content, &[first]), duplicate);
        let other = ContentId::of(b"other");
        let conflict = Verdict::Conflict {
            content: taken.content,
            seq: 7,
        };
        assert_eq!(known.judge(other, &[second, first]), conflict);
        assert_eq!(known.judge(other, &[second]), Verdict::New);
        known.remove(taken.content);
        assert_eq!(known.judge(other, &[first]), Verdict::New);
    }

    #[test]
    fn what_is_known_reads_back_and_torn_bytes_do_not() {
        let mut known = Known::default();
        known.add(entry("a", &[Tuple::of(EventKind::LlmCall, 3)]));
        known.add(entry("b", &[]));
        let bytes = known.to_bytes();
        assert_eq!(Known::from_bytes(&bytes), Some(known));
        assert_eq!(Known::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Known::from_bytes(&[]), Some(Known::default()));
    }
}
