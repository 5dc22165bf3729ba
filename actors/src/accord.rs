//! The accord: signed traces, each kept once, and the keys that sign them.
//!
//! Signatures are checked where bodies are read; here it is decided what is new. For each batch:
//! 1. refuse, if one of its keys has been taken back since;
//! 2. tell what is new from what was taken before, also from what is on its way to the disk;
//! 3. commit what is new, all of it or nothing;
//! 4. answer when that is kept.
//!
//! The one order is the truth. What this office remembers, it makes of what it reads there by its cursor; the vault holds
//! that and the cursor, so it outlives the records themselves. A key holds, or does not, from the moment its change is
//! kept.
//!
//! Layout:
//! - this file: the office, what it reads and what it saves.
//! - `counters`: what it counts.
//! - `index`: what was taken before.
//! - `keys`: the key ring and its changes.
//! - `take`: the way of a batch.

mod counters;
mod index;
mod keys;
mod take;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use attest::ring::{Change, Effect};
use attest::{Class, Fault, KeyEntry, KeyRing};
use glint::{Name, Refusal, RefusalKind};
use tokio::time::Instant;

pub use self::counters::Counters;
use self::index::Index;
pub use self::keys::load as load_ring;
pub use self::take::{Outcome, Take};
use crate::clock::Clock;
use crate::emitter::Emitter;
use crate::mail::{Letter, Post};
use crate::puller::{Pull, Puller};
use crate::tail::Tail;
use crate::vault::{SharedVault, VaultError};
use crate::warden::{Tripwire, Warden};

/// The office's name.
pub const OFFICE: &str = "accord";
/// How long after it had something to save the office reads on and looks for more: what comes meanwhile is put together in
/// one go, in which nobody is answered.
const TICK: Duration = Duration::from_millis(250);
/// How long when there was nothing.
const IDLE: Duration = Duration::from_secs(1);
/// How long what is put together may wait for the disk while more comes: each sync of the vault holds up those of the log,
/// and a start reads again what did not get there.
const SYNC_EVERY: Duration = Duration::from_secs(4);
/// Events that are pulled at once.
const PAGE_EVENTS: usize = 64;
/// Pages that are pulled in one go before others have their turn.
const TURN: usize = 4;
/// Pages that are pulled in one go while nobody waits for a turn.
const MANY: usize = 64;

/// The keys as they are now, for whoever verifies. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct RingCell {
    ring: Arc<ArcSwap<KeyRing>>,
}

impl RingCell {
    /// Returns the keys as they are now.
    #[must_use]
    pub fn read(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }
}

/// Changes a key.
#[derive(Debug, Message)]
#[rtype(result = "Result<Changed, Refusal>")]
pub struct ChangeKey(pub Change);

/// What became of a change.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The key as it is now.
    pub key: Arc<KeyEntry>,
    /// Whether it was so before.
    pub was_so: bool,
}

/// What the office stands on.
#[derive(Debug)]
pub struct Desk {
    /// The time.
    pub clock: Clock,
    /// The past.
    pub tail: Tail,
    /// Who gives events their places.
    pub emitter: Post<Emitter>,
    /// Where its memory is saved.
    pub vault: SharedVault,
    /// What it counts.
    pub counters: Counters,
    /// Who is told of its end.
    pub warden: Warden,
    /// Most traces that are remembered.
    pub remember: u64,
    /// The broker's own key, which is to be in the ring.
    pub broker: KeyEntry,
}

/// The actor.
#[derive(Debug)]
pub struct Accord {
    clock: Clock,
    epoch: u64,
    emitter: Post<Emitter>,
    vault: SharedVault,
    counters: Counters,
    warden: Warden,
    broker: KeyEntry,
    puller: Puller,
    index: Index,
    cell: RingCell,
    /// Whether the vault is being written.
    saving: bool,
    /// Traces that the vault has, but not its disk.
    noted: usize,
    /// When the vault's disk had everything last.
    synced: Instant,
    _tripwire: Tripwire,
}

impl Accord {
    /// Reads what was known, and in the one order what happened since.
    ///
    /// # Errors
    /// When the vault or the log cannot be read.
    pub fn open(desk: Desk) -> Result<Accord, VaultError> {
        let (index, cursor) = Index::open(desk.vault.clone(), desk.remember)?;
        let cell = RingCell::default();
        cell.ring.store(Arc::new(keys::load(&*desk.vault)?));
        let mut accord = Accord {
            epoch: desk.tail.epoch(),
            puller: Puller::new(desk.tail, cursor),
            _tripwire: desk.warden.tripwire(OFFICE),
            synced: desk.clock.instant(),
            clock: desk.clock,
            emitter: desk.emitter,
            vault: desk.vault,
            counters: desk.counters,
            warden: desk.warden,
            broker: desk.broker,
            index,
            cell,
            saving: false,
            noted: 0,
        };
        while accord.read_on(MANY)? {
            accord.save_now()?;
        }
        accord.save_now()?;
        accord.show();
        Ok(accord)
    }

    /// Returns the keys, for readers.
    #[must_use]
    pub fn ring(&self) -> RingCell {
        self.cell.clone()
    }

