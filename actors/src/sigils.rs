//! The office of the registry: the only writer of the sealed set of URLs.
//!
//! For each upload, one after the other:
//! 1. work out what its hits do to the registry;
//! 2. if that is nothing, answer: no record, no write, no event;
//! 3. commit the batch to the log, and wait until it is kept;
//! 4. do it, and show readers the new snapshot;
//! 5. answer.
//!
//! The seal is worked out apart from that, on another thread, when somebody asks for it or when it is to be announced:
//! reading a large list takes longer than taking an upload.
//!
//! Layout:
//! - [`Sigils`]: the actor.
//! - [`record`]: a batch in the log.
//! - `keep`: the state in the vault.
//! - [`restore`]: the state at a start.
//! - `announce`: the event that says the seal is another.

mod announce;
mod keep;
pub mod record;
pub mod restore;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use glint::{Offset, Refusal, RefusalKind};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry as Metered,
};
use registry::{Base, Delta, Hit, Mode, Quota, QuotaError, Registry, Seal, Snapshot};

use self::announce::Announcer;
pub use self::announce::Board;
use self::keep::{Keep, Place};
use self::record::Batch;
use self::restore::{RestoreFault, Restored};
use crate::clock::Clock;
use crate::emitter::{Commit, Emitter};
use crate::mail::{Letter, Post};
use crate::tail::Tail;
use crate::vault::SharedVault;
use crate::warden::{Tripwire, Warden};

/// The office that the warden knows the registry by.
pub const OFFICE: &str = "registry";

/// Bytes of URLs of which the seal is worked out where it is wanted; for more another thread is worth its wake.
const SEAL_HERE_BYTES: usize = 256 * 1024;

/// How often what changed is put into the vault.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Events after which the vault is told how far the state goes, though nothing changed.
const SAVE_EVENTS: u64 = 100_000;

/// Seconds after which it is worth asking a full registry again: an operator may have made room.
const FULL_RETRY_SECONDS: u32 = 120;

/// What the office runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The origin of relative references.
    pub base: Base,
    /// How uploads are merged.
    pub mode: Mode,
    /// What one upload may do.
    pub quota: Quota,
    /// Shortest time between two announcements of a seal.
    pub seal_every: Duration,
}

/// What the office stands on.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// The time.
    pub clock: Clock,
    /// The past.
    pub tail: Tail,
    /// Who gives records their places.
    pub emitter: Post<Emitter>,
    /// Where the state is kept, if it outlives the process.
    pub vault: Option<SharedVault>,
    /// Who is told of the end.
    pub warden: Warden,
}

/// The registry as readers see it. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Showcase(Arc<ArcSwap<Snapshot>>);

impl Showcase {
    /// Returns the registry as it is now.
    #[must_use]
    pub fn now(&self) -> Snapshot {
        Snapshot::clone(&self.0.load())
    }
}

/// Returns the seal of a snapshot without holding up this thread.
pub async fn seal_of(snapshot: &Snapshot) -> Seal {
    if let Some(seal) = snapshot.known_seal() {
        return seal;
    }
    if snapshot.url_bytes() > SEAL_HERE_BYTES {
        let list = snapshot.clone();
        // A task that was cut off leaves the work to the line below.
        let _ = tokio::task::spawn_blocking(move || list.seal()).await;
    }
    snapshot.seal()
}

/// Uploads hits: all of them are merged, or none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Inhaled, Refusal>")]
pub struct Inhale {
    /// The hits, in their order.
    pub hits: Vec<Hit>,
}

impl Inhale {
    /// Returns the weight of the message in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let chain = |hit: &Hit| hit.chain.iter().map(|member| member.len()).sum::<usize>();
        self.hits
            .iter()
            .map(|hit| size_of::<Hit>() + hit.key.len() + chain(hit))
            .sum()
    }
}

/// What became of an upload.
#[derive(Debug, Clone)]
pub struct Inhaled {
    /// How many hits there were.
    pub total: usize,
    /// How many inserted or changed their own entry.
    pub imported: usize,
    /// The place of its record, if it changed anything.
    pub offset: Option<Offset>,
    /// The registry afterwards.
    pub after: Snapshot,
}

/// Puts what changed into the vault, unless that is under way: what is left then is in the log.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Save;

/// What the registry counts.
#[derive(Debug, Clone)]
struct Metrics {
    entries: IntGauge,
    bytes: IntGauge,
    uploads: IntCounterVec,
    merge_seconds: Histogram,
    seals: IntCounter,
}

