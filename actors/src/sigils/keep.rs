//! The state in the vault, so that a start need not read the whole log.
//!
//! What changed since the last time is added as a blob; when the blobs are twice as large as the state, it is written
//! anew. A head says what is there and adds up to what: a state that does not is never served.

use std::collections::HashMap;
use std::sync::Arc;

use glint::json::{self, Value, object};
use registry::reconcile::{read_fingerprint, show};
use registry::seal::Fingerprint;
use registry::{Base, Entry, Links, Mode, Registry, Seal, Snapshot};

use super::record::{mode, word};
use super::restore::{RestoreFault, Restored};
use crate::vault::{SharedVault, VaultError};

const HEAD: &str = "registry/head";
const BLOBS: &str = "registry/blob/";
/// Size of a blob.
const BLOB_BYTES: usize = 4 << 20;
/// Blobs that are read at once at the start.
const BLOBS_AT_ONCE: usize = 16;
/// A state smaller than this is not worth writing anew.
const SMALL_BYTES: u64 = 1 << 20;

/// What the vault has.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    /// The number of the last event that is in it.
    pub(super) after: u64,
    /// The number of the last batch that is in it.
    pub(super) batch: u64,
    /// The seal that was announced last, if any was.
    pub(super) announced: Option<Seal>,
    mode: Mode,
    entries: u64,
    sum: Fingerprint,
    /// The first blob and the one after the last.
    blobs: (u64, u64),
    /// Bytes of all of them.
    bytes: u64,
}

/// Where the state is kept.
#[derive(Debug)]
pub(super) struct Keep {
    vault: SharedVault,
    head: Head,
    pending: Vec<Arc<Entry>>,
    saving: bool,
}

/// What is to be written, which takes long enough that the office goes on meanwhile.
#[derive(Debug)]
pub(super) struct Saving {
    vault: SharedVault,
    /// What is to be there, but for the blobs, which are still those of before.
    head: Head,
    noted: Vec<Arc<Entry>>,
    /// The whole state, if it is written anew.
    whole: Option<Snapshot>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Saved {
    head: Head,
    noted: Vec<Arc<Entry>>,
    written: Result<(), VaultError>,
}

impl Keep {
    /// Reads what is kept.
    pub(super) fn open(vault: SharedVault, base: &Base) -> Result<(Keep, Restored), RestoreFault> {
        let Some(text) = vault.get(HEAD)? else {
            let restored = Restored::new(
                Registry::new(base.clone(), Mode::default()),
                &Head::default(),
            );
            return Ok((Keep::new(vault, Head::default()), restored));
        };
        let head = Head::read(&text).ok_or(RestoreFault::Head)?;
        let kept = read_blobs(&vault)?;
        let registry = Registry::restore(base.clone(), head.mode, kept)?;
        if registry.len() as u64 != head.entries || registry.sum() != head.sum {
            return Err(RestoreFault::Sum { batch: head.batch });
        }
        let restored = Restored::new(registry, &head);
        Ok((Keep::new(vault, head), restored))
    }

    fn new(vault: SharedVault, head: Head) -> Keep {
        Keep {
            vault,
            head,
            pending: Vec::new(),
            saving: false,
        }
    }

    /// Notes entries that are to be kept next time.
    pub(super) fn note(&mut self, entries: impl IntoIterator<Item = Arc<Entry>>) {
        self.pending.extend(entries);
    }

    /// Tells how far the kept state goes.
    pub(super) fn after(&self) -> u64 {
        self.head.after
    }

    /// Tells whether anything was noted.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Tells whether something is being written.
    pub(super) fn is_saving(&self) -> bool {
        self.saving
    }

    /// Keeps what was noted, and how far it goes. With `anew` the whole state is written.
    pub(super) fn save(
        &mut self,
        place: Place,
        now: &Snapshot,
        anew: bool,
    ) -> Result<(), VaultError> {
        let saving = self.begin(place, now, anew);
        self.end(saving.write())
    }

    /// Begins to keep what was noted: has the office go on while it is written. Only one at a time.
    pub(super) fn begin(&mut self, place: Place, now: &Snapshot, anew: bool) -> Saving {
        self.saving = true;
        let bytes = self.head.bytes;
        let anew = anew || bytes > SMALL_BYTES && bytes > 2 * now.url_bytes() as u64 + bytes / 2;
        Saving {
            vault: self.vault.clone(),
            head: Head {
                after: place.after,
                batch: place.batch,
                announced: place.announced,
                mode: place.mode,
                entries: now.list().len() as u64,
                sum: now.sum(),
                ..self.head.clone()
            },
            noted: std::mem::take(&mut self.pending),
            whole: anew.then(|| now.clone()),
        }
    }

