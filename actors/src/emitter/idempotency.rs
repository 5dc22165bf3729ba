//! Offers that come twice: the second gets the receipt of the first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use glint::{Draft, Refusal, RefusalKind, Stamp};
use sha2::{Digest, Sha256};

use super::Item;

/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 255;

/// An idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Takes a key of 1 to 255 printable ASCII characters.
    ///
    /// # Errors
    /// `idempotency_key_malformed`.
    pub fn new(text: &str) -> Result<Key, Refusal> {
        let printable = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        if text.is_empty() || text.len() > MAX_KEY_BYTES || !printable {
            let detail =
                format!("an idempotency key is 1 to {MAX_KEY_BYTES} printable ASCII characters");
            return Err(Refusal::invalid("idempotency_key_malformed", detail).on("Idempotency-Key"));
        }
        Ok(Key(text.into()))
    }

    /// Returns the text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long keys are remembered: until either bound is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Keys at most; the oldest is forgotten first.
    pub keys: usize,
    /// Seconds at most.
    pub seconds: u32,
}

/// What is known about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recall {
    /// Nothing.
    New,
    /// It came with the same content, and this is what it got.
    Same(Arc<[Item]>),
    /// It came with other content.
    Other,
}

/// The keys of late.
#[derive(Debug)]
pub(super) struct Memory {
    window: Window,
    known: HashMap<Key, Known>,
    order: VecDeque<(Stamp, Key)>,
}

#[derive(Debug)]
struct Known {
    content: [u8; 32],
    items: Arc<[Item]>,
}

impl Memory {
    pub(super) fn new(window: Window) -> Memory {
        Memory {
            window,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn recall(&mut self, key: &Key, content: [u8; 32], now: Stamp) -> Recall {
        self.forget(now);
        match self.known.get(key) {
            None => Recall::New,
            Some(known) if known.content == content => Recall::Same(known.items.clone()),
            Some(_) => Recall::Other,
        }
    }

    pub(super) fn remember(&mut self, key: Key, content: [u8; 32], items: Arc<[Item]>, now: Stamp) {
        self.order.push_back((now, key.clone()));
        self.known.insert(key, Known { content, items });
        self.forget(now);
    }

    fn forget(&mut self, now: Stamp) {
        let oldest = now.plus_micros(-i64::from(self.window.seconds) * 1_000_000);
        while let Some((stamp, _)) = self.order.front() {
            if self.order.len() <= self.window.keys && *stamp > oldest {
                return;
            }
            if let Some((_, key)) = self.order.pop_front() {
                self.known.remove(&key);
            }
        }
    }
}

/// Returns what makes the content of an offer the same content: the SHA-256 of its payloads.
///
/// The ids are part of the payloads, unless they were minted, and then they differ each time by nature.
pub(super) fn content(drafts: &[Draft]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for draft in drafts {
        hasher.update((draft.text.len() as u64).to_be_bytes());
        hasher.update(draft.text.as_bytes());
    }
    hasher.finalize().into()
}

pub(super) fn other_content() -> Refusal {
    let detail =
        "this key came with other content before; send the same content again or take a new key";
    Refusal::new(RefusalKind::Conflict, "idempotency_conflict", detail).on("Idempotency-Key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).expect("a key")
    }

    #[test]
    fn keys_are_forgotten_by_age_and_by_number() {
        let mut memory = Memory::new(Window {
            keys: 2,
            seconds: 10,
        });
        let items: Arc<[Item]> = Arc::new([]);
        let at = |seconds: i64| Stamp(seconds * 1_000_000);
        memory.remember(key("a"), [1; 32], items.clone(), at(0));
        memory.remember(key("b"), [1; 32], items.clone(), at(5));
        assert_eq!(
            memory.recall(&key("a"), [1; 32], at(9)),
            Recall::Same(items.clone())
        );
        assert_eq!(memory.recall(&key("a"), [1; 32], at(10)), Recall::New);
        memory.remember(key("c"), [1; 32], items.clone(), at(10));
        memory.remember(key("d"), [1; 32], items, at(10));
        assert_eq!(memory.recall(&key("b"), [1; 32], at(10)), Recall::New);
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn keys_are_short_and_printable() {
        for bad in ["", "a\n", "é", &"x".repeat(256)] {
            assert_eq!(
                Key::new(bad).expect_err(bad).code,
                "idempotency_key_malformed"
            );
        }
        assert!(Key::new(&"x".repeat(255)).is_ok());
    }
}
