//! What was taken before: in memory what is new, in the vault the rest.
//!
//! The vault holds it in generations. A full generation is closed and another begun; when there are too many, the oldest
//! is forgotten, some entries at a time. So the memory has a bound, and what was taken last is remembered longest.

use std::collections::HashMap;
use std::mem::take;

use attest::dedup::{Entry, Identity, Known, Verdict};
use attest::{ContentId, Kept, RECORD_LIMITS, Record, Tape};
use glint::Event;
use glint::hex::Hex;

use crate::vault::{SharedVault, Vault, VaultError};

/// Generations that are remembered.
const GENERATIONS: u64 = 4;
/// Entries of a forgotten generation that are removed at once.
const REMOVED_AT_ONCE: usize = 1024;
/// Generations before the oldest one whose removal a start takes up again.
const MAYBE_LEFT: u64 = 8;
/// Identities that may wait for the vault.
const UNSAVED_MAX: usize = 100_000;
/// Events without a trace after which the cursor is saved all the same, so that a start does not read them again.
const CURSOR_STEP: u64 = 10_000;
const CURSOR: &str = "accord/cursor";
const STATE: &str = "accord/known";

/// One identity, as far as it is in memory.
#[derive(Debug, Default)]
struct Recent {
    known: Known,
    /// The generation that holds it.
    generation: Option<u64>,
    /// Whether the vault does not have it so.
    dirty: bool,
}

/// What was taken before.
#[derive(Debug)]
pub(super) struct Index {
    vault: SharedVault,
    recent: HashMap<Identity, Recent>,
    /// What is on its way, and has not been read in the one order.
    under_way: HashMap<ContentId, Identity>,
    /// Numbers of the generations and how many identities each holds, oldest first; never empty.
    generations: Vec<(u64, u64)>,
    forgotten: Vec<u64>,
    /// Identities of a full generation.
    full: u64,
    /// The cursor that the vault has.
    cursor: u64,
}

/// What goes into the vault at once.
#[derive(Debug)]
pub(super) struct Batch {
    changes: Vec<(String, Option<Vec<u8>>)>,
}

impl Batch {
    /// Tells whether there is nothing to write.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }

    /// Writes it: to the disk, with all that was written before, or so that it gets there with what comes later.
    pub(super) fn write(&self, vault: &dyn Vault, lasts: bool) -> Result<(), VaultError> {
        let changes: Vec<(&str, Option<&[u8]>)> = self
            .changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()))
            .collect();
        match lasts {
            true => vault.put(&changes),
            false => vault.note(&changes),
        }
    }
}

fn key(generation: u64, identity: Identity) -> String {
    format!("{STATE}/{generation:016x}/{}", Hex(&identity.0))
}

