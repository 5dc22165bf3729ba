//! The courier of a sink: carries events from the order to the store, in rounds that begin where the store says it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use glint::{Event, Offset};
use tokio::time::Instant;

use super::pace::Pace;
use super::{Pending, Settings, SinkHandle, Store, StoreError};
use crate::clock::Clock;
use crate::puller::{Pull, Puller};
use crate::tail::Tail;
use crate::vault::VaultError;

/// Events pulled at once.
const PAGE: usize = 512;
/// Events that nobody wants after which the cursor is stored all the same: so many are looked at again after a crash.
const CHECKPOINT: u64 = 20_000;
/// Dead letters that are offered again at once.
const LETTERS: usize = 64;

#[derive(Debug)]
pub(super) struct Courier {
    settings: Settings,
    store: Box<dyn Store>,
    clock: Clock,
    tail: Tail,
    handle: SinkHandle,
    pace: Pace,
    /// Most events of the next batch: fewer while one that is refused is looked for.
    narrow: usize,
    /// When it last wrote.
    wrote: Option<Instant>,
}

/// Where a round is.
struct Place {
    puller: Puller,
    /// Wanted events that were pulled and are not written.
    pending: VecDeque<Arc<Event>>,
    pending_bytes: usize,
    /// How far the store is.
    stored: u64,
    /// Whether the cursor has to move although nothing is written.
    moves: bool,
}

impl Courier {
    pub(super) fn new(
        settings: Settings,
        store: Box<dyn Store>,
        clock: Clock,
        tail: Tail,
        handle: SinkHandle,
    ) -> Courier {
        Courier {
            pace: Pace::new(settings.backoff),
            narrow: settings.batch_events,
            wrote: None,
            settings,
            store,
            clock,
            tail,
            handle,
        }
    }

    /// Goes on until the sink is told to stop.
    pub(super) async fn run(mut self) {
        while let Err(err) = self.round().await {
            let sink = self.settings.name;
            if self.handle.failed(&err.to_string(), self.clock.now()) {
                tracing::warn!(sink, %err, "the store of a sink fails; the log keeps what it lacks");
            }
            if self.handle.is_finishing() {
                break;
            }
            self.rest().await;
        }
        self.handle.stopped();
    }

    /// Waits for the next attempt. Whoever rings meanwhile is heard then; only the end of the broker cuts it short.
    async fn rest(&mut self) {
        let wait = self.pace.wait();
        self.pause(wait).await;
    }

