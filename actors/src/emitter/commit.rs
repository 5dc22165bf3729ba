//! Events of the broker's own that others rely on: all of them are taken and kept, or none.

use actix::prelude::*;
use glint::{Event, Name, Offset, Refusal, Stamp};

use super::Receipt;

/// One event of the broker's own, before it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub name: Name,
    /// Its id, if it has one.
    pub id: Option<Box<str>>,
    /// Whom it is about, if anybody; views filter by it as they do by the source of a glint.
    pub source: Option<Box<str>>,
    /// The phase in which it happened, if that matters.
    pub phase: Option<Box<str>>,
    /// The payload: one line of ASCII JSON, an object.
    pub text: Box<str>,
}

impl Entry {
    /// Makes an entry with nothing but a payload.
    #[must_use]
    pub fn new(name: Name, text: impl Into<Box<str>>) -> Entry {
        Entry {
            name,
            id: None,
            source: None,
            phase: None,
            text: text.into(),
        }
    }

    pub(super) fn placed(self, offset: Offset, topic_seq: u64, stamp: Stamp) -> Event {
        Event {
            name: self.name,
            offset,
            topic_seq,
            stamp,
            id: self.id,
            repeats_id: false,
            source: self.source,
            phase: self.phase,
            text: self.text,
        }
    }
}

/// Has entries take their places, in this order and without others between, and answers when they are kept.
///
/// It is taken while the broker drains, too: what its offices still have to say is part of leaving in good order.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, Refusal>")]
pub struct Commit {
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Commit {
    /// Returns the weight of the message in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let weight = |entry: &Entry| entry.text.len() + size_of::<Entry>();
        self.entries.iter().map(weight).sum()
    }
}
