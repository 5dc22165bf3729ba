//! What hits do to a registry. It is worked out on the side first, as a [`Delta`]: so that it can be kept on disk, or
//! refused, before anybody sees any of it.

mod close;

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use indexmap::IndexMap;
use thiserror::Error;

use crate::list::order;
use crate::payload::{Links, Rank, Summary};
use crate::scan::{Hit, fill_empty, leads, summary};
use crate::seal::fingerprints;
use crate::state::{Entry, Registry};
use crate::url::trim;

/// How many parents are followed from a hit.
pub const STITCH_MAX: usize = 128;

/// Walks along fewer entries are not noted: noting costs more than walking again.
const STITCH_NOTED: usize = 4;

/// How the registry treats chains and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As the existing service does, one hit after the other. The result depends on the order of uploads where entries
    /// have links, and so does the seal; with the same order it is the same everywhere.
    #[default]
    Compatible,
    /// Everything that any entry names by chain or link is an entry too, if it has a payload. The result is the same in
    /// whichever order uploads come, so registries converge that see the same URLs.
    Closure,
}

/// What one merge may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Most entries that one merge may add.
    pub added_entries: usize,
    /// Most entries of the registry.
    pub entries: usize,
    /// Most bytes of all URLs of the registry together.
    pub url_bytes: usize,
    /// Most bytes of links that one merge may follow: a few short hits can lead through many long URLs.
    pub followed_bytes: usize,
}

impl Quota {
    /// No limits, for what was let in before.
    pub const NONE: Quota = Quota {
        added_entries: usize::MAX,
        entries: usize::MAX,
        url_bytes: usize::MAX,
        followed_bytes: usize::MAX,
    };
}

/// A merge that goes beyond a [`Quota`]. None of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// Too many new entries at once.
    #[error("the upload adds more than {0} entries; upload in smaller batches")]
    Added(usize),
    /// The registry has no room for more entries.
    #[error("the registry is full, it holds at most {0} entries")]
    Entries(usize),
    /// The registry has no room for more bytes.
    #[error("the registry is full, it holds at most {0} bytes of URLs")]
    Bytes(usize),
    /// The links lead too far.
    #[error(
        "the links of the upload lead through more than {0} bytes of URLs; upload in smaller batches"
    )]
    Followed(usize),
}

impl QuotaError {
    /// A stable token for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            QuotaError::Added(_) => "registry_upload_entries",
            QuotaError::Entries(_) => "registry_full_entries",
            QuotaError::Bytes(_) => "registry_full_bytes",
            QuotaError::Followed(_) => "registry_upload_links",
        }
    }

    /// Tells whether the registry is full, and not the upload too large.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, QuotaError::Entries(_) | QuotaError::Bytes(_))
    }
}

/// What a merge does to a registry.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// New entries, in the order of the list.
    pub inserted: Vec<Arc<Entry>>,
    /// Entries with other links than before.
    pub changed: Vec<Arc<Entry>>,
    /// The keys of the hits that had an effect, in their order: merged into the same state they have it again.
    pub effective: Vec<Arc<str>>,
    /// How many hits there were.
    pub total: usize,
    /// How many hits inserted or changed their own entry.
    pub imported: usize,
}

impl Delta {
    /// Tells whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inserted.is_empty() && self.changed.is_empty()
    }
}

impl Registry {
    /// Works out what hits do, without doing it.
    ///
    /// # Errors
    /// [`QuotaError`], if it is too much.
    pub fn merge(&self, hits: Vec<Hit>, quota: &Quota) -> Result<Delta, QuotaError> {
        let mut merge = Merge {
            registry: self,
            quota,
            touched: IndexMap::default(),
            added: 0,
            added_bytes: 0,
            followed: 0,
            edits: 0,
            stitched: HashMap::default(),
            delta: Delta::default(),
        };
        // Uploads are all new or all known: the first hit tells which.
        if hits.first().is_some_and(|hit| self.get(&hit.key).is_none()) {
            merge.touched.reserve(hits.len());
        }
        for hit in hits {
            merge.delta.total += 1;
            let before = (merge.added, merge.edits);
            match self.mode {
                Mode::Compatible => merge.take(&hit.key, &hit)?,
                Mode::Closure => merge.close(&hit.key, &hit)?,
            }
            if (merge.added, merge.edits) != before {
                merge.delta.effective.push(hit.key);
            }
        }
        Ok(merge.finish())
    }
}