    /// Waits until the last write is a while ago, so that more comes together for the next one.
    async fn gather(&mut self) {
        let now = self.clock.instant();
        let rest = self
            .wrote
            .map(|wrote| (wrote + self.settings.gather).saturating_duration_since(now));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            self.pause(rest).await;
        }
    }

    async fn pause(&mut self, time: Duration) {
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        while !self.handle.is_finishing() {
            tokio::select! {
                () = &mut over => return,
                () = self.handle.woken() => {}
            }
        }
    }

    /// One round: ends well when the sink is told to stop and everything is written.
    async fn round(&mut self) -> Result<(), StoreError> {
        let patience = self.settings.patience;
        let stored = within(patience, self.store.open()).await?;
        let mut place = self.begin(stored);
        self.handle.opened(self.at(place.stored));
        loop {
            self.fill(&mut place).await?;
            if place.has_work() {
                if !self.is_full(&place) {
                    self.gather().await;
                    self.fill(&mut place).await?;
                }
                self.deliver(&mut place).await?;
                continue;
            }
            if self.handle.take_retry() {
                self.offer_dead_letters(&place).await?;
            }
            self.handle.current();
            if self.handle.is_finishing() {
                return self.leave(&place).await;
            }
            self.handle.woken().await;
        }
    }

    /// Where to read on, given how far the store is.
    fn begin(&self, stored: Option<Offset>) -> Place {
        let (floor, head) = (self.tail.floor(), self.tail.head());
        let after = match stored {
            Some(stored) if stored.epoch != head.epoch => floor.seq,
            Some(stored) if stored.seq > head.seq => {
                let sink = self.settings.name;
                tracing::error!(%stored, %head, sink, "the log ends before what the store has seen; it is read again");
                floor.seq
            }
            Some(stored) => stored.seq,
            // What is gone before a store is first used is nobody's loss.
            None => floor.seq,
        };
        Place {
            puller: Puller::new(self.tail.clone(), after),
            pending: VecDeque::new(),
            pending_bytes: 0,
            stored: after,
            moves: false,
        }
    }

    /// Pulls until a batch is full or there is nothing more.
    async fn fill(&mut self, place: &mut Place) -> Result<(), StoreError> {
        while !self.is_full(place) {
            let pulled = place.puller.pull(PAGE);
            match pulled.map_err(|err| StoreError::Transient(err.to_string()))? {
                Pull::Events(events) => {
                    let wanted = events
                        .into_iter()
                        .filter(|event| (self.settings.wants)(event));
                    for event in wanted {
                        place.pending_bytes += event.text.len();
                        place.pending.push_back(event);
                    }
                }
                Pull::Gone { from, to } => {
                    let sink = self.settings.name;
                    tracing::error!(
                        sink,
                        from,
                        to,
                        "the log let events go before the sink had them"
                    );
                    self.handle.lost(to - from);
                }
                Pull::Head => break,
            }
            // Others live on this thread.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn is_full(&self, place: &Place) -> bool {
        place.pending.len() >= self.settings.batch_events
            || place.pending_bytes >= self.settings.batch_bytes
            || place.unwritten() >= CHECKPOINT
    }

    async fn deliver(&mut self, place: &mut Place) -> Result<(), StoreError> {
        let batch = place.batch(self.narrow, self.settings.batch_bytes);
        let upto = match batch.last() {
            Some(last) if batch.len() < place.pending.len() => last.offset,
            _ => self.at(place.puller.position()),
        };
        let started = self.clock.instant();
        let written = within(self.settings.patience, self.store.write(&batch, upto)).await;
        match written {
            Ok(()) => {
                place.done(batch.len(), upto.seq);
                self.wrote = Some(self.clock.instant());
                self.pace.reset();
                self.narrow = self
                    .narrow
                    .saturating_mul(2)
                    .min(self.settings.batch_events);
                let seconds = self.clock.instant().duration_since(started).as_secs_f64();
                self.handle.wrote(batch.len(), upto, seconds);
                Ok(())
            }
            Err(StoreError::Permanent(reason)) => match &batch[..] {
                [] => Err(StoreError::Transient(reason)),
                [event] => {
                    self.bury(event, &reason)?;
                    place.skip();
                    Ok(())
                }
                more => {
                    self.narrow = more.len() / 2;
                    Ok(())
                }
            },
            Err(err) => Err(err),
        }
    }

    fn bury(&self, event: &Event, reason: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let dead = self.handle.dead_letters();
        if dead.bury(event, now, reason).map_err(|err| vault(&err))? {
            let (sink, offset) = (self.settings.name, event.offset);
            tracing::error!(%offset, sink, reason, "a store refuses an event for good; it is a dead letter now");
            self.handle.refused();
        }
        Ok(())
    }

    /// Offers what is on the list once more; the cursor stays where it is.
    async fn offer_dead_letters(&mut self, place: &Place) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let dead = self.handle.dead_letters().clone();
            let letters = dead.list(after, LETTERS).map_err(|err| vault(&err))?;
            for letter in &letters {
                after = Some(letter.offset);
                if letter.offset.epoch != self.tail.epoch() {
                    continue;
                }
                let mut puller = Puller::new(self.tail.clone(), letter.offset.seq - 1);
                let Ok(Pull::Events(events)) = puller.pull(1) else {
                    continue;
                };
                let written = self.store.write(&events, self.at(place.stored));
                match within(self.settings.patience, written).await {
                    Ok(()) => dead.release(letter.offset).map_err(|err| vault(&err))?,
                    Err(StoreError::Permanent(_)) => {}
                    Err(err) => return Err(err),
                }
            }
            self.handle.count_dead();
            if letters.len() < LETTERS {
                return Ok(());
            }
        }
    }

    /// Stores the cursor a last time, so that the next life does not look again at what nobody wants.
    async fn leave(&mut self, place: &Place) -> Result<(), StoreError> {
        if place.unwritten() == 0 {
            return Ok(());
        }
        let upto = self.at(place.puller.position());
        within(self.settings.patience, self.store.write(&[], upto)).await
    }

    fn at(&self, seq: u64) -> Offset {
        Offset {
            epoch: self.tail.epoch(),
            seq,
        }
    }
}

impl Place {
    fn has_work(&self) -> bool {
        !self.pending.is_empty() || self.moves || self.unwritten() >= CHECKPOINT
    }

    /// Events between the cursor of the store and what was looked at.
    fn unwritten(&self) -> u64 {
        self.puller.position() - self.stored
    }

    fn batch(&self, max_events: usize, max_bytes: usize) -> Vec<Arc<Event>> {
        let mut bytes = 0;
        let fits = |event: &&Arc<Event>| {
            let first = bytes == 0;
            bytes += event.text.len();
            first || bytes <= max_bytes
        };
        let events = self.pending.iter().take(max_events.max(1));
        events.take_while(fits).cloned().collect()
    }

    fn done(&mut self, events: usize, upto: u64) {
        for event in self.pending.drain(..events) {
            self.pending_bytes -= event.text.len();
        }
        self.stored = upto;
        self.moves = false;
    }

    /// Leaves out the first event; the cursor moves over it with the next write.
    fn skip(&mut self) {
        if let Some(event) = self.pending.pop_front() {
            self.pending_bytes -= event.text.len();
        }
        self.moves = true;
    }
}

/// A store that does not answer is one that fails.
async fn within<T>(
    patience: std::time::Duration,
    pending: Pending<'_, T>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, pending).await {
        Ok(answer) => answer,
        Err(_) => {
            let reason = format!("no answer within {} s", patience.as_secs_f64());
            Err(StoreError::Transient(reason))
        }
    }
}

fn vault(err: &VaultError) -> StoreError {
    StoreError::Transient(err.to_string())
}
