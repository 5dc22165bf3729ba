//! The office of coherence: which sources keep time, and what the gate does about it.
//!
//! It reads the one order by a cursor, like every reader, and measures each glint by the time at which the broker took it;
//! what a sender says of time is never looked at. For each page of events:
//! 1. measure, and note what changed;
//! 2. write what stands about sources with contracts to the [`Gate`], which the emitter reads;
//! 3. have changes kept: one `coherence` event and one witness record each.
//!
//! Once a second it looks for what time alone brings about: cycles that close, sources that are silent or dormant. At the
//! close of a cycle it writes signatures of the sources that were heard, sums the cycle up, and saves its own state.
//!
//! Should the engine panic, the office goes on without it: the gate opens and says so, and nothing else of the broker is
//! touched.
//!
//! Layout:
//! - `coherence/gate.rs`: what the emitter does with the glints of a source.
//! - `coherence/say.rs`: payloads and answers.
//! - `coherence/record.rs`: temporal memory: signatures, their chain, and its verification.
//! - `coherence/witness.rs`: the four layers of witnesses.
//! - `coherence/outbox.rs`: what is to be kept, in order.
//! - `coherence/keep.rs`: what this office finds again after a restart.
//! - `coherence/measure.rs`: what events and time do to the engine.
//! - `coherence/answer.rs`: questions; `coherence/act.rs`: what a person decides.
//! - `coherence/metrics.rs`: what is counted.

mod act;
mod answer;
mod gate;
mod keep;
mod measure;
mod metrics;
mod outbox;
pub mod record;
mod say;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ::coherence::{Arcs, Engine, Limits, Mesh, MeshLimits, Params};
use actix::prelude::*;
use glint::{Refusal, RefusalKind};

pub use self::act::{Act, contract_of, entry_of, malformed, number, promoted, refusal, whole};
pub use self::answer::{Ask, Order};
pub use self::gate::{Gate, Judged};
pub use self::metrics::{CoherenceMetrics, Meters};
use self::outbox::Outbox;
use self::record::Chain;
use self::witness::{Cycle, Witness};
use crate::clock::Clock;
use crate::emitter::{Commit, Emitter};
use crate::mail::{Clapper, Letter, Post, Ring};
use crate::puller::{Pull, Puller};
use crate::tail::Tail;
use crate::vault::SharedVault;
use crate::warden::Tripwire;

/// The name of the office.
pub const OFFICE: &str = "coherence";
/// Events measured at once, before others of this thread have their turn.
const PAGE: usize = 512;
/// Time between two looks at what time brings about.
const TICK: Duration = Duration::from_secs(1);
/// The same, in microseconds.
const TICK_US: i64 = 1_000_000;
/// Events that may be under way while verdicts still count as new.
const LATE: u64 = 8192;
/// Longest time between two savings of the state, in microseconds.
const SAVE_US: i64 = 60_000_000;
/// Time constant of the fast mass, in microseconds: how fast a flood is forgotten.
const FLOOD_US: f64 = 2e6;
/// Longest time that a flood is held back at once, in microseconds.
const HOLD_MAX_US: f64 = 60e6;

/// What this office runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What sources without a carrier of their own are measured with.
    pub params: Params,
    /// How many sources and contracts are held.
    pub limits: Limits,
    /// How many nodes of a mesh are.
    pub mesh: MeshLimits,
    /// The name of this node, in signatures and in the mesh.
    pub node: Box<str>,
    /// The breath as parts of a cycle.
    pub arcs: Arcs,
    /// Most signatures at the close of a cycle; the other sources have their turn at the next.
    pub signatures: usize,
    /// Micro records that are remembered.
    pub micro: usize,
}

/// What this office works with.
#[derive(Debug)]
pub struct Tools {
    /// The time.
    pub clock: Clock,
    /// The past.
    pub tail: Tail,
    /// Who has things kept.
    pub emitter: Post<Emitter>,
    /// Where the state is saved.
    pub vault: SharedVault,
    /// What is counted.
    pub metrics: CoherenceMetrics,
    /// The gate.
    pub gate: Gate,
}

