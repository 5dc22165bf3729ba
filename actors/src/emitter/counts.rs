//! How many glints there were, by phase and by module: what dashboards show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use glint::Draft;

/// Most distinct words that are counted apart; further ones are counted as one, `(other)`.
pub const MAX_WORDS: usize = 1000;

/// What a glint without the word is counted as.
const UNKNOWN: &str = "unknown";
/// What words beyond the limit are counted as.
const OTHER: &str = "(other)";

/// Counts since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All glints.
    pub total: u64,
    /// By the phase that they named.
    pub by_phase: BTreeMap<Box<str>, u64>,
    /// By their source.
    pub by_module: BTreeMap<Box<str>, u64>,
}

/// The counts, shared: the emitter adds, anybody reads.
#[derive(Debug, Clone, Default)]
pub struct CountsHandle {
    counts: Arc<Mutex<Counts>>,
}

impl CountsHandle {
    /// Returns the counts as they are.
    #[must_use]
    pub fn read(&self) -> Counts {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn add(&self, draft: &Draft) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total += 1;
        count(&mut counts.by_phase, draft.phase.as_deref());
        count(&mut counts.by_module, draft.source.as_deref());
    }
}

fn count(words: &mut BTreeMap<Box<str>, u64>, word: Option<&str>) {
    let word = word.unwrap_or(UNKNOWN);
    if let Some(count) = words.get_mut(word) {
        *count += 1;
        return;
    }
    let word = if words.len() < MAX_WORDS { word } else { OTHER };
    *words.entry(word.into()).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_words_are_bounded() {
        let mut words = BTreeMap::new();
        for number in 0..MAX_WORDS + 50 {
            count(&mut words, Some(&format!("w{number}")));
        }
        count(&mut words, Some("w0"));
        assert_eq!(words.len(), MAX_WORDS + 1);
        assert_eq!((words["w0"], words[OTHER]), (2, 50));
    }

    #[test]
    fn what_names_no_word_is_unknown() {
        let mut words = BTreeMap::new();
        count(&mut words, None);
        assert_eq!(words[UNKNOWN], 1);
    }
}
