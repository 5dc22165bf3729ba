//! An accepted batch as records of the log: the URLs that had an effect, and what the set adds up to afterwards.
//!
//! Merged into the same state by the same rules they have the same effect again, so the state is the log, read from the
//! beginning. The rules stand in the record, since settings may change from one start to the next, and the sum proves
//! that the state is the same.

use std::sync::Arc;

use glint::Name;
use glint::json::{self, Value, object, write_ascii_string};
use registry::reconcile::{read_fingerprint, show};
use registry::seal::Fingerprint;
use registry::{Base, Mode};

use crate::emitter::Entry;

/// Bytes of URLs in one record. Escapes may make six of one.
const PART_BYTES: usize = 1 << 20;

/// How deep a record nests.
const DEPTH: usize = 3;

/// An accepted batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Its number, from 1, without holes.
    pub(super) number: u64,
    /// The origin of relative references.
    pub(super) base: Base,
    /// How it was merged.
    pub(super) mode: Mode,
    /// The URLs that had an effect, in their order.
    pub(super) urls: Vec<Arc<str>>,
    /// The sum of all fingerprints of the registry afterwards.
    pub(super) sum: Fingerprint,
}

/// Writes a batch as entries that are kept together.
pub(super) fn write(batch: &Batch) -> Vec<Entry> {
    let mut parts: Vec<&[Arc<str>]> = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, url) in batch.urls.iter().enumerate() {
        if bytes > 0 && bytes + url.len() > PART_BYTES {
            parts.push(&batch.urls[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += url.len();
    }
    parts.push(&batch.urls[from..]);
    let count = parts.len();
    let part = |(nth, urls): (usize, &&[Arc<str>])| {
        let mut text =
            String::with_capacity(urls.iter().map(|url| url.len() + 4).sum::<usize>() + 256);
        object(&mut text, |object| {
            object
                .count("batch", batch.number)
                .count("part", nth as u64 + 1)
                .count("parts", count as u64)
                .text("base", &batch.base.origin())
                .text("mode", word(batch.mode))
                .text("sum", &show(batch.sum))
                .array("urls", urls.iter(), |url, out| write_ascii_string(url, out));
        });
        Entry::new(Name::SigilBatch, text)
    };
    parts.iter().enumerate().map(part).collect()
}

/// Puts batches together from their records.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Option<Batch>,
}

impl Reader {
    /// Reads the next record; a batch, if it was the last one of it.
    ///
    /// # Errors
    /// A sentence, if the record is none of ours or does not follow the one before.
    pub(super) fn read(&mut self, text: &str) -> Result<Option<Batch>, String> {
        let value = json::parse_to_depth(text, DEPTH).map_err(|err| err.to_string())?;
        let part = Part::read(&value).ok_or("a member is missing or has the wrong type")?;
        let mut batch = match self.open.take() {
            None if part.nth == 1 => Batch {
                number: part.batch,
                base: Base::new(part.base).map_err(|err| err.to_string())?,
                mode: mode(part.mode).ok_or("the mode is unknown")?,
                urls: Vec::new(),
                sum: part.sum,
            },
            Some(open) if open.number == part.batch && part.nth > 1 => open,
            _ => {
                return Err(format!(
                    "part {} of batch {} is out of order",
                    part.nth, part.batch
                ));
            }
        };
        for url in part.urls {
            batch
                .urls
                .push(url.as_str().ok_or("a URL is no string")?.into());
        }
        if part.nth == part.parts {
            return Ok(Some(batch));
        }
        self.open = Some(batch);
        Ok(None)
    }
}

struct Part<'v> {
    batch: u64,
    nth: u64,
    parts: u64,
    base: &'v str,
    mode: &'v str,
    sum: Fingerprint,
    urls: &'v [Value<'v>],
}

impl<'v> Part<'v> {
    fn read(value: &'v Value<'v>) -> Option<Part<'v>> {
        let count = |key: &str| match value.get(key)? {
            Value::Number(lexeme) => lexeme.parse().ok(),
            _ => None,
        };
        let Value::Array(urls) = value.get("urls")? else {
            return None;
        };
        Some(Part {
            batch: count("batch")?,
            nth: count("part")?,
            parts: count("parts")?,
            base: value.get("base")?.as_str()?,
            mode: value.get("mode")?.as_str()?,
            sum: read_fingerprint(value.get("sum")?.as_str()?).ok()?,
            urls,
        })
    }
}

/// The word for a mode, in records and settings.
#[must_use]
pub fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Compatible => "compatible",
        Mode::Closure => "closure",
    }
}

/// Reads the word for a mode.
#[must_use]
pub fn mode(word: &str) -> Option<Mode> {
    match word {
        "compatible" => Some(Mode::Compatible),
        "closure" => Some(Mode::Closure),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_many_parts_reads_back() {
        let url =
            |nth: usize| Arc::<str>::from(format!("https://h/s/é\"{nth}{}", "x".repeat(100_000)));
        let batch = Batch {
            number: 7,
            base: Base::default(),
            mode: Mode::Closure,
            urls: (0..25).map(url).collect(),
            sum: 3,
        };
        let entries = write(&batch);
        assert_eq!(entries.len(), 3);
        let mut reader = Reader::default();
        let read: Vec<Option<Batch>> = entries
            .iter()
            .map(|entry| reader.read(&entry.text).unwrap())
            .collect();
        assert_eq!(read, [None, None, Some(batch)]);
        assert!(reader.read(&entries[1].text).is_err());
        assert!(reader.read("{}").is_err());
    }
}
