//! The shard: one per HTTP worker, it turns the feed into lanes and wakes the streams of that worker.
//!
//! Messages bring no data. A [`Ring`] says that the tail has grown; the shard then reads on from its own number, spells
//! each event once per lane that wants it, and wakes who waits. A stream is a [`Seat`]: a cursor into a lane, or into
//! history until it has caught up. Everything here stays on one thread; nothing is locked, shared or sent.
//!
//! Layout:
//! - `shard.rs`: the actor, its messages, [`ShardHandle::attach`].
//! - `core`: what the actor and the seats of its worker share.
//! - `lanes`: lanes by view and form, and their numbering.
//! - `documents`: topics that come as what changes in them.
//! - `outlet`: a body that fetches its bytes, or a socket that is written to.
//! - `pump`: visits streams in slices.
//! - `deliver`: writes to sockets.
//! - `sockets`: watches them.
//! - `slots`: what is known of one stream; reading from it.
//! - `slow`: what a stream gets that did not keep up.
//! - `replay`: reading history, from memory and from disk, until a lane is reached.
//! - `start`: where a stream begins and ends.
//! - `wheel`: when to look at which stream.
//! - `round`: what is done then: keepalives, time limits, drain.

mod core;
mod deliver;
mod documents;
mod lanes;
mod outlet;
mod pump;
mod replay;
mod round;
mod slots;
mod slow;
#[cfg(unix)]
mod sockets;
mod start;
#[cfg(test)]
mod tests;
mod wheel;

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use glint::{Refusal, Zone};
use sieve::View;
use wire::{Control, Form};

pub use self::outlet::{Business, Ear};
pub use self::slow::Slow;
pub use self::start::{From, Reach, To, settle};

use self::core::Core;
use crate::clock::Clock;
use crate::mail::{Bell, Clapper, Ring};
use crate::metrics::Metrics;
use crate::phase::StateCell;
use crate::tail::Tail;
use crate::warden::Tripwire;

/// How often streams are looked at for keepalives and time limits.
const ROUND: Duration = Duration::from_secs(1);
/// How often streams are looked at while the worker drains.
const DRAIN_ROUND: Duration = Duration::from_millis(50);

/// What a shard runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The number of this worker, from 0.
    pub worker: u64,
    /// The window of each lane.
    pub lane: lane::Limits,
    /// Lanes at most; a stream that needs one more is refused.
    pub lanes_max: usize,
    /// Streams at most, over all workers.
    pub streams_max: usize,
    /// Longest silence on a stream.
    pub keepalive: Duration,
    /// How long a socket may take nothing of what there is for it.
    pub stall: Duration,
    /// How long events are held back, so that more of them go out together.
    pub coalesce: Duration,
    /// Shortest and longest time after which a client is told to come back, in milliseconds.
    pub retry_ms: (u32, u32),
    /// What zoneless times are local to.
    pub zone: Zone,
}

/// What a stream is to be.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which events.
    pub view: View,
    /// How they are spelt.
    pub form: Form,
    /// Whether topics that are documents come as what changes in them, in forms that have frames for it.
    pub patched: bool,
    /// Where it begins.
    pub from: From,
    /// Where it ends; what comes after is not waited for.
    pub to: Option<To>,
    /// What happens when it does not keep up.
    pub slow: Slow,
    /// Events after which it ends.
    pub limit: Option<u64>,
    /// Time after which it ends.
    pub timeout: Option<Duration>,
}

/// Ends the streams of this worker, spread over a time, and takes no more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// The time over which the farewells are spread.
    pub spread: Duration,
}

/// The actor.
#[derive(Debug)]
pub struct Shard {
    handle: ShardHandle,
    clapper: Clapper,
    round: Option<SpawnHandle>,
    _tripwire: Tripwire,
}

/// The shard of this worker, for the handlers of the same thread.
#[derive(Debug, Clone)]
pub struct ShardHandle {
    core: Rc<RefCell<Core>>,
}

impl Shard {
    /// Starts a shard on the current arbiter, and returns its handle, the bell that rings it and its address.
    #[must_use]
    pub fn start_here(
        settings: Settings,
        clock: Clock,
        tail: Tail,
        state: StateCell,
        metrics: &Metrics,
        tripwire: Tripwire,
    ) -> (ShardHandle, Bell, Addr<Shard>) {
        let handle = ShardHandle {
            core: Rc::new(RefCell::new(Core::new(
                settings, clock, tail, state, metrics,
            ))),
        };
        let ctx = Context::<Shard>::new();
        let addr = ctx.address();
        let (bell, clapper) = Bell::new(addr.clone().recipient());
        ctx.run(Shard {
            handle: handle.clone(),
            clapper,
            round: None,
            _tripwire: tripwire,
        });
        (handle, bell, addr)
    }