/// The actor.
#[derive(Debug)]
pub struct Coherence {
    settings: Settings,
    tools: Tools,
    puller: Puller,
    clapper: Option<Clapper>,
    engine: Engine,
    mesh: Mesh,
    /// Which life of this node, for the mesh.
    incarnation: u64,
    outbox: Outbox,
    witness: Witness,
    /// Where the memory has come to, and as far as it is kept for certain.
    memory: Chain,
    memory_kept: Chain,
    /// The last event that is in the state.
    measured: u64,
    /// Changes that were kept before the last restart, and are about to be found again.
    said_before: BTreeMap<(Box<str>, Box<str>), u32>,
    /// Sources that a person put into quarantine.
    held: BTreeSet<Box<str>>,
    /// Glints that follow in the order as they were promoted: they were measured when they came.
    promoted: u64,
    cycle: Cycle,
    /// The last second that was looked at, in event time; when the state was saved.
    ticked_us: i64,
    saved_us: i64,
    signature_turn: usize,
    /// Sources that had to go, whose saved state goes with the next saving; signatures of such in this cycle.
    gone: Vec<Box<str>>,
    gone_signed: usize,
    /// The last event of the life before.
    recalled: u64,
    /// Whether events were gone before they were measured.
    approximate: bool,
    failed: bool,
    _tripwire: Tripwire,
}

impl Coherence {
    /// Makes the office, with the state that it finds in the vault.
    #[must_use]
    pub fn new(settings: Settings, tools: Tools, tripwire: Tripwire) -> Coherence {
        let now = tools.clock.now();
        let puller = Puller::new(tools.tail.clone(), tools.tail.head().seq);
        let mut office = Coherence {
            engine: Engine::new(settings.params, settings.limits),
            mesh: Mesh::new(settings.params, settings.mesh),
            incarnation: u64::try_from(now.0).unwrap_or(0),
            outbox: Outbox::default(),
            witness: Witness::new(settings.micro),
            memory: Chain::default(),
            memory_kept: Chain::default(),
            measured: puller.position(),
            said_before: BTreeMap::new(),
            held: BTreeSet::new(),
            promoted: 0,
            cycle: Cycle::default(),
            ticked_us: i64::MIN,
            saved_us: now.0,
            signature_turn: 0,
            gone: Vec::new(),
            gone_signed: 0,
            recalled: 0,
            approximate: false,
            failed: false,
            clapper: None,
            puller,
            settings,
            tools,
            _tripwire: tripwire,
        };
        office.cycle.number = office.settings.params.carrier.split(now.0).0;
        office.restore();
        office.judge_all(now);
        office.tools.gate.touch(now);
        office
    }

    /// Has the office rung: it lifts this clapper before it looks.
    #[must_use]
    pub fn rung_by(mut self, clapper: Clapper) -> Coherence {
        self.clapper = Some(clapper);
        self
    }

    /// Reads on, a page at a time, and lets others of this thread have their turn in between.
    fn read_on(&mut self, ctx: &mut Context<Self>) {
        if self.failed {
            return;
        }
        let started = self.tools.clock.instant();
        let more = match self.puller.pull(PAGE) {
            Ok(Pull::Events(events)) => {
                self.guarded(|office| office.measure(&events));
                self.puller.position() < self.tools.tail.head().seq
            }
            Ok(Pull::Gone { from, to }) => {
                self.approximate = true;
                self.tools.metrics.gone.inc_by(to - from);
                tracing::warn!(from, to, "events were gone before they were measured");
                true
            }
            Ok(Pull::Head) => false,
            Err(err) => {
                tracing::error!(%err, "the order cannot be read; sources are not measured");
                false
            }
        };
        let lag = self
            .tools
            .tail
            .head()
            .seq
            .saturating_sub(self.puller.position());
        self.tools
            .metrics
            .lag
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.pump(ctx);
        if more {
            let spent = self.tools.clock.instant().duration_since(started);
            self.tools
                .metrics
                .update_seconds
                .observe(spent.as_secs_f64());
            ctx.run_later(Duration::ZERO, Self::read_on);
        }
    }

