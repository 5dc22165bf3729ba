//! The members of one map while it is read.

use std::borrow::Cow;
use std::collections::HashMap;

use glint::json::{Member, Value};

/// Maps with more members than this look up duplicate keys in a hash table instead of one by one.
const SMALL_MAP: usize = 24;

/// Keeps the order of first appearance; the last of duplicate keys stands at the first one's place.
#[derive(Default)]
pub(super) struct Members<'a> {
    list: Vec<Member<'a>>,
    /// Where the members behind the first [`SMALL_MAP`] are.
    index: Option<HashMap<Cow<'a, str>, usize>>,
}

impl<'a> Members<'a> {
    pub(super) fn put(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        if let Some(at) = self.find(&key) {
            self.list[at].1 = value;
            return;
        }
        if self.list.len() >= SMALL_MAP {
            let index = self.index.get_or_insert_default();
            index.insert(key.clone(), self.list.len());
        }
        self.list.push((key, value));
    }

    pub(super) fn into_list(self) -> Vec<Member<'a>> {
        self.list
    }

    fn find(&self, key: &str) -> Option<usize> {
        let small = self.list.len().min(SMALL_MAP);
        let near = self.list[..small].iter().position(|(name, _)| name == key);
        near.or_else(|| self.index.as_ref()?.get(key).copied())
    }
}
