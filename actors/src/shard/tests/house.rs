//! A whole cast on one thread, with a clock that only tests move.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use actix::prelude::*;
use glint::phase::Anchor;
use glint::{Breath, Draft, Event, Name, Offset, Refusal, Stamp, Topic, Zone};
use prometheus::Registry;
use sieve::{Ask, View};
use uuid::Uuid;
use wire::{Form, TOPIC_LIVES, sid_of_topic};

use super::said::{self, Heard, Said};
use crate::clock::Clock;
use crate::emitter::{Announce, Emitter, Offer, Once, Order, Sequencer, Tray, Window};
use crate::hub::{Enrol, Hub};
use crate::mail::{Bound, Post};
use crate::metrics::Metrics;
use crate::phase::{self, PhaseKeeper, StateCell};
use crate::shard::{From, Line, Request, Seat, Settings, Shard, ShardHandle, Slow};
use crate::tail::{History, Limits, Tail};
use crate::warden::Tripwire;

pub(super) const EPOCH: u64 = 9;

/// What a house is built to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) workers: u64,
    pub(super) history: usize,
    pub(super) lane: lane::Limits,
    pub(super) lanes_max: usize,
    pub(super) streams_max: usize,
    pub(super) keepalive: Duration,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            workers: 1,
            history: 100_000,
            lane: lane::Limits::default(),
            lanes_max: 64,
            streams_max: 10_000,
            keepalive: Duration::from_secs(15),
        }
    }
}

/// Lanes so small that a burst of a few glints passes a reader.
pub(super) const NARROW: lane::Limits = lane::Limits {
    window_bytes: 2048,
    page_bytes: 512,
};

/// The cast.
pub(super) struct House {
    pub(super) tail: Tail,
    pub(super) metrics: Metrics,
    pub(super) emitter: Post<Emitter>,
    pub(super) order: Order,
    pub(super) hub: Post<Hub>,
    pub(super) shards: Vec<ShardHandle>,
    /// The state, which nobody keeps here.
    pub(super) state: StateCell,
    posted: Cell<u64>,
}

impl House {
    /// Opens a house. Its time stands still unless somebody waits.
    pub(super) async fn open(plan: Plan) -> House {
        tokio::time::pause();
        House::open_again(plan).await
    }

    /// Opens another house in the same time.
    pub(super) async fn open_again(plan: Plan) -> House {
        let clock = Clock::of_runtime(Stamp(1_763_697_425_000_000));
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let limits = Limits {
            events: plan.history,
            bytes: 1 << 30,
        };
        let tail = Tail::new(EPOCH, limits, metrics.clone());
        let bound = Bound {
            count: 100_000,
            bytes: 1 << 30,
        };
        let window = Window {
            keys: 16,
            seconds: 60,
        };
        let emitter = Sequencer::new(
            clock.clone(),
            tail.clone(),
            window,
            metrics.clone(),
            Tripwire::idle(),
        );
        let bells = emitter.bells();
        let (emitter, order) = Emitter::open(emitter, bound);
        let hub = Hub::new(clock.clone(), bells, metrics.clone(), Tripwire::idle());
        let hub = Post::new(hub.start(), "hub", bound, &metrics);
        let breath = phase::Settings {
            breath: Breath::new(
                Breath::USUAL_HOURS,
                Anchor::StartHour,
                clock.now(),
                Zone::default(),
                1.0,
            )
            .expect("a breath"),
            zone: Zone::default(),
            tick: Duration::from_secs(1),
            caesura_after: Duration::from_secs(3600),
            usage_step: 0.05,
        };
        let phase = PhaseKeeper::new(
            breath,
            clock.clone(),
            tail.clone(),
            emitter.clone(),
            metrics.clone(),
            Tripwire::idle(),
        );
        let mut shards = Vec::new();
        for worker in 0..plan.workers {
            let settings = Settings {
                worker,
                lane: plan.lane,
                lanes_max: plan.lanes_max,
                streams_max: plan.streams_max,
                keepalive: plan.keepalive,
                stall: Duration::from_secs(60),
                coalesce: Duration::ZERO,
                retry_ms: (1000, 5000),
                zone: Zone::default(),
            };
            let (handle, bell, shard) = Shard::start_here(
                settings,
                clock.clone(),
                tail.clone(),
                phase.cell(),
                &metrics,
                Tripwire::idle(),
            );
            hub.tell(Enrol { bell, shard }, 0).expect("room");
            shards.push(handle);
        }
        settle().await;
        House {
            tail,
            metrics,
            emitter,
            order,
            hub,
            shards,
            state: phase.cell(),
            posted: Cell::new(0),
        }
    }