    /// Does something with the engine. Should that panic, the gate opens for good, and nobody is judged any more.
    fn guarded(&mut self, step: impl FnOnce(&mut Coherence)) {
        if self.failed {
            return;
        }
        // What a panic leaves behind is not looked at again.
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_ok() {
            return;
        }
        self.failed = true;
        let why = "the engine of coherence gave up; start the broker again to have sources judged";
        self.tools.gate.fail(why);
        self.tools.metrics.gate_open.set(1);
        tracing::error!("{why}");
    }

    /// Looks at what time brought about, and at everybody with a contract.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(self.tools.clock.until_next(TICK), Self::tick);
        let now = self.tools.clock.now();
        self.guarded(|office| {
            let lag = office.tools.tail.head().seq.saturating_sub(office.measured);
            if lag == 0 && now.0.saturating_sub(office.ticked_us) >= TICK_US {
                office.pass(now);
            }
            office.judge_all(now);
            if lag <= LATE {
                office.tools.gate.touch(now);
            }
            if lag == 0 || office.measured > office.recalled {
                // Whatever was kept before the last restart has been found again by now.
                office.said_before.clear();
            }
        });
        let open = self.tools.gate.open_since(now).is_some();
        self.tools.metrics.gate_open.set(i64::from(open));
        self.pump(ctx);
    }

    /// Has the next batch kept, if none is under way.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        self.tools.metrics.outbox.set(self.outbox.len() as i64);
        let Some(entries) = self.outbox.next() else {
            return;
        };
        let commit = Commit { entries };
        let weight = commit.weight_bytes();
        let emitter = self.tools.emitter.clone();
        let sent = async move { emitter.ask(commit, weight).await.and_then(|kept| kept) };
        let told = sent.into_actor(self).map(|kept, office, ctx| match kept {
            Ok(_) => {
                let count = office.outbox.done(true);
                office.witness.kept[2] += count as u64;
                office.pump(ctx);
            }
            Err(err) => {
                tracing::warn!(%err, "records of coherence are not kept yet");
                office.outbox.done(false);
                ctx.run_later(TICK, Self::pump);
            }
        });
        ctx.spawn(told);
    }

    /// The refusal of whoever asks an office that gave up.
    fn alive(&self) -> Result<(), Refusal> {
        if !self.failed {
            return Ok(());
        }
        let detail = "sources are not measured any more, and everything passes the gate; look at the log, and start the broker again";
        Err(Refusal::new(
            RefusalKind::Unavailable,
            "coherence_failed",
            detail,
        ))
    }
}

impl Actor for Coherence {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(self.tools.clock.until_next(TICK), Self::tick);
        self.read_on(ctx);
    }
}

impl Handler<Ring> for Coherence {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        if let Some(clapper) = &self.clapper {
            clapper.lift();
        }
        self.read_on(ctx);
    }
}

impl Handler<Letter<Ask>> for Coherence {
    type Result = Result<String, Refusal>;

    fn handle(&mut self, letter: Letter<Ask>, _: &mut Self::Context) -> Self::Result {
        self.alive()?;
        self.answer(&letter.message)
    }
}

impl Handler<Letter<Act>> for Coherence {
    type Result = ResponseFuture<Result<String, Refusal>>;

    fn handle(&mut self, letter: Letter<Act>, ctx: &mut Self::Context) -> Self::Result {
        let (act, place) = letter.open();
        let done = self.alive().and_then(|()| self.act(act));
        self.pump(ctx);
        let kept = self.outbox.when_kept();
        Box::pin(async move {
            let _place = place;
            let answer = done?;
            // What a person decided is on record before it is said to be done.
            match kept.await {
                Ok(kept) => kept.map(|()| answer),
                Err(_) => Ok(answer),
            }
        })
    }
}

/// Has the engine give up, as it never should.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Sabotage;

#[cfg(test)]
impl Handler<Sabotage> for Coherence {
    type Result = ();

    fn handle(&mut self, _: Sabotage, _: &mut Self::Context) {
        self.guarded(|_| panic!("as the test asks"));
    }
}

#[cfg(test)]
mod tests;
