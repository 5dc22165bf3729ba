//! Sinks: what of the one order is kept in another shape elsewhere, such as tables. One office for each.
//!
//! A sink is never on the way of an acknowledgement: the log has the event already. For each sink:
//! 1. open the store and learn from it how far it is: the cursor is kept with the rows, in the same transaction;
//! 2. pull from there, in batches, until the head of the order is reached;
//! 3. write each batch with its cursor, all or nothing;
//! 4. at a failure that may pass, wait (longer each time, and never quite as long as another sink) and begin at 1;
//! 5. at a batch that is refused for good, halve it until one event is left; that one becomes a dead letter, and the
//!    cursor moves on.
//!
//! So nothing is written twice, nothing is passed over in silence, and nothing has to be started again.

mod courier;
mod dead;
mod pace;
mod status;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use glint::{Event, Offset, Topics};
use thiserror::Error;

use self::courier::Courier;
pub use self::dead::{DeadLetter, DeadLetters};
pub use self::status::{Report, SinkHandle, SinkMetrics, State};
use crate::clock::Clock;
use crate::mail::{Bell, Bells, Clapper, Ring};
use crate::tail::Tail;
use crate::vault::SharedVault;
use crate::warden::Tripwire;

/// How often it looks whether the order has gone on without events for it.
const LOOK: Duration = Duration::from_secs(1);

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It may do it later: it is away, full, or not set up yet.
    #[error("{0}")]
    Transient(String),
    /// It will never do it, whoever asks: one of the events does not fit into it.
    #[error("{0}")]
    Permanent(String),
}

/// What a store is about to answer.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a sink keeps what it takes. The driver comes from the layer above.
///
/// # Cancel safety
/// A future that is dropped may have done its work or not; the next [`Store::open`] tells.
pub trait Store: fmt::Debug + Send {
    /// Makes it ready, again if need be, and returns how far it is; none when it is new.
    fn open(&mut self) -> Pending<'_, Option<Offset>>;

    /// Keeps what `events` say, in order, and `upto` as how far it is: both or nothing. What it has already it passes
    /// over. There may be no events.
    fn write<'a>(&'a mut self, events: &'a [Arc<Event>], upto: Offset) -> Pending<'a, ()>;
}

/// Settings of a sink.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name; a label of metrics, so one of a closed list.
    pub name: &'static str,
    /// Tells which events it takes.
    pub wants: fn(&Event) -> bool,
    /// The topics of those. It is rung for them alone; for its place in the order it looks once a second.
    pub topics: Topics,
    /// Most events of a batch.
    pub batch_events: usize,
    /// Bytes of payload after which a batch is full.
    pub batch_bytes: usize,
    /// The shortest time between two writes, unless a batch is full: each costs the store a sync, and the log waits for the
    /// same disk.
    pub gather: Duration,
    /// How long the store may take for one thing.
    pub patience: Duration,
    /// The shortest and the longest time between two attempts at a store that fails.
    pub backoff: (Duration, Duration),
    /// Dead letters that are listed; the oldest leave the list, not the count.
    pub dead_max: usize,
}

/// What sinks share with the rest of the cast.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// The order.
    pub tail: Tail,
    /// Who rings when it goes on.
    pub bells: Bells,
    /// Where dead letters are listed.
    pub vault: SharedVault,
    /// What all sinks count.
    pub metrics: SinkMetrics,
}

/// The actor: it is rung, and has its courier look again.
#[derive(Debug)]
pub struct Sink {
    handle: SinkHandle,
    clock: Clock,
    bells: Bells,
    courier: Option<Courier>,
    clapper: Option<Clapper>,
    topics: Topics,
    _tripwire: Tripwire,
}

impl Sink {
    /// Makes a sink that fills `store`, and the handle to look at it.
    ///
    /// # Errors
    /// When the list of dead letters cannot be read.
    pub fn new(
        settings: Settings,
        store: Box<dyn Store>,
        around: Surroundings,
        tripwire: Tripwire,
    ) -> Result<(Sink, SinkHandle), crate::vault::VaultError> {
        let dead = DeadLetters::open(around.vault, settings.name, settings.dead_max)?;
        let metrics = around.metrics.of(settings.name);
        let handle = SinkHandle::new(settings.name, dead, around.tail.clone(), metrics);
        let topics = settings.topics;
        let courier = Courier::new(
            settings,
            store,
            around.clock.clone(),
            around.tail,
            handle.clone(),
        );
        let sink = Sink {
            handle: handle.clone(),
            clock: around.clock,
            bells: around.bells,
            courier: Some(courier),
            clapper: None,
            topics,
            _tripwire: tripwire,
        };
        Ok((sink, handle))
    }

    fn look_later(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(self.clock.until_next(LOOK), |sink, ctx| {
            sink.handle.wake();
            sink.look_later(ctx);
        });
    }
}

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (bell, clapper) = Bell::new(ctx.address().recipient());
        self.clapper = Some(clapper);
        self.bells.add(bell, self.topics);
        self.look_later(ctx);
        if let Some(courier) = self.courier.take() {
            ctx.spawn(courier.run().into_actor(self));
        }
    }
}

impl Handler<Ring> for Sink {
    type Result = ();

    fn handle(&mut self, _: Ring, _: &mut Self::Context) {
        if let Some(clapper) = &self.clapper {
            clapper.lift();
        }
        self.handle.wake();
    }
}

#[cfg(test)]
mod tests;