impl Metrics {
    fn register(metered: &Metered) -> prometheus::Result<Metrics> {
        let opts = Opts::new(
            "glintcast_registry_uploads_total",
            "Uploads, by what became of them.",
        );
        let merge = "Time to work out what an upload does, without the disk.";
        let metrics = Metrics {
            entries: IntGauge::new("glintcast_registry_entries", "Entries of the registry.")?,
            bytes: IntGauge::new(
                "glintcast_registry_url_bytes",
                "Bytes of all URLs of the registry together.",
            )?,
            uploads: IntCounterVec::new(opts, &["outcome"])?,
            merge_seconds: Histogram::with_opts(HistogramOpts::new(
                "glintcast_registry_merge_seconds",
                merge,
            ))?,
            seals: IntCounter::new(
                "glintcast_registry_seals_total",
                "Seals that were announced.",
            )?,
        };
        metered.register(Box::new(metrics.entries.clone()))?;
        metered.register(Box::new(metrics.bytes.clone()))?;
        metered.register(Box::new(metrics.uploads.clone()))?;
        metered.register(Box::new(metrics.merge_seconds.clone()))?;
        metered.register(Box::new(metrics.seals.clone()))?;
        Ok(metrics)
    }

    fn outcome(&self, outcome: &'static str) {
        self.uploads.with_label_values(&[outcome]).inc();
    }

    fn show(&self, now: &Snapshot) {
        self.entries.set(now.list().len() as i64);
        self.bytes.set(now.url_bytes() as i64);
    }
}

/// The actor.
#[derive(Debug)]
pub struct Sigils {
    registry: Registry,
    showcase: Showcase,
    quota: Quota,
    batch: u64,
    /// The last event that is in the registry.
    after: u64,
    keep: Option<Keep>,
    announcer: Announcer,
    grounds: Grounds,
    metrics: Metrics,
    _tripwire: Tripwire,
}

impl Sigils {
    /// Restores the registry.
    ///
    /// # Errors
    /// [`RestoreFault`]: what is kept is damaged, or does not add up. Then it must not be served.
    pub fn restore(
        settings: &Settings,
        grounds: Grounds,
        metered: &Metered,
    ) -> Result<Sigils, RestoreFault> {
        let (mut keep, mut restored) = match grounds.vault.clone() {
            Some(vault) => {
                let (keep, restored) = Keep::open(vault, &settings.base)?;
                (Some(keep), restored)
            }
            None => {
                let empty = Registry::new(settings.base.clone(), settings.mode);
                (None, Restored::new(empty, &keep::Head::default()))
            }
        };
        restored.replay(&grounds.tail)?;
        let Restored { mut registry, .. } = restored;
        registry.set_rules(settings.base.clone(), settings.mode);
        // Closure is a function of the URLs alone: what was merged otherwise is merged again.
        let reclose = settings.mode == Mode::Closure && !restored.closed;
        if reclose {
            registry = closed(&registry, &settings.base);
        }
        let now = registry.snapshot();
        let place = Place {
            after: restored.after,
            batch: restored.batch,
            announced: restored.announced,
            mode: settings.mode,
        };
        if let Some(keep) = &mut keep
            && (restored.replayed || reclose || keep.after() != restored.after)
        {
            keep.save(place, &now, true)?;
        }
        tracing::info!(
            entries = now.list().len(),
            batch = restored.batch,
            "the registry is open"
        );
        let metrics =
            Metrics::register(metered).map_err(|err| RestoreFault::Metrics(err.to_string()))?;
        metrics.show(&now);
        Ok(Sigils {
            registry,
            showcase: Showcase(Arc::new(ArcSwap::from_pointee(now.clone()))),
            quota: settings.quota,
            batch: restored.batch,
            after: restored.after,
            keep,
            announcer: Announcer::new(
                restored.announced,
                &now,
                settings.seal_every,
                metrics.seals.clone(),
            ),
            _tripwire: grounds.warden.tripwire(OFFICE),
            grounds,
            metrics,
        })
    }

    /// Returns the registry as readers see it.
    #[must_use]
    pub fn showcase(&self) -> Showcase {
        self.showcase.clone()
    }

    /// Returns what new subscribers to seals are told.
    #[must_use]
    pub fn board(&self) -> Board {
        self.announcer.board()
    }

    /// Works out what an upload does.
    fn weigh(&self, inhale: Inhale) -> Result<Delta, Refusal> {
        let started = self.grounds.clock.instant();
        let delta = self
            .registry
            .merge(inhale.hits, &self.quota)
            .map_err(|err| {
                self.metrics.outcome("refused");
                refused(err)
            })?;
        let taken = self.grounds.clock.instant().duration_since(started);
        self.metrics.merge_seconds.observe(taken.as_secs_f64());
        Ok(delta)
    }

    /// Does what was kept, and shows it.
    fn apply(&mut self, delta: &Delta, offset: Option<Offset>) {
        self.batch += 1;
        self.after = offset.map_or(self.after, |offset| offset.seq);
        self.registry.apply(delta);
        let now = self.registry.snapshot();
        self.metrics.show(&now);
        self.metrics.outcome("changed");
        self.announcer.note(delta);
        self.showcase.0.store(Arc::new(now));
        if let Some(keep) = &mut self.keep {
            keep.note(delta.inserted.iter().chain(&delta.changed).cloned());
        }
    }

