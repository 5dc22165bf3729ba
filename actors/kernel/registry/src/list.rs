//! The ordered list of entries: cheap to copy, cheap to change, shared with every snapshot.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use crate::render;
use crate::state::Entry;

/// Most entries in a chunk: what one new entry copies.
const CHUNK_MAX: usize = 512;

/// What a chunk that grew too large is cut into, so that the next few fit.
const CHUNK_CUT: usize = 384;

/// Neighbours in the list.
#[derive(Debug, Clone)]
struct Chunk {
    entries: Box<[Arc<Entry>]>,
    /// Their URLs as JSON strings, with a comma after each: what the seal is taken over. In one piece, as entries and their
    /// URLs lie all over memory, and to look for them takes longer than the digest.
    text: OnceLock<Box<str>>,
}

impl Chunk {
    fn new(entries: Box<[Arc<Entry>]>) -> Arc<Chunk> {
        let text = OnceLock::new();
        Arc::new(Chunk { entries, text })
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let bytes: usize = self.entries.iter().map(|entry| entry.url.len() + 3).sum();
            let mut text = String::with_capacity(bytes);
            for entry in &self.entries {
                render::text(&entry.url, &mut text);
                text.push(',');
            }
            text.into()
        })
    }
}

/// Entries, the highest rank first, then the highest URL. Copies share all chunks that did not change since.
#[derive(Debug, Clone, Default)]
pub struct List {
    chunks: Vec<Arc<Chunk>>,
    /// Where each chunk starts.
    starts: Vec<usize>,
    len: usize,
}

/// The order of the list: pulse, beat, step, URL, all descending.
#[must_use]
pub fn order(one: &Entry, other: &Entry) -> Ordering {
    let rank = other.rank.cmp(&one.rank);
    rank.then_with(|| other.url.cmp(&one.url))
}

impl List {
    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the first entry.
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        Some(self.chunks.first()?.entries.first()?)
    }

    /// Iterates over all entries.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.page(0, self.len)
    }

    /// Iterates over the URLs as JSON strings with a comma after each, many in a piece.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.chunks.iter().map(|chunk| chunk.text())
    }

    /// Iterates over at most `limit` entries from `offset` on; over none from beyond the end.
    pub fn page(&self, offset: usize, limit: usize) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self
            .starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let skip = offset.min(self.len)
            - self
                .starts
                .get(first)
                .map_or(0, |start| *start.min(&offset));
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| chunk.entries.iter())
            .skip(skip)
            .take(limit)
    }

    /// Puts entries of new URLs in their places. They must be in order.
    pub fn insert(&mut self, entries: Vec<Arc<Entry>>) {
        if entries.is_empty() {
            return;
        }
        self.len += entries.len();
        let old = std::mem::take(&mut self.chunks);
        let mut entries = entries.into_iter().peekable();
        let mut chunks = Vec::with_capacity(old.len() + entries.len() / CHUNK_CUT + 1);
        for (at, chunk) in old.iter().enumerate() {
            let next = old.get(at + 1).and_then(|chunk| chunk.entries.first());
            let belongs = |entry: &Arc<Entry>| next.is_none_or(|next| order(entry, next).is_lt());
            let mut coming = Vec::new();
            while let Some(entry) = entries.next_if(belongs) {
                coming.push(entry);
            }
            if coming.is_empty() {
                chunks.push(chunk.clone());
            } else {
                cut(merge(chunk, coming), &mut chunks);
            }
        }
        // Only where there was no chunk at all is anything left.
        cut(entries.collect(), &mut chunks);
        self.chunks = chunks;
        self.count();
    }

    /// Puts entries in the places of those with the same rank and URL.
    pub fn replace(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            let after = self.chunks.partition_point(|chunk| {
                let first = chunk.entries.first();
                first.is_some_and(|first| order(first, entry).is_le())
            });
            let Some(chunk) = after.checked_sub(1).and_then(|at| self.chunks.get_mut(at)) else {
                continue;
            };
            let found = chunk.entries.binary_search_by(|known| order(known, entry));
            if let Ok(at) = found {
                Arc::make_mut(chunk).entries[at] = entry.clone();
            }
        }
    }

    fn count(&mut self) {
        self.starts.clear();
        let mut start = 0;
        for chunk in &self.chunks {
            self.starts.push(start);
            start += chunk.entries.len();
        }
    }
}

fn merge(old: &Chunk, new: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
    let mut merged = Vec::with_capacity(old.entries.len() + new.len());
    let mut old = old.entries.iter().peekable();
    for entry in new {
        while let Some(before) = old.next_if(|known| order(known, &entry).is_lt()) {
            merged.push(before.clone());
        }
        merged.push(entry);
    }
    merged.extend(old.cloned());
    merged
}

fn cut(entries: Vec<Arc<Entry>>, chunks: &mut Vec<Arc<Chunk>>) {
    if entries.len() <= CHUNK_MAX {
        if !entries.is_empty() {
            chunks.push(Chunk::new(entries.into()));
        }
        return;
    }
    let cuts = entries.chunks(CHUNK_CUT);
    chunks.extend(cuts.map(|cut| Chunk::new(cut.into())));
}