    /// Takes note of what became of it. What was not written is written next time.
    pub(super) fn end(&mut self, saved: Saved) -> Result<(), VaultError> {
        self.saving = false;
        match saved.written {
            Ok(()) => self.head = saved.head,
            Err(_) => drop(self.pending.splice(..0, saved.noted)),
        }
        saved.written
    }
}

impl Saving {
    /// Writes it. Takes long.
    pub(super) fn write(mut self) -> Saved {
        let blobs = match &self.whole {
            Some(now) => blobs(now.list().iter()),
            None => blobs(self.noted.iter()),
        };
        let (old, first) = (self.head.blobs, self.head.blobs.1);
        let mut changes: Vec<(String, Option<&[u8]>)> = Vec::new();
        if self.whole.is_some() {
            changes.extend((old.0..old.1).map(|nth| (key(nth), None)));
            self.head.blobs.0 = first;
            self.head.bytes = 0;
        }
        self.head.blobs.1 = first + blobs.len() as u64;
        self.head.bytes += blobs.iter().map(|blob| blob.len() as u64).sum::<u64>();
        let new = (first..).zip(&blobs);
        changes.extend(new.map(|(nth, blob)| (key(nth), Some(&blob[..]))));
        let text = self.head.write();
        changes.push((HEAD.to_owned(), Some(text.as_bytes())));
        let changes: Vec<(&str, Option<&[u8]>)> = changes
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .collect();
        Saved {
            written: self.vault.put(&changes),
            head: self.head,
            noted: self.noted,
        }
    }
}

/// How far a state goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of the last event that is in it.
    pub(super) after: u64,
    /// The number of the last batch.
    pub(super) batch: u64,
    /// The seal that was announced last.
    pub(super) announced: Option<Seal>,
    /// How batches are merged.
    pub(super) mode: Mode,
}

impl Head {
    fn write(&self) -> String {
        let mut text = String::new();
        object(&mut text, |object| {
            object
                .count("after", self.after)
                .count("batch", self.batch)
                .text("mode", word(self.mode))
                .count("entries", self.entries)
                .text("sum", &show(self.sum))
                .count("first", self.blobs.0)
                .count("next", self.blobs.1)
                .count("bytes", self.bytes);
            if let Some(seal) = self.announced {
                object.display("announced", seal);
            }
        });
        text
    }

    fn read(bytes: &[u8]) -> Option<Head> {
        let value = json::parse_bytes(bytes).ok()?;
        let count = |key: &str| match value.get(key)? {
            Value::Number(lexeme) => lexeme.parse::<u64>().ok(),
            _ => None,
        };
        Some(Head {
            after: count("after")?,
            batch: count("batch")?,
            announced: match value.get("announced") {
                Some(seal) => Some(seal.as_str()?.parse().ok()?),
                None => None,
            },
            mode: mode(value.get("mode")?.as_str()?)?,
            entries: count("entries")?,
            sum: read_fingerprint(value.get("sum")?.as_str()?).ok()?,
            blobs: (count("first")?, count("next")?),
            bytes: count("bytes")?,
        })
    }
}

fn key(nth: u64) -> String {
    format!("{BLOBS}{nth:020}")
}

type Kept = HashMap<Arc<str>, Links>;

/// Reads all blobs in their order: what comes later holds.
fn read_blobs(vault: &SharedVault) -> Result<Kept, RestoreFault> {
    let mut kept = Kept::new();
    let mut after = String::new();
    loop {
        let found = vault.scan(BLOBS, &after, BLOBS_AT_ONCE)?;
        let Some((last, _)) = found.last() else {
            return Ok(kept);
        };
        after.clone_from(last);
        for (key, blob) in &found {
            read_blob(blob, &mut kept).ok_or_else(|| RestoreFault::Blob(key.clone()))?;
        }
    }
}

/// Writes entries one after the other: each text with its length before it, a link that is absent as `u32::MAX`.
fn blobs<'e>(entries: impl Iterator<Item = &'e Arc<Entry>>) -> Vec<Vec<u8>> {
    let mut blobs = Vec::new();
    let mut blob = Vec::new();
    for entry in entries {
        push(Some(&entry.url), &mut blob);
        push(entry.links.origin.as_deref(), &mut blob);
        push(entry.links.parent.as_deref(), &mut blob);
        if blob.len() >= BLOB_BYTES {
            blobs.push(std::mem::take(&mut blob));
        }
    }
    if !blob.is_empty() {
        blobs.push(blob);
    }
    blobs
}

