//! Closure: an order-independent reading of chains and links.
//!
//! The entries are the least set that has every hit, and with every entry all that its chain and its links name and
//! that has a payload. A link that an entry does not say itself is the least of those that chains claim for it. Both
//! are unions over the entries, so neither depends on which came first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Merge, QuotaError};
use crate::payload::Summary;
use crate::scan::{Hit, canonical_link, chain, leads, summary};

impl Merge<'_> {
    /// Merges one hit and everything that it leads to.
    pub(super) fn close(&mut self, key: &Arc<str>, hit: &Hit) -> Result<(), QuotaError> {
        if self.links(key).is_some() {
            return Ok(());
        }
        self.delta.imported += 1;
        let mut queue = VecDeque::from([key.clone()]);
        self.insert_own(key, &hit.summary)?;
        while let Some(url) = queue.pop_front() {
            let named = chain(&url, &self.registry.base);
            for member in &named {
                self.reach(member, &mut queue)?;
            }
            let own = self.links(&url).cloned().unwrap_or_default();
            for link in [own.origin, own.parent] {
                if let Some(link) = leads(link.as_deref()) {
                    self.reach(link, &mut queue)?;
                }
            }
            self.claim_chain(&url, &named);
        }
        Ok(())
    }

    /// Inserts an entry with the links that its payload says.
    fn insert_own(&mut self, url: &Arc<str>, said: &Summary) -> Result<(), QuotaError> {
        let mut links = said.links.clone();
        canonical_link(&mut links.origin, &self.registry.base);
        canonical_link(&mut links.parent, &self.registry.base);
        self.insert(url.clone(), said, links)
    }

    /// Inserts what is named and has a payload, and queues it to be read for what it names itself.
    fn reach(&mut self, url: &str, queue: &mut VecDeque<Arc<str>>) -> Result<(), QuotaError> {
        self.follow(url)?;
        if self.links(url).is_some() {
            return Ok(());
        }
        let Some(said) = summary(url, &self.registry.base) else {
            return Ok(());
        };
        let url: Arc<str> = url.into();
        self.insert_own(&url, &said)?;
        queue.push_back(url);
        Ok(())
    }

    fn claim_chain(&mut self, url: &str, named: &[Box<str>]) {
        let Some(first) = named.first() else {
            return;
        };
        let mut parent: Option<&str> = None;
        for member in named {
            self.claim(member, first, parent);
            parent = Some(member);
        }
        self.claim(url, first, parent);
    }

    /// Claims links for an entry: where it says none itself, the least claim holds.
    fn claim(&mut self, url: &str, origin: &str, parent: Option<&str>) {
        let (known, own) = match self.touched.get(url) {
            Some(touched) => (&touched.links, touched.own),
            None => match self.registry.get(url) {
                Some(entry) => (&entry.links, entry.own),
                None => return,
            },
        };
        let least = |own: bool, link: &Option<Box<str>>, claim: Option<&str>| match (
            link.as_deref(),
            claim,
        ) {
            (Some(link), Some(claim)) if !own && (link.is_empty() || claim < link) => {
                Some(claim.into())
            }
            (None, Some(claim)) if !own => Some(claim.into()),
            _ => link.clone(),
        };
        let mut links = known.clone();
        links.origin = least(own[0], &links.origin, Some(origin));
        links.parent = least(own[1], &links.parent, parent);
        if links != *known {
            self.edit(url, |known| *known = links);
        }
    }
}
