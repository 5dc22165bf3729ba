//! The ids of late.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Ids that are remembered to tell that one is used again.
const RECENT_IDS: usize = 65_536;

/// The ids of late, as hashes: a false "seen before" costs a suffix in one dashboard, nothing else.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RecentIds {
    /// Notes `id` and tells whether it was noted before.
    pub(super) fn note(&mut self, id: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > RECENT_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}