fn push(text: Option<&str>, blob: &mut Vec<u8>) {
    let length = text.map_or(u32::MAX, |text| {
        u32::try_from(text.len()).unwrap_or(u32::MAX - 1)
    });
    blob.extend_from_slice(&length.to_le_bytes());
    blob.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn read_blob(mut blob: &[u8], kept: &mut Kept) -> Option<()> {
    while !blob.is_empty() {
        let url = pop(&mut blob)??;
        let origin = pop(&mut blob)?.map(Box::from);
        let parent = pop(&mut blob)?.map(Box::from);
        kept.insert(url.into(), Links { origin, parent });
    }
    Some(())
}

fn pop<'b>(blob: &mut &'b [u8]) -> Option<Option<&'b str>> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == u32::MAX {
        *blob = rest;
        return Some(None);
    }
    let (text, rest) = rest.split_at_checked(length as usize)?;
    *blob = rest;
    Some(Some(std::str::from_utf8(text).ok()?))
}

#[cfg(test)]
mod tests {
    use registry::{Quota, read_document};

    use super::*;
    use crate::vault::MemoryVault;

    const PLACE: Place = Place {
        after: 7,
        batch: 3,
        announced: None,
        mode: Mode::Compatible,
    };

    fn grown(registry: &mut Registry, number: usize) -> Vec<Arc<Entry>> {
        // {"pulse":10}
        let document = format!("[\"https://h/s/{number}?p=eyJwdWxzZSI6MTB9\"]");
        let hits = read_document(document.as_bytes(), &Base::default()).unwrap();
        let delta = registry.merge(hits, &Quota::NONE).unwrap();
        registry.apply(&delta);
        delta.inserted
    }

    fn kept() -> (SharedVault, Registry) {
        let vault: SharedVault = Arc::new(MemoryVault::default());
        let (mut keep, restored) = Keep::open(vault.clone(), &Base::default()).unwrap();
        let mut registry = restored.registry;
        for number in 0..3 {
            keep.note(grown(&mut registry, number));
            keep.save(PLACE, &registry.snapshot(), number == 1).unwrap();
        }
        (vault, registry)
    }

    #[test]
    fn what_was_saved_bit_by_bit_and_anew_comes_back() {
        let (vault, registry) = kept();
        let (_, restored) = Keep::open(vault, &Base::default()).unwrap();
        assert_eq!((restored.after, restored.batch), (7, 3));
        assert_eq!(
            restored.registry.snapshot().seal(),
            registry.snapshot().seal()
        );
    }

    #[test]
    fn what_comes_while_it_is_written_and_what_could_not_be_written_is_kept_next_time() {
        let vault: SharedVault = Arc::new(MemoryVault::default());
        let (mut keep, restored) = Keep::open(vault.clone(), &Base::default()).unwrap();
        let mut registry = restored.registry;
        for number in 0..6 {
            keep.note(grown(&mut registry, number));
            let saving = keep.begin(PLACE, &registry.snapshot(), false);
            assert!(keep.is_saving());
            keep.note(grown(&mut registry, number + 10));
            let saved = match number % 2 {
                0 => saving.write(),
                _ => Saved {
                    written: Err(VaultError("as the test asks".into())),
                    head: saving.head,
                    noted: saving.noted,
                },
            };
            let failed = saved.written.is_err();
            assert_eq!(keep.end(saved).is_err(), failed);
        }
        keep.save(PLACE, &registry.snapshot(), false).unwrap();
        assert!(!keep.is_saving() && !keep.is_behind());
        let (_, restored) = Keep::open(vault, &Base::default()).unwrap();
        assert_eq!(restored.registry.len(), 12);
        assert_eq!(
            restored.registry.snapshot().seal(),
            registry.snapshot().seal()
        );
    }

    #[test]
    fn a_state_that_does_not_add_up_is_refused() {
        let (vault, _) = kept();
        let found = vault.scan(BLOBS, "", 9).unwrap();
        for (key, blob) in &found {
            let mut damaged = blob.clone();
            let at = damaged.iter().position(|byte| *byte == b's').unwrap();
            for (at, byte) in [(at, b't'), (0, 0xFF)] {
                damaged.copy_from_slice(blob);
                damaged[at] = byte;
                vault.put(&[(key, Some(&damaged))]).unwrap();
                assert!(
                    Keep::open(vault.clone(), &Base::default()).is_err(),
                    "{key} at {at}"
                );
            }
            vault.put(&[(key, None)]).unwrap();
            assert!(
                Keep::open(vault.clone(), &Base::default()).is_err(),
                "{key} is missing"
            );
            vault.put(&[(key, Some(blob))]).unwrap();
        }
        vault.put(&[(HEAD, Some(b"{}"))]).unwrap();
        let err = Keep::open(vault, &Base::default()).err();
        assert!(matches!(err, Some(RestoreFault::Head)));
    }
}
