//! What the actor and the seats of one worker share.

use std::collections::VecDeque;
use std::time::Duration;

use glint::{Offset, Refusal, RefusalKind};
use mio::net::TcpStream;
use prometheus::Histogram;
use slab::Slab;
use tokio::time::Instant;
use wire::{Rendering, Standings};

use super::Settings;
use super::lanes::Lanes;
use super::outlet::Outlet;
use super::replay::Fetch;
use super::slots::Slot;
#[cfg(unix)]
use super::sockets::Sockets;
use super::wheel::Wheel;
use crate::clock::Clock;
use crate::metrics::{Metrics, Stage};
use crate::phase::StateCell;
use crate::tail::Tail;

/// Events taken from the feed at once.
const FEED_PAGE: usize = 256;
/// Seconds after which a client that found the broker full may find room.
const FULL_RETRY_SECONDS: u32 = 5;

/// Each worker numbers its own streams within this many bits: a client with streams of two workers is not confused.
const SID_BITS_PER_WORKER: u32 = 14;

/// Everything of one worker.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) tail: Tail,
    pub(super) state: StateCell,
    pub(super) metrics: Metrics,
    pub(super) lanes: Lanes,
    pub(super) slots: Slab<Slot>,
    /// Numbers streams, so that a line to one that is gone does not reach another in its place.
    pub(super) serial: u64,
    /// Numbers the streams of numbered forms that are not whole topics.
    pub(super) sids: u64,
    /// Slots to be woken, in the order in which they waited.
    pub(super) to_wake: VecDeque<usize>,
    /// Pages of history that slots want from disk.
    pub(super) wanted: Vec<Fetch>,
    /// Whether somebody is waking them.
    pub(super) pumping: bool,
    /// What watches the sockets that were handed over, from the first one on.
    #[cfg(unix)]
    pub(super) sockets: Option<Sockets>,
    /// Connections whose streams have ended, oldest first.
    pub(super) lingering: VecDeque<(Duration, TcpStream)>,
    /// The age of this worker when it last looked at the clock, which it does once for many streams.
    pub(super) now: Duration,
    /// The newest stored event that the lanes have seen.
    pub(super) head: u64,
    /// How topics stand that are documents, as far as the lanes have seen.
    pub(super) standings: Standings,
    /// How many streams to end in each round from now on, once the worker drains.
    pub(super) farewells: Option<usize>,
    /// The next slot to end then.
    pub(super) leaving: usize,
    /// When to look at which slot.
    pub(super) wheel: Wheel,
    pub(super) deliveries: u64,
    pub(super) delivered_bytes: u64,
    pub(super) shown_lanes: (i64, i64),
    began: Instant,
    feed_next: u64,
    woken_since: Option<Instant>,
    render_seconds: Histogram,
    flush_seconds: Histogram,
}

