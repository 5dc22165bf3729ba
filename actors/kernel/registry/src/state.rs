//! The registry of the one writer, and the snapshots that it gives to readers.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::list::{List, order};
use crate::merge::{Delta, Mode};
use crate::payload::{Links, Rank};
use crate::reconcile::Index;
use crate::scan::summary;
use crate::seal::{Fingerprint, Seal, fingerprint, seal};
use crate::url::Base;
use ahash::RandomState;

/// An entry: a URL, and what of its payload is needed all the time. The payload itself is read from the URL again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub url: Arc<str>,
    /// The fingerprint of the key.
    pub fingerprint: Fingerprint,
    /// The order.
    pub rank: Rank,
    /// Whether the pulse is a number; else it counts as nought.
    pub has_pulse: bool,
    /// The links, which may come from elsewhere than the payload.
    pub links: Links,
    /// Whether origin and parent came with the entry, so that no chain may claim others: for closure alone.
    pub own: [bool; 2],
}

/// An entry in the set, found by its URL.
#[derive(Debug, Clone)]
struct ByUrl(Arc<Entry>);

impl Borrow<str> for ByUrl {
    fn borrow(&self) -> &str {
        &self.0.url
    }
}

impl Hash for ByUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the text that it borrows as.
        str::hash(&self.0.url, state);
    }
}

impl PartialEq for ByUrl {
    fn eq(&self, other: &ByUrl) -> bool {
        self.0.url == other.0.url
    }
}

impl Eq for ByUrl {}

/// The registry, in the hands of its one writer.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) base: Base,
    pub(crate) mode: Mode,
    entries: HashSet<ByUrl, RandomState>,
    /// What readers share as it is.
    now: Snapshot,
}

/// A registry as it was at one moment. Copies are cheap, and share what was worked out for any of them.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    list: List,
    latest_pulse: Option<i128>,
    url_bytes: usize,
    sum: Fingerprint,
    revision: u64,
    derived: Arc<Derived>,
}

/// What is worked out when it is first asked for. It depends on the list of URLs alone.
#[derive(Debug, Default)]
struct Derived {
    seal: OnceLock<Seal>,
    index: OnceLock<Index>,
}

/// An entry that was kept does not fit the registry it is put back into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kept entry {0:?} has no payload or is there twice; the kept state is damaged")]
pub struct RestoreError(pub String);

impl RestoreError {
    /// A stable token for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "registry_state_damaged"
    }
}

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new(base: Base, mode: Mode) -> Registry {
        Registry {
            base,
            mode,
            entries: HashSet::default(),
            now: Snapshot::default(),
        }
    }

    /// Makes a registry of kept entries: their URLs and links.
    ///
    /// # Errors
    /// [`RestoreError`], if one has no payload or is there twice.
    pub fn restore(
        base: Base,
        mode: Mode,
        kept: impl IntoIterator<Item = (Arc<str>, Links)>,
    ) -> Result<Registry, RestoreError> {
        let mut inserted = Vec::new();
        for (url, links) in kept {
            let Some(said) = summary(&url, &base) else {
                return Err(RestoreError(url.to_string()));
            };
            let own = [&said.links.origin, &said.links.parent]
                .map(|link| link.as_deref().is_some_and(|link| !link.is_empty()));
            inserted.push(Arc::new(Entry {
                fingerprint: fingerprint(&url),
                url,
                rank: said.rank,
                has_pulse: said.has_pulse,
                links,
                own,
            }));
        }
        inserted.sort_unstable_by(|one, other| order(one, other));
        if let Some(twice) = inserted.windows(2).find(|pair| pair[0].url == pair[1].url) {
            return Err(RestoreError(twice[0].url.to_string()));
        }
        let mut registry = Registry::new(base, mode);
        registry.apply(&Delta {
            inserted,
            ..Delta::default()
        });
        Ok(registry)
    }

    /// Does what a delta says. It must have been worked out from this very state.
    pub fn apply(&mut self, delta: &Delta) {
        if delta.is_empty() {
            return;
        }
        self.now.revision += 1;
        self.entries.reserve(delta.inserted.len());
        for entry in delta.inserted.iter().chain(&delta.changed) {
            self.entries.replace(ByUrl(entry.clone()));
        }
        self.now.list.replace(&delta.changed);
        if delta.inserted.is_empty() {
            return;
        }
        for entry in &delta.inserted {
            self.now.url_bytes += entry.url.len();
            self.now.sum = self.now.sum.wrapping_add(entry.fingerprint);
            if entry.has_pulse {
                self.now.latest_pulse = self.now.latest_pulse.max(Some(entry.rank.pulse));
            }
        }
        self.now.list.insert(delta.inserted.clone());
        self.now.derived = Arc::default();
    }

    /// Has what comes be merged by other rules. What is there stays as it is.
    pub fn set_rules(&mut self, base: Base, mode: Mode) {
        (self.base, self.mode) = (base, mode);
    }

    /// Returns the registry as it is now, for readers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.now.clone()
    }

    /// Returns the entry of a URL.
    #[must_use]
    pub fn get(&self, url: &str) -> Option<&Entry> {
        self.entries.get(url).map(|found| &*found.0)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes of all URLs together.
    #[must_use]
    pub fn url_bytes(&self) -> usize {
        self.now.url_bytes
    }

    /// Returns the sum of all fingerprints: equal for equal sets, and known without reading the set.
    #[must_use]
    pub fn sum(&self) -> Fingerprint {
        self.now.sum
    }

    /// Returns the base and the mode.
    #[must_use]
    pub fn rules(&self) -> (&Base, Mode) {
        (&self.base, self.mode)
    }
}

impl Snapshot {
    /// Returns the entries in order.
    #[must_use]
    pub fn list(&self) -> &List {
        &self.list
    }

    /// Returns the seal. The first call reads the whole list, about a millisecond for each megabyte of URLs.
    #[must_use]
    pub fn seal(&self) -> Seal {
        *self.derived.seal.get_or_init(|| seal(self.list.texts()))
    }

    /// Returns the seal, if it was worked out already.
    #[must_use]
    pub fn known_seal(&self) -> Option<Seal> {
        self.derived.seal.get().copied()
    }

    /// Returns the index for reconciliation. The first call sorts the whole list.
    #[must_use]
    pub fn index(&self) -> &Index {
        self.derived.index.get_or_init(|| Index::new(&self.list))
    }

    /// Returns the highest pulse, which may be below nought, if any entry has one.
    #[must_use]
    pub fn latest_pulse(&self) -> Option<i128> {
        self.latest_pulse
    }

    /// Returns the highest rank, at least nought.
    #[must_use]
    pub fn latest(&self) -> Rank {
        let first = self.list.first().map(|entry| entry.rank);
        first.unwrap_or_default().max(Rank::default())
    }

    /// Returns the bytes of all URLs together.
    #[must_use]
    pub fn url_bytes(&self) -> usize {
        self.url_bytes
    }

    /// Returns the sum of all fingerprints.
    #[must_use]
    pub fn sum(&self) -> Fingerprint {
        self.sum
    }

    /// Returns how many times the registry changed, payloads included: what tells two snapshots with one seal apart.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }
}