    /// Posts one glint of `source` without waiting for the workers.
    pub(super) async fn post(&self, source: &str) -> Offset {
        self.post_all(&[source]).await[0]
    }

    /// Posts one glint for each source, as one offer.
    pub(super) async fn post_all(&self, sources: &[&str]) -> Vec<Offset> {
        let draft = |source: &&str| {
            let number = self.posted.get() + 1;
            self.posted.set(number);
            let padding = "x".repeat(number as usize % 37);
            let body = format!(r#"{{"id":"g{number}","source":"{source}","padding":"{padding}"}}"#);
            Draft::read(body.as_bytes(), 4096, Uuid::nil()).expect("a glint")
        };
        let drafts = sources.iter().map(draft).collect();
        let offer = Offer {
            drafts,
            once: Once::Content,
        };
        let tray = Tray::new(self.emitter.clone(), self.order.clone());
        let receipt = tray.offer(offer).await.expect("asked");
        let items = receipt.expect("accepted").items;
        items.iter().map(|item| item.offset).collect()
    }

    /// Posts `count` glints of `source` in one offer, so that no worker runs between them.
    pub(super) async fn burst(&self, source: &str, count: usize) {
        self.post_all(&vec![source; count]).await;
    }

    /// Has the broker say something of its own.
    pub(super) fn announce(&self, name: Name) {
        let announce = Announce {
            name,
            phase: "inhale",
            stamp: Stamp(1_763_697_425_000_000),
            text: "{\"a\": 1}".into(),
        };
        self.emitter.tell(announce, 1).expect("room");
    }

    pub(super) fn try_attach(&self, worker: usize, request: Request) -> Result<Reader, Refusal> {
        let form = request.form;
        Ok(Reader::new(self.shards[worker].attach(request)?, form))
    }

    pub(super) fn attach(&self, form: Form, view: &View, from: From) -> Reader {
        self.try_attach(0, request(form, view, from))
            .expect("a seat")
    }

    /// Returns all stored events that are still here.
    pub(super) fn past(&self) -> Vec<Arc<Event>> {
        match self
            .tail
            .history(self.tail.floor().seq, u64::MAX, usize::MAX)
        {
            History::Events(events) => events,
            _ => Vec::new(),
        }
    }

    /// Lets the workers have one look at their streams.
    pub(super) async fn tick(&self) {
        pass(Duration::from_secs(1)).await;
    }

    pub(super) fn lanes(&self) -> i64 {
        self.metrics.lanes.get()
    }
}

pub(super) fn request(form: Form, view: &View, from: From) -> Request {
    Request {
        view: view.clone(),
        form,
        patched: false,
        from,
        limit: None,
        timeout: None,
        to: None,
        slow: Slow::default(),
    }
}

pub(super) fn at(seq: u64) -> Offset {
    Offset { epoch: EPOCH, seq }
}

/// The view of glints from `module`.
pub(super) fn of_module(module: &str) -> View {
    let ask = Ask {
        module: Some(module),
        ..Ask::default()
    };
    View::compile(&ask).expect("a view")
}

/// The view of whole topics.
pub(super) fn of_topics(topics: &str) -> View {
    let ask = Ask {
        topics: Some(topics),
        ..Ask::default()
    };
    View::compile(&ask).expect("a view")
}

/// Lets everybody else on this thread do what they can without time going on.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Lets virtual time go on; every timer on the way fires at its time.
pub(super) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
    settle().await;
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A client that reads a stream as a good task does: when it is woken.
pub(super) struct Reader {
    pub(super) form: Form,
    pub(super) said: Vec<Said>,
    /// The stream has ended.
    pub(super) over: bool,
    seat: Option<Seat>,
    flag: Arc<Flag>,
}

impl Reader {
    fn new(seat: Seat, form: Form) -> Reader {
        Reader {
            form,
            said: Vec::new(),
            over: false,
            seat: Some(seat),
            flag: Arc::new(Flag(AtomicBool::new(true))),
        }
    }