impl Index {
    /// Opens what the vault holds; returns it with the cursor up to which it knows the one order.
    pub(super) fn open(vault: SharedVault, remember: u64) -> Result<(Index, u64), VaultError> {
        let number = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes);
        let cursor = vault.get(CURSOR)?.and_then(|bytes| number(bytes).ok());
        let mut generations = Vec::new();
        for pair in vault.get(STATE)?.unwrap_or_default().chunks_exact(16) {
            let (id, count) = pair.split_at(8);
            let (id, count) = (number(id.to_vec()), number(count.to_vec()));
            generations.extend(id.ok().zip(count.ok()));
        }
        if generations.is_empty() {
            generations.push((1, 0));
        }
        let oldest = generations[0].0;
        let index = Index {
            vault,
            recent: HashMap::new(),
            under_way: HashMap::new(),
            generations,
            forgotten: (oldest.saturating_sub(MAYBE_LEFT)..oldest).collect(),
            full: (remember / GENERATIONS).max(1),
            cursor: cursor.unwrap_or(0),
        };
        let cursor = index.cursor;
        Ok((index, cursor))
    }

    /// How many identities are remembered.
    pub(super) fn remembered(&self) -> u64 {
        self.generations.iter().map(|(_, count)| count).sum()
    }

    /// How many identities are in memory.
    pub(super) fn unsaved(&self) -> usize {
        self.recent.len()
    }

    /// Tells whether too much waits for the vault.
    pub(super) fn is_behind(&self) -> bool {
        self.recent.len() >= UNSAVED_MAX
    }

    fn recent(&mut self, identity: Identity) -> Result<&mut Recent, VaultError> {
        if !self.recent.contains_key(&identity) {
            let mut found = Recent::default();
            for (generation, _) in self.generations.iter().rev() {
                if let Some(bytes) = self.vault.get(&key(*generation, identity))? {
                    found.known = Known::from_bytes(&bytes)
                        .ok_or_else(|| VaultError("what is known of a trace is damaged".into()))?;
                    found.generation = Some(*generation);
                    break;
                }
            }
            self.recent.insert(identity, found);
        }
        Ok(self.recent.entry(identity).or_default())
    }

    /// Judges a trace; one that is new is on its way from now on.
    pub(super) fn judge(&mut self, kept: &Kept) -> Result<Verdict, VaultError> {
        let recent = self.recent(kept.identity)?;
        let verdict = recent.known.judge(kept.content, &kept.tuples);
        if verdict == Verdict::New {
            recent.known.add(Entry {
                content: kept.content,
                seq: 0,
                tuples: kept.tuples.clone(),
            });
            self.under_way.insert(kept.content, kept.identity);
        }
        Ok(verdict)
    }

    /// A trace that was on its way is kept, here.
    pub(super) fn place(&mut self, kept: &Kept, seq: u64) {
        if let Some(recent) = self.recent.get_mut(&kept.identity) {
            recent.known.place(kept.content, seq);
            recent.dirty = true;
        }
    }

    /// A trace that was on its way is not kept.
    pub(super) fn forget(&mut self, kept: &Kept) {
        if let Some(recent) = self.recent.get_mut(&kept.identity) {
            recent.known.remove(kept.content);
        }
        self.under_way.remove(&kept.content);
    }

    /// Where a content is; 0 while it is on its way.
    pub(super) fn seq_of(&self, identity: Identity, content: ContentId) -> Option<u64> {
        self.recent.get(&identity)?.known.seq_of(content)
    }

    /// Notes a trace that was read in the one order.
    pub(super) fn note(&mut self, event: &Event) -> Result<(), VaultError> {
        let content: Option<ContentId> = event.id.as_deref().and_then(|id| id.parse().ok());
        let under_way =
            content.and_then(|content| Some((content, self.under_way.remove(&content)?)));
        if let Some((content, identity)) = under_way {
            // Where it is no longer in memory, it was placed by its receipt and is saved.
            if let Some(recent) = self.recent.get_mut(&identity)
                && recent.known.seq_of(content) == Some(0)
            {
                recent.known.place(content, event.offset.seq);
                recent.dirty = true;
            }
            return Ok(());
        }
        let read = Tape::read(event.text.as_bytes(), &RECORD_LIMITS);
        let claims = read.and_then(|tape| {
            let record = Record::read(&tape)?;
            Ok((record.content, record.claims()))
        });
        match claims {
            Ok((content, (identity, tuples))) => {
                let recent = self.recent(identity)?;
                let seq = event.offset.seq;
                recent.known.add(Entry {
                    content,
                    seq,
                    tuples,
                });
                recent.dirty = true;
            }
            Err(err) => {
                let at = event.offset;
                tracing::error!(%at, %err, "a trace in the log cannot be read; it may be taken again");
            }
        }
        Ok(())
    }

    /// Takes together what the vault lacks: it will know the one order up to `cursor`.
    pub(super) fn collect(&mut self, cursor: u64) -> Result<Batch, VaultError> {
        let mut changes = Vec::new();
        let newest = self.generations.len() - 1;
        for (identity, recent) in self.recent.iter_mut().filter(|(_, recent)| recent.dirty) {
            let (generation, count) = &mut self.generations[newest];
            if recent.generation != Some(*generation) {
                *count += 1;
            }
            recent.generation = Some(*generation);
            recent.dirty = false;
            let value = recent.known.to_bytes();
            changes.push((key(*generation, *identity), Some(value)));
        }
        let changed = !changes.is_empty();
        self.turn_over();
        self.remove_forgotten(&mut changes)?;
        if changed {
            let pair = |(id, count): &(u64, u64)| [id.to_be_bytes(), count.to_be_bytes()].concat();
            let state: Vec<u8> = self.generations.iter().flat_map(pair).collect();
            changes.push((STATE.to_owned(), Some(state)));
        }
        if cursor > self.cursor && (changed || cursor - self.cursor >= CURSOR_STEP) {
            self.cursor = cursor;
            let value = cursor.to_be_bytes().to_vec();
            changes.push((CURSOR.to_owned(), Some(value)));
        }
        Ok(Batch { changes })
    }

    fn turn_over(&mut self) {
        let (newest, count) = self.generations[self.generations.len() - 1];
        if count < self.full {
            return;
        }
        self.generations.push((newest + 1, 0));
        if self.generations.len() as u64 > GENERATIONS {
            let (oldest, _) = self.generations.remove(0);
            self.forgotten.push(oldest);
        }
    }

    fn remove_forgotten(
        &mut self,
        changes: &mut Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), VaultError> {
        for generation in take(&mut self.forgotten) {
            let prefix = format!("{STATE}/{generation:016x}/");
            let found = self.vault.scan(&prefix, "", REMOVED_AT_ONCE)?;
            if !found.is_empty() {
                self.forgotten.push(generation);
            }
            changes.extend(found.into_iter().map(|(key, _)| (key, None)));
        }
        Ok(())
    }

    /// What was collected is in the vault: what has not changed since need not be in memory.
    pub(super) fn saved(&mut self) {
        self.recent
            .retain(|_, recent| recent.dirty || recent.known.is_open());
    }
}