    fn batch_of(&self, delta: &Delta) -> Batch {
        let (base, mode) = self.registry.rules();
        let added = delta.inserted.iter().map(|entry| entry.fingerprint);
        Batch {
            number: self.batch + 1,
            base: base.clone(),
            mode,
            urls: delta.effective.clone(),
            sum: added.fold(self.registry.sum(), u128::wrapping_add),
        }
    }

    fn answer(&self, delta: &Delta, offset: Option<Offset>) -> Inhaled {
        Inhaled {
            total: delta.total,
            imported: delta.imported,
            offset,
            after: self.registry.snapshot(),
        }
    }

    /// Nobody knows whether the batch was kept: only the log does, at the next start.
    fn cannot_go_on(&self, refusal: &Refusal) {
        tracing::error!(%refusal, "a batch may be kept or not; the process ends to find out");
        self.grounds.warden.report(OFFICE);
    }

    /// Begins to put what is new into the vault, unless that goes on already. Written on a thread of its own: after many
    /// uploads it takes as long as all of them.
    fn save(&mut self) -> Option<impl ActorFuture<Self, Output = ()> + 'static> {
        let (after, batch, announced) = (self.after, self.batch, self.announcer.announced());
        let mode = self.registry.rules().1;
        let keep = self.keep.as_mut().filter(|keep| !keep.is_saving())?;
        if !keep.is_behind() && after < keep.after() + SAVE_EVENTS {
            return None;
        }
        let place = Place {
            after,
            batch,
            announced,
            mode,
        };
        let saving = keep.begin(place, &self.registry.snapshot(), false);
        let written = tokio::task::spawn_blocking(move || saving.write());
        Some(written.into_actor(self).map(|saved, office, _| {
            let (Ok(saved), Some(keep)) = (saved, &mut office.keep) else {
                tracing::error!("the thread that saves the registry is gone");
                return office.grounds.warden.report(OFFICE);
            };
            if let Err(err) = keep.end(saved) {
                // The log has it all. A start reads more of it.
                tracing::error!(%err, "the registry was not put into the vault");
            }
        }))
    }
}

/// Merges the URLs of a registry again, with closure.
fn closed(registry: &Registry, base: &Base) -> Registry {
    let mut closed = Registry::new(base.clone(), Mode::Closure);
    let now = registry.snapshot();
    let hits = now
        .list()
        .iter()
        .filter_map(|entry| Hit::of_key(&entry.url, base))
        .collect();
    if let Ok(delta) = closed.merge(hits, &Quota::NONE) {
        closed.apply(&delta);
    }
    closed
}

fn refused(err: QuotaError) -> Refusal {
    if err.is_full() {
        return Refusal::new(RefusalKind::Busy, err.code(), err).retry_after(FULL_RETRY_SECONDS);
    }
    Refusal::new(RefusalKind::TooLarge, err.code(), err)
}

/// Tells whether a refused commit was certainly not kept.
fn is_certain(refusal: &Refusal) -> bool {
    matches!(refusal.code, "office_full" | "ledger_full" | "draining")
}

impl Actor for Sigils {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SAVE_EVERY, |office, context| {
            if let Some(saved) = office.save() {
                context.spawn(saved);
            }
        });
        self.announcer.start(context);
    }
}

impl Handler<Letter<Inhale>> for Sigils {
    type Result = AtomicResponse<Self, Result<Inhaled, Refusal>>;

    fn handle(&mut self, letter: Letter<Inhale>, _: &mut Self::Context) -> Self::Result {
        let (inhale, place) = letter.open();
        let delta = match self.weigh(inhale) {
            Ok(delta) if !delta.is_empty() => delta,
            Ok(delta) => {
                self.metrics.outcome("known");
                return AtomicResponse::new(Box::pin(fut::ready(Ok(self.answer(&delta, None)))));
            }
            Err(refusal) => return AtomicResponse::new(Box::pin(fut::ready(Err(refusal)))),
        };
        let commit = Commit {
            entries: record::write(&self.batch_of(&delta)),
        };
        let weight = commit.weight_bytes();
        let emitter = self.grounds.emitter.clone();
        // No other message is handled meanwhile: the next upload is worked out from what this one leaves.
        let kept = async move { emitter.ask(commit, weight).await.and_then(|kept| kept) };
        AtomicResponse::new(Box::pin(kept.into_actor(self).map(
            move |kept, office, context| {
                let _place = place;
                match kept {
                    Ok(receipt) => {
                        let offset = receipt.items.last().map(|item| item.offset);
                        office.apply(&delta, offset);
                        office.announcer.wake(context);
                        Ok(office.answer(&delta, offset))
                    }
                    Err(refusal) => {
                        office.metrics.outcome("refused");
                        if !is_certain(&refusal) {
                            office.cannot_go_on(&refusal);
                        }
                        Err(refusal)
                    }
                }
            },
        )))
    }
}

impl Handler<Letter<Save>> for Sigils {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Letter<Save>, _: &mut Self::Context) -> Self::Result {
        match self.save() {
            Some(saved) => Box::pin(saved),
            None => Box::pin(fut::ready(())),
        }
    }
}