    /// Polls once, woken or not, and tells whether there was something.
    pub(super) fn poll(&mut self, max_bytes: usize) -> bool {
        let seat = self.seat.as_mut().expect("a seat");
        self.flag.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.flag.clone());
        match seat.poll_bytes(&mut Context::from_waker(&waker), max_bytes) {
            Poll::Ready(Some(bytes)) => {
                assert!(!bytes.is_empty());
                self.said.extend(said::read(self.form, &bytes));
                self.flag.0.store(true, Ordering::SeqCst);
                true
            }
            Poll::Ready(None) => {
                self.over = true;
                false
            }
            Poll::Pending => false,
        }
    }

    /// Tells whether there is reason to poll: the last poll gave something, or a wake came after it.
    pub(super) fn is_woken(&self) -> bool {
        !self.over && self.flag.0.load(Ordering::SeqCst)
    }

    /// Polls for as long as there is reason to.
    pub(super) fn drain(&mut self) -> &mut Reader {
        while self.is_woken() {
            self.poll(16 * 1024);
        }
        self
    }

    /// Lets the cast work, and reads, until nothing comes any more.
    pub(super) async fn catch_up(&mut self) -> &mut Reader {
        settle().await;
        while self.is_woken() {
            self.drain();
            settle().await;
        }
        self
    }

    pub(super) fn line(&self) -> Line {
        self.seat.as_ref().expect("a seat").line()
    }

    pub(super) fn hang_up(&mut self) {
        self.seat = None;
        self.over = true;
    }

    /// Takes what was said so far.
    pub(super) fn take(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    pub(super) fn heard(&self) -> impl Iterator<Item = &Heard> {
        self.said.iter().filter_map(|said| match said {
            Said::Event(heard) => Some(heard),
            _ => None,
        })
    }

    /// Returns the places of the stored events that came.
    pub(super) fn seqs(&self) -> Vec<u64> {
        self.heard()
            .filter_map(|heard| heard.cursor.map(|cursor| cursor.seq))
            .collect()
    }

    pub(super) fn count(&self, name: Name) -> usize {
        self.heard()
            .filter(|heard| heard.name == name.as_str())
            .count()
    }

    /// Returns the gaps that were said: from, to and why.
    pub(super) fn gaps(&self) -> Vec<(u64, u64, &str)> {
        let gap = |said| match said {
            &Said::Gap {
                from,
                to,
                ref reason,
            } => Some((from.seq, to.seq, reason.as_str())),
            _ => None,
        };
        self.said.iter().filter_map(gap).collect()
    }

    pub(super) fn recovered(&self) -> bool {
        let hello = self.said.iter().find_map(|said| match said {
            Said::Hello { recovered, .. } => Some(*recovered),
            _ => None,
        });
        hello.expect("a hello")
    }

    /// Reads the numbers of all frames as a strict GS1 reader does, and panics where it would be stuck: within a sid
    /// each number is one above the last, unless the reader was told that this sid goes on elsewhere.
    pub(super) fn read_strictly(&self) {
        let mut last: HashMap<u64, u64> = HashMap::new();
        for said in &self.said {
            match said {
                // Nothing that is kept jumps within a sid: behind a gap it goes on in another.
                Said::Error(text) if text.contains("SEQ_GAP") => {
                    let beats = (0..TOPIC_LIVES).map(|n| sid_of_topic(EPOCH, Topic::Heartbeat, n));
                    let jumps = |sid: &u64| text.contains(&format!("sid {sid} "));
                    let jumped: Vec<u64> = beats.filter(jumps).collect();
                    assert_eq!(jumped.len(), 1, "{text}");
                    last.remove(&jumped[0]);
                }
                Said::Event(heard) => {
                    let (sid, seq) = heard.place.expect("a place");
                    let before = last.insert(sid, seq);
                    assert!(
                        before.is_none_or(|before| seq == before + 1),
                        "sid {sid} went from {before:?} to {seq}"
                    );
                }
                _ => {}
            }
        }
    }
}
