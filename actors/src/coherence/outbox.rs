//! What this office has to say, in order: one batch is under way at a time, and what was not kept is said again.

use std::collections::VecDeque;

use glint::Refusal;
use tokio::sync::oneshot;

use crate::emitter::Entry;

/// Entries of one batch, beyond which no further group joins it.
const BATCH: usize = 256;
/// Entries that may wait. Beyond it, what may be left out is left out.
const ROOM: usize = 8192;

/// Who waits until everything up to a number is kept.
type Waiter = (u64, oneshot::Sender<Result<(), Refusal>>);

/// The outbox.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Groups that must be kept together.
    groups: VecDeque<Vec<Entry>>,
    waiting: usize,
    /// Groups ever taken in, and ever kept.
    taken: u64,
    kept: u64,
    under_way: Option<(u64, Vec<Entry>)>,
    waiters: Vec<Waiter>,
}

impl Outbox {
    /// Takes in a group.
    pub(super) fn push(&mut self, group: Vec<Entry>) {
        if group.is_empty() {
            return;
        }
        self.waiting += group.len();
        self.taken += 1;
        self.groups.push_back(group);
    }

    /// Tells whether there is room for what may be left out.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < ROOM
    }

    /// Returns how many entries wait, those under way included.
    pub(super) fn len(&self) -> usize {
        self.waiting
            + self
                .under_way
                .as_ref()
                .map_or(0, |(_, entries)| entries.len())
    }

    /// Returns the next batch, if none is under way.
    pub(super) fn next(&mut self) -> Option<Vec<Entry>> {
        if self.under_way.is_some() {
            return None;
        }
        let (mut batch, mut groups) = (Vec::new(), 0);
        while let Some(group) = self.groups.front() {
            if !batch.is_empty() && batch.len() + group.len() > BATCH {
                break;
            }
            batch.extend(self.groups.pop_front().into_iter().flatten());
            groups += 1;
        }
        if batch.is_empty() {
            return None;
        }
        self.waiting -= batch.len();
        self.under_way = Some((groups, batch.clone()));
        Some(batch)
    }

    /// The batch under way is kept, or goes back to the front. Returns how many entries are kept.
    pub(super) fn done(&mut self, kept: bool) -> usize {
        let Some((groups, batch)) = self.under_way.take() else {
            return 0;
        };
        if !kept {
            self.waiting += batch.len();
            // They were one batch, and stay one group: together they were to be kept.
            self.taken -= groups - 1;
            for (after, _) in &mut self.waiters {
                *after -= (groups - 1).min(*after - self.kept - 1);
            }
            self.groups.push_front(batch);
            return 0;
        }
        self.kept += groups;
        let kept = self.kept;
        let (due, later): (Vec<Waiter>, Vec<Waiter>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|(after, _)| *after <= kept);
        self.waiters = later;
        for (_, waiter) in due {
            // Whoever went away does not need to know.
            let _ = waiter.send(Ok(()));
        }
        batch.len()
    }

    /// Returns what is told when everything that was taken in so far is kept.
    pub(super) fn when_kept(&mut self) -> oneshot::Receiver<Result<(), Refusal>> {
        let (sender, receiver) = oneshot::channel();
        if self.kept == self.taken {
            let _ = sender.send(Ok(()));
        } else {
            self.waiters.push((self.taken, sender));
        }
        receiver
    }
}

#[cfg(test)]
mod tests {
    use glint::Name;

    use super::*;

    fn group(count: usize) -> Vec<Entry> {
        vec![Entry::new(Name::WitnessMacro, "{}"); count]
    }

    #[test]
    fn one_batch_is_under_way_and_groups_are_not_cut() {
        let mut outbox = Outbox::default();
        outbox.push(group(200));
        outbox.push(group(100));
        assert_eq!(outbox.next().map(|batch| batch.len()), Some(200));
        assert!(outbox.next().is_none());
        assert_eq!((outbox.done(true), outbox.len()), (200, 100));
        assert_eq!(outbox.next().map(|batch| batch.len()), Some(100));
    }

    #[test]
    fn what_was_not_kept_comes_again_and_is_waited_for() {
        let mut outbox = Outbox::default();
        outbox.push(group(1));
        outbox.push(group(2));
        let mut early = outbox.when_kept();
        assert_eq!(outbox.next().map(|batch| batch.len()), Some(3));
        outbox.push(group(3));
        let mut late = outbox.when_kept();
        outbox.done(false);
        assert!(early.try_recv().is_err() && late.try_recv().is_err());
        assert_eq!(outbox.next().map(|batch| batch.len()), Some(6));
        outbox.done(true);
        assert!(early.try_recv().is_ok() && late.try_recv().is_ok());
        assert_eq!(outbox.len(), 0);
        assert!(outbox.when_kept().try_recv().is_ok());
    }
}