    fn show(&self) {
        self.counters.keys.set(self.cell.read().len() as i64);
        self.counters.remembered.set(self.index.remembered() as i64);
        let unsaved = self.index.unsaved() + self.noted;
        self.counters.unsaved.set(unsaved as i64);
    }

    fn read_to_the_end(&mut self) -> Result<(), VaultError> {
        while self.read_on(MANY)? {}
        Ok(())
    }

    /// Reads on in the one order, so many pages; tells whether there may be more.
    fn read_on(&mut self, pages: usize) -> Result<bool, VaultError> {
        for _ in 0..pages {
            let pull = self.puller.pull(PAGE_EVENTS);
            match pull.map_err(|err| VaultError(err.to_string()))? {
                Pull::Events(events) => {
                    for event in events {
                        match event.name {
                            Name::TraceCommitted => self.index.note(&event)?,
                            Name::KeyChanged => keys::note(&self.cell, &*self.vault, &event)?,
                            _ => {}
                        }
                    }
                }
                Pull::Gone { from, to } => {
                    tracing::warn!(from, to, "traces that are gone are not known as taken");
                }
                Pull::Head => return Ok(false),
            }
        }
        Ok(true)
    }

    fn save_now(&mut self) -> Result<(), VaultError> {
        let batch = self.index.collect(self.puller.position())?;
        if !batch.is_idle() {
            batch.write(&*self.vault, true)?;
        }
        self.index.saved();
        Ok(())
    }

    /// What was collected is in the vault, and on its disk if it `lasts`.
    fn saved(&mut self, lasts: bool, began: Instant) {
        let held = self.index.unsaved();
        self.index.saved();
        self.noted += held - self.index.unsaved();
        if lasts {
            (self.noted, self.synced) = (0, began);
        }
    }

    /// Reads on to the end, with turns for others, and saves off this thread: those who wait for an answer do not wait for
    /// the vault.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        match self.read_on(TURN) {
            Ok(false) => {}
            Ok(true) => {
                ctx.run_later(Duration::ZERO, Self::tick);
                return;
            }
            Err(err) => return self.fail(&err),
        }
        self.show();
        if self.saving {
            ctx.run_later(TICK, Self::tick);
            return;
        }
        let batch = match self.index.collect(self.puller.position()) {
            Ok(batch) => batch,
            Err(err) => return self.fail(&err),
        };
        if batch.is_idle() && self.noted == 0 {
            ctx.run_later(self.clock.until_next(IDLE), Self::tick);
            return;
        }
        ctx.run_later(TICK, Self::tick);
        self.saving = true;
        let began = self.clock.instant();
        let lasts = batch.is_idle() || began.duration_since(self.synced) >= SYNC_EVERY;
        let vault = self.vault.clone();
        let write = tokio::task::spawn_blocking(move || batch.write(&*vault, lasts));
        ctx.spawn(write.into_actor(self).map(move |written, office, _| {
            office.saving = false;
            match written {
                Ok(Ok(())) => office.saved(lasts, began),
                Ok(Err(err)) => office.fail(&err),
                Err(err) => office.fail(&VaultError(err.to_string())),
            }
        }));
    }

    /// Without its memory the office cannot keep its promise.
    fn fail(&self, err: &VaultError) {
        tracing::error!(%err, "the accord cannot go on");
        self.warden.report(OFFICE);
    }
}

/// What a fault of the kernel is to a sender of traces.
#[must_use]
pub fn refusal(fault: Fault) -> Refusal {
    let kind = match fault.code.class() {
        Class::Invalid => RefusalKind::Conflict,
        Class::Unauthenticated => RefusalKind::Unauthorised,
        Class::Forbidden => RefusalKind::Forbidden,
        Class::TooLarge => RefusalKind::TooLarge,
        Class::Conflict => RefusalKind::Taken,
    };
    let mut refusal = Refusal::new(kind, fault.code(), &fault.detail);
    if !fault.field.is_empty() {
        refusal.field = Some(fault.field);
    }
    refusal
}

fn lost() -> Refusal {
    let detail = "the memory of traces failed; the broker is about to stop";
    Refusal::new(RefusalKind::Internal, "accord_failed", detail)
}

impl Actor for Accord {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(TICK, Self::tick);
        let change = Change::Enrol(Box::new(self.broker.clone()));
        if self.cell.read().check(&change) != Ok(Effect::Nothing) {
            // Nobody is served before it is known whose word the redactions of this broker are.
            let enrolled = self.change(change);
            ctx.wait(enrolled.map(|changed, office, _| {
                if let Err(err) = changed {
                    office.fail(&VaultError(err.to_string()));
                }
            }));
        }
    }
}

impl Handler<Letter<ChangeKey>> for Accord {
    type Result = AtomicResponse<Self, Result<Changed, Refusal>>;

    /// One change at a time: what it was checked against still holds when it is kept.
    fn handle(&mut self, letter: Letter<ChangeKey>, _: &mut Self::Context) -> Self::Result {
        let (ChangeKey(change), place) = letter.open();
        let changed = self.change(change);
        AtomicResponse::new(Box::pin(changed.map(move |changed, _, _| {
            drop(place);
            changed
        })))
    }
}

#[cfg(test)]
mod tests;
