//! What a start needs to know of the life before.

use glint::{Event, Topic};
use ledger::{LedgerError, Page, Reader, RecordRef};

use super::record;

/// Records read at once.
const PAGE: usize = 4096;
/// Records looked at for idempotency keys at most.
const MAX_RECORDS: u64 = 1_000_000;

/// What is remembered of an offer with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The key.
    pub key: Box<str>,
    /// What makes its content the same content.
    pub content: [u8; 32],
    /// Events of the offer.
    pub events: u32,
}

/// What was found in the log.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest events, in order.
    pub events: Vec<Event>,
    /// The last event.
    pub last_seq: u64,
    /// The last number of each topic.
    pub topic_seqs: [u64; Topic::ALL.len()],
    /// Offers with keys: what is remembered, and the events of the offer.
    pub offers: Vec<(Remembered, Vec<Event>)>,
}

/// Reads the end of the log: the newest `events`, and the keys of offers since `since` (microseconds since 1970).
///
/// # Errors
/// Those of the disk, and damage.
pub fn restore(reader: &Reader, events: usize, since: i64) -> Result<Restored, LedgerError> {
    let last = reader.last_seq();
    let mut restored = Restored {
        last_seq: last,
        ..Restored::default()
    };
    let kept_from = last.saturating_sub(events as u64);
    let keys_from = reader
        .last_before(since)?
        .max(last.saturating_sub(MAX_RECORDS));
    let from = kept_from.min(keys_from).max(reader.floor());
    each(reader, from, last, |epoch, record| {
        let Some((event, key)) = record::read(epoch, &record) else {
            return;
        };
        restored.topic_seqs[event.topic().index()] = event.topic_seq;
        if let Some(key) = key {
            restored.offers.push((key, vec![event.clone()]));
        } else if let Some((key, offer)) = restored.offers.last_mut()
            && offer.len() < key.events as usize
        {
            offer.push(event.clone());
        }
        if record.seq > kept_from {
            restored.events.push(event);
        }
    })?;
    older_topics(reader, from, &mut restored.topic_seqs)?;
    restored
        .offers
        .retain(|(key, offer)| offer.len() == key.events as usize);
    Ok(restored)
}

/// Looks further back for topics of which nothing came of late.
fn older_topics(
    reader: &Reader,
    from: u64,
    seqs: &mut [u64; Topic::ALL.len()],
) -> Result<(), LedgerError> {
    let mut end = from;
    let missing = |seqs: &[u64]| {
        Topic::ALL
            .iter()
            .any(|topic| topic.is_stored() && seqs[topic.index()] == 0)
    };
    while end > reader.floor() && missing(seqs) {
        let begin = end.saturating_sub(PAGE as u64).max(reader.floor());
        let mut found = [0; Topic::ALL.len()];
        each(reader, begin, end, |_, record| {
            if let Some(seq) = found.get_mut(usize::from(record.topic)) {
                *seq = record.topic_seq;
            }
        })?;
        for (seq, found) in seqs.iter_mut().zip(found) {
            *seq = if *seq == 0 { found } else { *seq };
        }
        end = begin;
    }
    Ok(())
}

fn each(
    reader: &Reader,
    after: u64,
    until: u64,
    mut take: impl FnMut(u64, RecordRef),
) -> Result<(), LedgerError> {
    let (epoch, mut after) = (reader.epoch(), after);
    while let Page::Records(records) = reader.read(after, until, PAGE, 1 << 20)? {
        for record in records {
            after = record.seq;
            take(epoch, record);
        }
    }
    Ok(())
}
