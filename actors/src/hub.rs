//! The hub: which workers there are, who is connected, and how all of them are let go.

use std::time::Duration;

use actix::prelude::*;
use glint::Topics;
use prometheus::IntGauge;
use wire::Form;

use crate::clock::Clock;
use crate::mail::{Bell, Bells, Letter};
use crate::metrics::Metrics;
use crate::shard::{Drain, Shard};
use crate::warden::Tripwire;

/// How often the hub looks whether everybody has left.
const PATIENCE: Duration = Duration::from_millis(20);

/// A worker reports for work.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Enrol {
    /// Rings it.
    pub bell: Bell,
    /// Its shard.
    pub shard: Addr<Shard>,
}

/// Asks who is connected.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Census")]
pub struct TakeCensus;

/// Who is connected.
#[derive(Debug, Clone, PartialEq, Eq, MessageResponse)]
pub struct Census {
    /// Workers at work.
    pub workers: usize,
    /// Open streams by form.
    pub streams: Vec<(Form, u64)>,
}

/// Ends all streams, and answers with how many are left at the deadline.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "u64")]
pub struct DrainAll {
    /// The time over which farewells are spread.
    pub spread: Duration,
    /// The time after which the rest is left alone.
    pub grace: Duration,
}

/// The actor.
#[derive(Debug)]
pub struct Hub {
    clock: Clock,
    bells: Bells,
    metrics: Metrics,
    shards: Vec<Addr<Shard>>,
    workers: IntGauge,
    _tripwire: Tripwire,
}

impl Hub {
    /// Makes the hub; every worker that enrols is rung with `bells`.
    #[must_use]
    pub fn new(clock: Clock, bells: Bells, metrics: Metrics, tripwire: Tripwire) -> Hub {
        let workers = metrics.workers.clone();
        Hub {
            clock,
            bells,
            metrics,
            shards: Vec::new(),
            workers,
            _tripwire: tripwire,
        }
    }
}

impl Actor for Hub {
    type Context = Context<Self>;
}

impl Handler<Letter<Enrol>> for Hub {
    type Result = ();

    fn handle(&mut self, letter: Letter<Enrol>, _: &mut Self::Context) {
        let Enrol { bell, shard } = letter.message;
        self.shards.push(shard);
        self.workers.set(self.shards.len() as i64);
        self.bells.add(bell, Topics::ALL);
    }
}

impl Handler<Letter<TakeCensus>> for Hub {
    type Result = Census;

    fn handle(&mut self, _: Letter<TakeCensus>, _: &mut Self::Context) -> Census {
        let streams = Form::ALL.map(|form| (form, self.metrics.open_streams_of(form)));
        Census {
            workers: self.shards.len(),
            streams: streams.to_vec(),
        }
    }
}

impl Handler<Letter<DrainAll>> for Hub {
    type Result = ResponseFuture<u64>;

    fn handle(&mut self, letter: Letter<DrainAll>, _: &mut Self::Context) -> Self::Result {
        let DrainAll { spread, grace } = letter.message;
        for shard in &self.shards {
            #[expect(
                clippy::disallowed_methods,
                reason = "sent once in the life of a worker"
            )]
            shard.do_send(Drain { spread });
        }
        let (metrics, clock) = (self.metrics.clone(), self.clock.clone());
        Box::pin(async move {
            let deadline = clock.instant() + grace;
            while metrics.open_streams() > 0 && clock.instant() < deadline {
                tokio::time::sleep(PATIENCE).await;
            }
            metrics.open_streams()
        })
    }
}