impl Core {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        tail: Tail,
        state: StateCell,
        metrics: &Metrics,
    ) -> Core {
        Core {
            lanes: Lanes::new(settings.lane, settings.lanes_max),
            slots: Slab::new(),
            serial: 0,
            sids: settings.worker << SID_BITS_PER_WORKER,
            to_wake: VecDeque::new(),
            wanted: Vec::new(),
            pumping: false,
            #[cfg(unix)]
            sockets: None,
            lingering: VecDeque::new(),
            now: Duration::ZERO,
            head: tail.head().seq,
            farewells: None,
            leaving: 0,
            wheel: Wheel::default(),
            deliveries: 0,
            delivered_bytes: 0,
            shown_lanes: (0, 0),
            began: clock.instant(),
            feed_next: tail.feed_head(),
            // Read after the place: what is newer here comes once more, and changes a document that nobody has.
            standings: tail.standings(),
            woken_since: None,
            render_seconds: metrics.stage(Stage::Render),
            flush_seconds: metrics.stage(Stage::Flush),
            metrics: metrics.clone(),
            settings,
            clock,
            tail,
            state,
        }
    }

    /// Returns how long this worker has been at work.
    pub(super) fn age(&self) -> Duration {
        self.clock.instant().duration_since(self.began)
    }

    pub(super) fn place(&self, seq: u64) -> Offset {
        Offset {
            epoch: self.tail.epoch(),
            seq,
        }
    }

    /// Spells what the feed has more into the lanes.
    pub(super) fn pull(&mut self) {
        let started = self.clock.instant();
        let mut rendered = false;
        loop {
            let feed = self.tail.feed(self.feed_next, FEED_PAGE);
            if feed.fell {
                self.fall();
            }
            if feed.events.is_empty() {
                break;
            }
            rendered = true;
            let before = self.head;
            let mut woken = Vec::new();
            for (event, change) in feed.events.iter().zip(&feed.changes) {
                let rendering = Rendering::new(event, self.settings.zone);
                let change = change.as_deref();
                self.lanes.append(event, change, &rendering, &mut woken);
                if let Some(change) = change {
                    self.standings.take(&change.after);
                }
                self.head = self.head.max(event.offset.seq);
            }
            self.feed_next = feed.next;
            self.queue_wakes(woken, before);
        }
        if rendered {
            self.render_seconds
                .observe(self.clock.instant().duration_since(started).as_secs_f64());
        }
    }

    /// Events were missed: whoever lived on the lanes reads history from where it was.
    fn fall(&mut self) {
        self.metrics.feed_falls.inc();
        self.standings = self.tail.standings();
        tracing::warn!("a worker was late for the feed; its streams replay from history");
        let ids: Vec<usize> = self.slots.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.leave_lane(id);
            self.to_wake.push_back(id);
        }
    }

    /// Has slots woken that had read all of their lanes when `seen` was the newest stored event.
    fn queue_wakes(&mut self, woken: Vec<usize>, seen: u64) {
        if woken.is_empty() {
            return;
        }
        self.woken_since.get_or_insert_with(|| self.clock.instant());
        for id in woken {
            let slot = &mut self.slots[id];
            slot.parked_at = None;
            // Nothing up to here was for it: should it fall now, that is no loss, however far back its last event is.
            slot.seen = slot.seen.max(seen);
            self.to_wake.push_back(id);
        }
    }

    /// Wakes or writes to up to `count` slots and tells whether there are more.
    pub(super) fn wake(&mut self, count: usize) -> bool {
        self.now = self.age();
        for _ in 0..count {
            let Some(id) = self.to_wake.pop_front() else {
                break;
            };
            self.visit(id);
        }
        if !self.to_wake.is_empty() {
            return true;
        }
        self.pumping = false;
        if let Some(since) = self.woken_since.take() {
            self.flush_seconds
                .observe(self.clock.instant().duration_since(since).as_secs_f64());
        }
        false
    }

    fn visit(&mut self, id: usize) {
        // The slot may have gone meanwhile, or another may be in its place: a needless visit does no harm.
        match self.slots.get_mut(id).map(|slot| &mut slot.outlet) {
            Some(Outlet::Socket(_)) => self.deliver(id),
            Some(Outlet::Body(waker)) => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
            None => {}
        }
    }

    /// Has one slot read on: a body at once, a socket by the pump, which whoever calls this has to start.
    pub(super) fn wake_one(&mut self, id: usize) {
        match self.slots.get(id).map(|slot| &slot.outlet) {
            Some(Outlet::Socket(_)) => self.to_wake.push_back(id),
            _ => self.visit(id),
        }
    }

    /// Refuses a stream at a bound.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        if self.farewells.is_some() {
            let detail = "this broker is stopping; connect again later";
            return Err(Refusal::new(RefusalKind::Unavailable, "draining", detail).retry_after(1));
        }
        let (open, max) = (self.metrics.open_streams(), self.settings.streams_max);
        if open >= max as u64 {
            let detail =
                format!("{open} streams are open, the limit is {max}; connect again later");
            return Err(
                Refusal::new(RefusalKind::Unavailable, "streams_full", detail)
                    .retry_after(FULL_RETRY_SECONDS),
            );
        }
        Ok(())
    }

    pub(super) fn views_full(&self) -> Refusal {
        let max = self.settings.lanes_max;
        let detail = format!(
            "this worker serves {max} distinct views already; use a wider filter or come back later"
        );
        Refusal::new(RefusalKind::Unavailable, "views_full", detail).retry_after(FULL_RETRY_SECONDS)
    }
}