    fn look_every(&mut self, period: Duration, ctx: &mut Context<Self>) {
        if let Some(round) = self.round.take() {
            ctx.cancel_future(round);
        }
        let wait = self.handle.core.borrow().clock.until_next(period);
        self.round = Some(ctx.run_later(wait, move |shard, ctx| {
            shard.handle.core.borrow_mut().round();
            shard.handle.pump();
            shard.look_every(period, ctx);
        }));
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_every(ROUND, ctx);
    }
}

impl Handler<Ring> for Shard {
    type Result = ();

    fn handle(&mut self, _: Ring, _: &mut Self::Context) {
        self.clapper.lift();
        self.handle.core.borrow_mut().pull();
        self.handle.pump();
    }
}

impl Handler<Drain> for Shard {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.handle.core.borrow_mut().drain(drain.spread);
        self.look_every(DRAIN_ROUND, ctx);
    }
}

impl ShardHandle {
    /// Opens a stream. Its greeting, and a gap if it begins with one, are its first bytes.
    ///
    /// # Errors
    /// `streams_full` or `views_full` at the bound, `draining` when the broker is stopping.
    pub fn attach(&self, request: Request) -> Result<Seat, Refusal> {
        self.open(request, false)
    }

    /// Opens a stream that will be given a socket, on which the head of the response has promised chunks.
    ///
    /// # Errors
    /// As [`ShardHandle::attach`].
    pub fn attach_in_chunks(&self, request: Request) -> Result<Seat, Refusal> {
        self.open(request, true)
    }

    fn open(&self, request: Request, in_chunks: bool) -> Result<Seat, Refusal> {
        let mut core = self.core.borrow_mut();
        core.pull();
        let (id, serial) = core.attach(request, in_chunks)?;
        drop(core);
        self.pump();
        Ok(Seat {
            line: Line {
                core: self.core.clone(),
                id,
                serial,
            },
            is_handed_over: false,
        })
    }

    fn pump(&self) {
        pump::start(&self.core);
    }
}

/// A stream: dropping it ends it, unless it was handed over.
#[derive(Debug)]
pub struct Seat {
    line: Line,
    /// Whether the stream lives on by itself, on a socket of its own.
    is_handed_over: bool,
}

impl Seat {
    /// Returns the next bytes for the client, about `max_bytes` of them, in whole frames; `None` at the end.
    ///
    /// The bytes are copied out of the lane, as the body of a response owns what it sends.
    pub fn poll_bytes(
        &mut self,
        cx: &mut TaskContext<'_>,
        max_bytes: usize,
    ) -> Poll<Option<Vec<u8>>> {
        let mut core = self.line.core.borrow_mut();
        if !core.holds(self.line.id, self.line.serial) {
            return Poll::Ready(None);
        }
        let poll = core.read(self.line.id, cx.waker(), max_bytes);
        let wanted = std::mem::take(&mut core.wanted);
        drop(core);
        for fetch in wanted {
            actix::spawn(fetch.run(self.line.core.clone()));
        }
        poll
    }

    /// Returns a line to this stream, for whoever reads what the client says.
    #[must_use]
    pub fn line(&self) -> Line {
        self.line.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut core = self.line.core.borrow_mut();
        if !self.is_handed_over && core.holds(self.line.id, self.line.serial) {
            core.detach(self.line.id);
        }
    }
}

/// A way to say something on a stream. Outlives it: what is said afterwards is dropped.
#[derive(Debug, Clone)]
pub struct Line {
    core: Rc<RefCell<Core>>,
    id: usize,
    serial: u64,
}

impl Line {
    /// Says something on the stream.
    ///
    /// A client that asks for answers and does not read them is cut off at 64 KiB of them.
    pub fn say(&self, control: &Control<'_>) {
        self.core.borrow_mut().say(self.id, self.serial, control);
        pump::start(&self.core);
    }

    /// Tells whether the stream has ended, or is about to: nothing that is said on it is of use any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.core.borrow().is_over(self.id, self.serial)
    }

    /// Ends the stream after a farewell with this reason and WebSocket close code.
    pub fn hang_up(&self, reason: &'static str, close_code: u16) {
        self.core
            .borrow_mut()
            .hang_up(self.id, self.serial, reason, close_code);
        pump::start(&self.core);
    }

    /// Names this one's streams of numbered frames anew, for a client that lost its place.
    pub fn directory(&self) {
        self.core.borrow_mut().directory(self.id, self.serial);
        pump::start(&self.core);
    }
}
