//! What a start needs to know of the life before.

use glint::{Event, Name, Offset, Stamp, Topic};
use ledger::{LedgerError, Page, Reader, RecordRef};
use sha2::{Digest as _, Sha256};

use super::record;
use crate::vault::{Vault, VaultError};

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

/// What a glint is known by: half of the SHA-256 of its payload, of which id and source are part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Print([u8; 16]);

impl Print {
    /// Takes that of a payload.
    #[must_use]
    pub fn of(text: &str) -> Print {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Print(half)
    }
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
    /// The glints of late.
    pub glints: Vec<(Print, Offset, Stamp)>,
}

/// From when on things are remembered, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Offers with keys.
    pub keys: i64,
    /// Glints that may come again.
    pub glints: i64,
}

/// The last number of each topic at a place of the log, so that a start need not look for it from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    epoch: u64,
    seq: u64,
    topics: [u64; Topic::ALL.len()],
}

/// Where the vault holds the [`Numbers`].
const NUMBERS: &str = "scribe/numbers";

impl Numbers {
    /// Returns those of what was found.
    #[must_use]
    pub fn of(epoch: u64, restored: &Restored) -> Numbers {
        Numbers {
            epoch,
            seq: restored.last_seq,
            topics: restored.topic_seqs,
        }
    }

    /// Loads those that were saved last, if any can be read.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn load(vault: &dyn Vault) -> Result<Option<Numbers>, VaultError> {
        let Some(bytes) = vault.get(NUMBERS)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let mut words = text.split(' ').map_while(|word| word.parse().ok());
        let (Some(epoch), Some(seq)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        // Written before a topic was known: nothing of it came by then.
        let topics = std::array::from_fn(|_| words.next().unwrap_or(0));
        Ok(Some(Numbers { epoch, seq, topics }))
    }

    /// Saves them.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn save(&self, vault: &dyn Vault) -> Result<(), VaultError> {
        let words = [self.epoch, self.seq].into_iter().chain(self.topics);
        let text: Vec<String> = words.map(|word| word.to_string()).collect();
        vault.put(&[(NUMBERS, Some(text.join(" ").as_bytes()))])
    }
}

/// Reads the end of the log: the newest `events`, and what is remembered `since` then.
/// The numbers of topics are looked for down to where they are `known`.
///
/// # Errors
/// Those of the disk, and damage.
pub fn restore(
    reader: &Reader,
    events: usize,
    since: Since,
    known: Option<Numbers>,
) -> Result<Restored, LedgerError> {
    let last = reader.last_seq();
    let mut restored = Restored {
        last_seq: last,
        ..Restored::default()
    };
    let kept_from = last.saturating_sub(events as u64);
    let keys_from = reader
        .last_before(since.keys.min(since.glints))?
        .max(last.saturating_sub(MAX_RECORDS));
    let from = kept_from.min(keys_from).max(reader.floor());
    each(reader, from, last, |epoch, record| {
        let Some((event, key)) = record::read(epoch, &record) else {
            return;
        };
        restored.topic_seqs[event.topic().index()] = event.topic_seq;
        if is_glint(event.name) && event.stamp.0 >= since.glints {
            restored
                .glints
                .push((Print::of(&event.text), event.offset, event.stamp));
        }
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
    let known = known.filter(|known| known.epoch == reader.epoch() && known.seq <= last);
    older_topics(reader, from, known, &mut restored.topic_seqs)?;
    restored
        .offers
        .retain(|(key, offer)| offer.len() == key.events as usize);
    Ok(restored)
}

fn is_glint(name: Name) -> bool {
    matches!(
        name,
        Name::GlintEmission | Name::GlintQuarantined | Name::GlintDissipated
    )
}

/// Looks further back for topics of which nothing came of late.
fn older_topics(
    reader: &Reader,
    from: u64,
    known: Option<Numbers>,
    seqs: &mut [u64; Topic::ALL.len()],
) -> Result<(), LedgerError> {
    let mut end = from;
    let floor = known.map_or(0, |known| known.seq).max(reader.floor());
    let missing = |seqs: &[u64]| {
        Topic::ALL
            .iter()
            .any(|topic| topic.is_stored() && seqs[topic.index()] == 0)
    };
    while end > floor && missing(seqs) {
        let begin = end.saturating_sub(PAGE as u64).max(floor);
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
    for (seq, known) in seqs
        .iter_mut()
        .zip(known.map_or([0; _], |known| known.topics))
    {
        *seq = if *seq == 0 { known } else { *seq };
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
