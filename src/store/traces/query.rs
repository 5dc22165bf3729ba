//! Finding traces: in the order in which they were taken, in pages.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use attest::ContentId;
use glint::{Offset, Stamp};
use redb::{ReadTransaction, ReadableDatabase as _};

use super::{BY_AGENT, BY_KEY, BY_TIME, BY_TRACE, CONTENTS, Index, TRACES, TraceStore};
use super::{TraceStoreError, failed};
use crate::store::tables::Kept;

/// Traces looked at, whether they match or not, after which a page ends: the next begins where this one stopped.
const LOOK_MAX: usize = 2_000;

/// A place between traces in the order in which they were taken: after the one that was taken then, with that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    micros: i64,
    row: u64,
}

/// `micros-row`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.micros, self.row)
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Mark, ()> {
        let (micros, row) = text.rsplit_once('-').ok_or(())?;
        Ok(Mark {
            micros: micros.parse().map_err(|_| ())?,
            row: row.parse().map_err(|_| ())?,
        })
    }
}

/// Which traces first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest.
    #[default]
    Ascending,
    /// The newest.
    Descending,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Taken at this time or later.
    pub from: Option<Stamp>,
    /// Taken before this time.
    pub to: Option<Stamp>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Signed with this key.
    pub key: Option<String>,
    /// With this id, chosen by its agent.
    pub trace: Option<String>,
    /// Which first.
    pub order: Order,
    /// On from here.
    pub after: Option<Mark>,
    /// Most traces of a page.
    pub limit: usize,
    /// Bytes of records after which a page ends.
    pub bytes: usize,
}

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The traces.
    pub items: Vec<Kept>,
    /// Where the next begins; none when there is no more now.
    pub next: Option<Mark>,
}

impl TraceStore {
    /// Returns the trace of a content.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn get(&self, content: ContentId) -> Result<Option<Kept>, TraceStoreError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let contents = reading.open_table(CONTENTS).map_err(failed)?;
        let row = contents.get(&content.0).map_err(failed)?;
        match row.map(|row| row.value()) {
            None => Ok(None),
            Some(row) => kept(&reading, row),
        }
    }

    /// Returns a page of the traces that match.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn page(&self, query: &Query) -> Result<Page, TraceStoreError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let marks = query.marks(&reading)?;
        let mut page = Page::default();
        let mut bytes = 0;
        let looked_at_all = marks.len() <= LOOK_MAX;
        for mark in marks.into_iter().take(LOOK_MAX) {
            let Some(kept) = kept(&reading, mark.row)? else {
                continue;
            };
            if !query.matches(&kept)? {
                page.next = Some(mark);
                continue;
            }
            if page.items.len() == query.limit || bytes >= query.bytes {
                return Ok(page);
            }
            bytes += kept.text.len();
            page.next = Some(mark);
            page.items.push(kept);
        }
        if looked_at_all {
            page.next = None;
        }
        Ok(page)
    }
}

impl Query {
    /// The places of traces to look at, one more than is looked at where there are more.
    fn marks(&self, reading: &ReadTransaction) -> Result<Vec<Mark>, TraceStoreError> {
        // The index that leaves the fewest to look at.
        match (&self.trace, &self.agent, &self.key) {
            (Some(trace), ..) => self.marks_of(reading, BY_TRACE, trace),
            (None, Some(agent), _) => self.marks_of(reading, BY_AGENT, agent),
            (None, None, Some(key)) => self.marks_of(reading, BY_KEY, key),
            (None, None, None) => {
                let index = reading.open_table(BY_TIME).map_err(failed)?;
                let range = index.range(self.range(|key| key)).map_err(failed)?;
                let marks = range.map(|entry| {
                    let (micros, row) = entry.map_err(failed)?.0.value();
                    Ok(Mark { micros, row })
                });
                self.taken(marks)
            }
        }
    }

    fn marks_of(
        &self,
        reading: &ReadTransaction,
        index: Index,
        text: &str,
    ) -> Result<Vec<Mark>, TraceStoreError> {
        let index = reading.open_table(index).map_err(failed)?;
        let range = self.range(|(micros, row)| (text, micros, row));
        let range = index.range::<(&str, i64, u64)>(range).map_err(failed)?;
        let marks = range.map(|entry| {
            let (key, _) = entry.map_err(failed)?;
            let (_, micros, row) = key.value();
            Ok(Mark { micros, row })
        });
        self.taken(marks)
    }

    fn taken(
        &self,
        marks: impl DoubleEndedIterator<Item = Result<Mark, TraceStoreError>>,
    ) -> Result<Vec<Mark>, TraceStoreError> {
        match self.order {
            Order::Ascending => marks.take(LOOK_MAX + 1).collect(),
            Order::Descending => marks.rev().take(LOOK_MAX + 1).collect(),
        }
    }

    fn range<K>(&self, key: impl Fn((i64, u64)) -> K) -> (Bound<K>, Bound<K>) {
        let mut low = Bound::Included((self.from.map_or(i64::MIN, |from| from.0), 0));
        let mut high = match self.to {
            None => Bound::Included((i64::MAX, u64::MAX)),
            Some(to) => Bound::Excluded((to.0, 0)),
        };
        match (self.after, self.order) {
            (None, _) => {}
            (Some(mark), Order::Ascending) => low = Bound::Excluded((mark.micros, mark.row)),
            (Some(mark), Order::Descending) => high = Bound::Excluded((mark.micros, mark.row)),
        }
        // A range that ends before it begins has nothing in it.
        let (first, last) = (place(&low), place(&high));
        if first > last {
            high = Bound::Excluded(first);
            low = Bound::Included(first);
        }
        (low.map(&key), high.map(&key))
    }

    fn matches(&self, kept: &Kept) -> Result<bool, TraceStoreError> {
        let agent = self.agent.as_deref().filter(|_| self.trace.is_some());
        let key = self.key.as_deref();
        if agent.is_none() && key.is_none() {
            return Ok(true);
        }
        Ok(kept.read(|record| {
            let agent = agent.is_none_or(|agent| agent == record.trace.agent_id_hash);
            Ok(agent && key.is_none_or(|key| key == record.key_id))
        })?)
    }
}

fn place(bound: &Bound<(i64, u64)>) -> (i64, u64) {
    match bound {
        Bound::Included(place) | Bound::Excluded(place) => *place,
        Bound::Unbounded => (i64::MIN, 0),
    }
}

fn kept(reading: &ReadTransaction, row: u64) -> Result<Option<Kept>, TraceStoreError> {
    let traces = reading.open_table(TRACES).map_err(failed)?;
    let found = traces.get(row).map_err(failed)?;
    Ok(found.map(|value| {
        let (epoch, seq, micros, text) = value.value();
        Kept {
            offset: Offset { epoch, seq },
            stamp: Stamp(micros),
            text: text.into(),
        }
    }))
}