/// A merge while it is worked out.
struct Merge<'r> {
    registry: &'r Registry,
    quota: &'r Quota,
    /// Entries that are new or changed, as they come: in the order in which their URLs lie in memory.
    touched: IndexMap<Arc<str>, Touched, RandomState>,
    added: usize,
    added_bytes: usize,
    followed: usize,
    /// How many times links were changed.
    edits: u64,
    /// From which entries stitching found nothing to do: how far it went, and after how many edits.
    stitched: HashMap<Arc<str>, (usize, u64), RandomState>,
    delta: Delta,
}

/// What became of a hit's own entry.
#[derive(PartialEq, Eq)]
enum Upsert {
    Inserted,
    Changed,
    Known,
}

struct Touched {
    rank: Rank,
    has_pulse: bool,
    links: Links,
    own: [bool; 2],
    is_new: bool,
}

impl Merge<'_> {
    /// Merges one hit as the existing service does.
    fn take(&mut self, key: &Arc<str>, hit: &Hit) -> Result<(), QuotaError> {
        let links = hit.links(&self.registry.base);
        let leads_nowhere = hit.chain.is_empty() && links == Links::default();
        let became = self.upsert(key, &hit.summary, links)?;
        self.delta.imported += usize::from(became != Upsert::Known);
        if became == Upsert::Inserted && leads_nowhere {
            return Ok(());
        }
        if let (Some(first), Some(last)) = (hit.chain.first(), hit.chain.last()) {
            let mut parent = None;
            for member in &hit.chain {
                self.follow(member)?;
                self.ensure(member)?;
                self.link(member, first, parent);
                parent = Some(&**member);
            }
            self.link(key, first, Some(last));
        }
        self.stitch(key)
    }

    /// Inserts a hit, or merges it into its entry.
    fn upsert(
        &mut self,
        key: &Arc<str>,
        said: &Summary,
        links: Links,
    ) -> Result<Upsert, QuotaError> {
        let Some(known) = self.links(key) else {
            self.insert(key.clone(), said, links)?;
            return Ok(Upsert::Inserted);
        };
        // Of one key all numbers are equal and all fields but the links: the richer one has more of these.
        let richer = richness(&links) > richness(known);
        let (base, other) = if richer {
            (&links, known)
        } else {
            (known, &links)
        };
        let merged = Links {
            origin: filled(&base.origin, &other.origin),
            parent: filled(&base.parent, &other.parent),
        };
        if merged == *known {
            return Ok(Upsert::Known);
        }
        self.edit(key, |links| *links = merged);
        Ok(Upsert::Changed)
    }

    /// Inserts what a URL says by itself, if it has a payload and is no entry yet. The key is the URL as it stands.
    fn ensure(&mut self, url: &str) -> Result<(), QuotaError> {
        if self.links(url).is_some() {
            return Ok(());
        }
        let Some(said) = summary(url, &self.registry.base) else {
            return Ok(());
        };
        let links = said.links.clone();
        self.insert(url.into(), &said, links)
    }

    /// Fills the links of an entry, if there is one.
    fn link(&mut self, url: &str, origin: &str, parent: Option<&str>) {
        let Some(known) = self.links(url) else {
            return;
        };
        let mut links = known.clone();
        let filled = fill_empty(&mut links.origin, origin);
        if parent.is_some_and(|parent| fill_empty(&mut links.parent, parent)) || filled {
            self.edit(url, |known| *known = links);
        }
    }

    /// Follows the parents of an entry and inserts what they and their origins say.
    fn stitch(&mut self, from: &Arc<str>) -> Result<(), QuotaError> {
        let before = (self.added, self.edits);
        let mut current = from.clone();
        let mut walked = Vec::new();
        for left in (1..=STITCH_MAX).rev() {
            let Some(links) = self.links(&current) else {
                break;
            };
            let known = self.stitched.get(&current);
            if known.is_some_and(|(far, edits)| *far >= left && *edits == self.edits) {
                break;
            }
            let Links { origin, parent } = links.clone();
            walked.push((current, left));
            if let Some(origin) = leads(origin.as_deref()) {
                self.follow(origin)?;
                self.ensure(origin)?;
            }
            let Some(parent) = leads(parent.as_deref()) else {
                break;
            };
            self.follow(parent)?;
            self.ensure(parent)?;
            current = parent.into();
        }
        // Entries never go: where nothing was to be done, nothing is to be done until a link changes.
        if walked.len() >= STITCH_NOTED && (self.added, self.edits) == before {
            for (url, left) in walked {
                self.stitched.insert(url, (left, self.edits));
            }
        }
        Ok(())
    }

    fn follow(&mut self, link: &str) -> Result<(), QuotaError> {
        self.followed = self.followed.saturating_add(link.len());
        if self.followed > self.quota.followed_bytes {
            return Err(QuotaError::Followed(self.quota.followed_bytes));
        }
        Ok(())
    }

    fn links(&self, url: &str) -> Option<&Links> {
        match self.touched.get(url) {
            Some(touched) => Some(&touched.links),
            None => self.registry.get(url).map(|entry| &entry.links),
        }
    }

    fn insert(&mut self, url: Arc<str>, said: &Summary, links: Links) -> Result<(), QuotaError> {
        self.added += 1;
        self.added_bytes += url.len();
        let quota = self.quota;
        if self.added > quota.added_entries {
            return Err(QuotaError::Added(quota.added_entries));
        }
        if self.registry.len() + self.added > quota.entries {
            return Err(QuotaError::Entries(quota.entries));
        }
        if self.registry.url_bytes() + self.added_bytes > quota.url_bytes {
            return Err(QuotaError::Bytes(quota.url_bytes));
        }
        let own = [&links.origin, &links.parent]
            .map(|link| link.as_deref().is_some_and(|link| !link.is_empty()));
        let touched = Touched {
            rank: said.rank,
            has_pulse: said.has_pulse,
            links,
            own,
            is_new: true,
        };
        self.touched.insert(url, touched);
        Ok(())
    }

    /// Changes the links of an entry that is there.
    fn edit(&mut self, url: &str, change: impl FnOnce(&mut Links)) {
        self.edits += 1;
        if let Some(touched) = self.touched.get_mut(url) {
            return change(&mut touched.links);
        }
        let Some(entry) = self.registry.get(url) else {
            return;
        };
        let mut touched = Touched {
            rank: entry.rank,
            has_pulse: entry.has_pulse,
            links: entry.links.clone(),
            own: entry.own,
            is_new: false,
        };
        change(&mut touched.links);
        self.touched.insert(entry.url.clone(), touched);
    }

    fn finish(self) -> Delta {
        let mut delta = self.delta;
        let mut inserted = Vec::with_capacity(self.added);
        let prints = fingerprints(self.touched.keys().map(|url| &**url));
        for ((url, touched), fingerprint) in self.touched.into_iter().zip(prints) {
            let entry = Arc::new(Entry {
                fingerprint,
                url,
                rank: touched.rank,
                has_pulse: touched.has_pulse,
                links: touched.links,
                own: touched.own,
            });
            if touched.is_new {
                inserted.push(entry);
            } else {
                delta.changed.push(entry);
            }
        }
        // Ranks lie beside each other here, and all over memory in the entries.
        let mut ranked: Vec<(Rank, Arc<Entry>)> = inserted
            .into_iter()
            .map(|entry| (entry.rank, entry))
            .collect();
        ranked.sort_unstable_by(|(one, first), (other, second)| {
            other.cmp(one).then_with(|| order(first, second))
        });
        delta.inserted = ranked.into_iter().map(|(_, entry)| entry).collect();
        delta
    }
}

/// How many links lead somewhere.
fn richness(links: &Links) -> usize {
    [&links.origin, &links.parent]
        .into_iter()
        .filter(|link| leads(link.as_deref()).is_some())
        .count()
}

/// Returns a link, filled from another if it is absent or blank.
fn filled(link: &Option<Box<str>>, other: &Option<Box<str>>) -> Option<Box<str>> {
    match (link.as_deref(), other.as_deref()) {
        (Some(link), Some(other)) if trim(link).is_empty() && !trim(other).is_empty() => {
            Some(other.into())
        }
        (None, Some(other)) if !trim(other).is_empty() => Some(other.into()),
        _ => link.clone(),
    }
}
