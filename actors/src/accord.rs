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
//! - this file: the office and its messages.
//! - `counters`: what it counts.
//! - `index`: what was taken before.
//! - `keys`: the key ring and its changes.

mod counters;
mod index;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use attest::dedup::Verdict;
use attest::ring::{Change, Effect};
use attest::{Class, Fault, Kept, KeyEntry, KeyRing};
use glint::{Name, Offset, Refusal, RefusalKind};
use tokio::time::Instant;

pub use self::counters::Counters;
use self::index::Index;
pub use self::keys::load as load_ring;
use crate::clock::Clock;
use crate::emitter::{Commit, Emitter, Entry, Receipt};
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
/// Seconds after which an office that is behind has caught up.
const BEHIND_RETRY_SECONDS: u32 = 1;

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

/// Takes the traces of a batch: all that are new, or none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Outcome>, Refusal>")]
pub struct Take {
    /// The traces, verified, as they will be kept.
    pub traces: Vec<Kept>,
}

impl Take {
    /// Returns the weight of the message in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let weight = |kept: &Kept| kept.text.len() + 2 * kept.tuples.len() + size_of::<Kept>();
        self.traces.iter().map(weight).sum()
    }
}

/// What became of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was kept, here.
    Stored(Offset),
    /// It was kept before, here.
    Duplicate(Offset),
    /// Another content was kept before, here, that claims the same. This one is not kept.
    Conflict(Offset),
}

impl Outcome {
    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Stored(_) => "stored",
            Outcome::Duplicate(_) => "duplicate",
            Outcome::Conflict(_) => "conflict",
        }
    }

    /// Returns the place of what was kept.
    #[must_use]
    pub fn offset(self) -> Offset {
        match self {
            Outcome::Stored(at) | Outcome::Duplicate(at) | Outcome::Conflict(at) => at,
        }
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
            ctx.run_later(IDLE, Self::tick);
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

    /// Tells what is new, and marks it as on its way.
    fn begin(&mut self, traces: Vec<Kept>) -> Result<Begun, Refusal> {
        let ring = self.cell.read();
        for kept in &traces {
            let now = self.clock.now();
            ring.active(&kept.key_id, now).map_err(refusal)?;
        }
        if self.index.is_behind() {
            let detail = "too many traces wait to be remembered; send again later";
            let refusal = Refusal::new(RefusalKind::Busy, "accord_behind", detail);
            return Err(refusal.retry_after(BEHIND_RETRY_SECONDS));
        }
        let mut begun = Begun::default();
        for mut kept in traces {
            let verdict = self.index.judge(&kept).map_err(|err| {
                self.fail(&err);
                lost()
            })?;
            if verdict == Verdict::New {
                let mut entry = Entry::new(Name::TraceCommitted, std::mem::take(&mut kept.text));
                entry.id = Some(kept.content.to_string().into());
                entry.source = Some(kept.agent_id_hash.as_str().into());
                begun.entries.push(entry);
            }
            begun.traces.push((kept, verdict));
        }
        Ok(begun)
    }

    /// Says what became of each, now that it is known what became of the new ones.
    fn finish(
        &mut self,
        traces: &[(Kept, Verdict)],
        receipt: Result<Receipt, Refusal>,
    ) -> Result<Vec<Outcome>, Refusal> {
        let receipt = receipt.inspect_err(|refusal| {
            // Of what is late nobody knows; reading on will tell.
            if refusal.code != "office_late" {
                for (kept, _) in traces
                    .iter()
                    .filter(|(_, verdict)| *verdict == Verdict::New)
                {
                    self.index.forget(kept);
                }
            }
        })?;
        let mut places = receipt.items.iter();
        let new = traces
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::New);
        for ((kept, _), item) in new.zip(&mut places) {
            self.index.place(kept, item.offset.seq);
            self.counters.rows.inc_by(kept.rows.into());
        }
        // Before the answer: nobody is to read "all is saved" of a trace that is acknowledged and not yet saved.
        self.show();
        let mut outcomes = Vec::with_capacity(traces.len());
        for (kept, verdict) in traces {
            let outcome = self.outcome(kept, *verdict)?;
            let counter = self.counters.traces.with_label_values(&[outcome.as_str()]);
            counter.inc();
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn outcome(&mut self, kept: &Kept, verdict: Verdict) -> Result<Outcome, Refusal> {
        let content = match verdict {
            Verdict::Conflict { content, .. } => content,
            Verdict::New | Verdict::Duplicate { .. } => kept.content,
        };
        let known = match verdict {
            Verdict::Duplicate { seq } | Verdict::Conflict { seq, .. } if seq > 0 => Some(seq),
            _ => self.index.seq_of(kept.identity, content),
        };
        let seq = match known {
            // It was on its way when this came, ahead of this, and so is there now.
            Some(0) => {
                self.read_to_the_end().map_err(|err| {
                    self.fail(&err);
                    lost()
                })?;
                self.index.seq_of(kept.identity, content)
            }
            known => known,
        };
        let Some(seq) = seq.filter(|seq| *seq > 0) else {
            let detail = "the same trace was on its way and was not kept; send it again";
            return Err(Refusal::new(RefusalKind::Busy, "trace_lost", detail).retry_after(1));
        };
        let offset = Offset {
            epoch: self.epoch,
            seq,
        };
        Ok(match verdict {
            Verdict::New => Outcome::Stored(offset),
            Verdict::Duplicate { .. } => Outcome::Duplicate(offset),
            Verdict::Conflict { .. } => {
                tracing::warn!(agent = kept.agent_id_hash, trace = kept.trace_id, at = %offset, "an agent signed two contents for one claim");
                Outcome::Conflict(offset)
            }
        })
    }
}

/// A batch on its way.
#[derive(Debug, Default)]
struct Begun {
    traces: Vec<(Kept, Verdict)>,
    entries: Vec<Entry>,
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

impl Handler<Letter<Take>> for Accord {
    type Result = ResponseActFuture<Self, Result<Vec<Outcome>, Refusal>>;

    fn handle(&mut self, letter: Letter<Take>, _: &mut Self::Context) -> Self::Result {
        let (take, place) = letter.open();
        let emitter = self.emitter.clone();
        let begun = match self.begin(take.traces) {
            Ok(begun) => begun,
            Err(refusal) => return Box::pin(fut::err(refusal)),
        };
        let commit = Commit {
            entries: begun.entries,
        };
        let weight = commit.weight_bytes();
        let kept = async move {
            let _place = place;
            // Asked also when nothing is new: what this repeats may still be on its way, and goes first.
            emitter.ask(commit, weight).await?
        };
        let traces = begun.traces;
        Box::pin(
            kept.into_actor(self)
                .map(move |receipt, office, _| office.finish(&traces, receipt)),
        )
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
