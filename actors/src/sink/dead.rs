//! Dead letters: events that a store refused for good. They stay in the log; the list says which, and why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glint::json::object;
use glint::{Event, Offset, Stamp, json};

use crate::vault::{SharedVault, VaultError};

/// Bytes of a reason that are kept.
const REASON_MAX: usize = 1024;
/// Letters read at once.
const PAGE: usize = 256;

/// An event that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it is in the order.
    pub offset: Offset,
    /// What happened.
    pub event: String,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// When it was refused.
    pub at: Stamp,
    /// Why.
    pub reason: String,
}

impl DeadLetter {
    /// Writes it as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        object(&mut out, |object| {
            object
                .display("cursor", self.offset)
                .text("event", &self.event);
            if let Some(id) = &self.id {
                object.text("id", id);
            }
            object
                .text("refused_at", &self.at.to_string())
                .text("reason", &self.reason);
        });
        out
    }

    fn from_json(text: &[u8]) -> Option<DeadLetter> {
        let value = json::parse_bytes(text).ok()?;
        let text = |name: &str| value.get(name).and_then(json::Value::as_str);
        Some(DeadLetter {
            offset: text("cursor")?.parse().ok()?,
            event: text("event")?.to_owned(),
            id: text("id").map(str::to_owned),
            at: text("refused_at")?.parse().ok()?,
            reason: text("reason")?.to_owned(),
        })
    }
}

/// The list of one sink, in the vault. Cloning shares it.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    vault: SharedVault,
    prefix: Arc<str>,
    total_key: Arc<str>,
    max: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    listed: u64,
    total: u64,
}

impl DeadLetters {
    /// Opens the list of `sink`, of which `max` letters are kept.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn open(vault: SharedVault, sink: &str, max: usize) -> Result<DeadLetters, VaultError> {
        let total_key: Arc<str> = format!("sink/{sink}/dead_total").into();
        let total = vault.get(&total_key)?;
        let total = total.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        let letters = DeadLetters {
            prefix: format!("sink/{sink}/dead/").into(),
            total_key,
            max: max.max(1),
            vault,
            counts: Arc::default(),
        };
        let mut after = String::new();
        let mut listed = 0;
        loop {
            let page = letters.vault.scan(&letters.prefix, &after, PAGE)?;
            listed += page.len() as u64;
            match page.last() {
                Some((key, _)) => after = key.clone(),
                None => break,
            }
        }
        *letters.counts() = Counts {
            listed,
            total: total.unwrap_or(listed),
        };
        Ok(letters)
    }

    /// Returns how many are listed.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.counts().listed
    }

    /// Returns how many there ever were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().total
    }

    /// Lists one, unless it is listed; tells whether it was new.
    pub(super) fn bury(&self, event: &Event, at: Stamp, reason: &str) -> Result<bool, VaultError> {
        let key = self.key(event.offset);
        if self.vault.get(&key)?.is_some() {
            return Ok(false);
        }
        let letter = DeadLetter {
            offset: event.offset,
            event: event.name.to_string(),
            id: event.id.as_deref().map(str::to_owned),
            at,
            reason: clip(reason).to_owned(),
        };
        let Counts { listed, total } = *self.counts();
        let after = Counts {
            listed: (listed + 1).min(self.max as u64),
            total: total + 1,
        };
        let (letter, count) = (letter.to_json(), after.total.to_be_bytes());
        let oldest = match listed >= self.max as u64 {
            true => self.vault.scan(&self.prefix, "", 1)?,
            false => Vec::new(),
        };
        let mut changes: Vec<(&str, Option<&[u8]>)> = vec![
            (&key, Some(letter.as_bytes())),
            (&self.total_key, Some(&count)),
        ];
        changes.extend(oldest.iter().map(|(key, _)| (key.as_str(), None)));
        self.vault.put(&changes)?;
        *self.counts() = after;
        Ok(true)
    }

    /// Takes one off the list.
    pub(super) fn release(&self, offset: Offset) -> Result<(), VaultError> {
        let key = self.key(offset);
        if self.vault.get(&key)?.is_some() {
            self.vault.put(&[(&key, None)])?;
            self.counts().listed -= 1;
        }
        Ok(())
    }

    /// Returns up to `max` letters that come after `after`, in the order of their places.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn list(&self, after: Option<Offset>, max: usize) -> Result<Vec<DeadLetter>, VaultError> {
        let after = after.map_or_else(String::new, |offset| self.key(offset));
        let found = self.vault.scan(&self.prefix, &after, max)?;
        let letters = found
            .iter()
            .filter_map(|(_, text)| DeadLetter::from_json(text));
        Ok(letters.collect())
    }

    fn key(&self, offset: Offset) -> String {
        let Offset { epoch, seq } = offset;
        format!("{}{epoch:020}-{seq:020}", self.prefix)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing in here panics half way through a change.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(REASON_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
