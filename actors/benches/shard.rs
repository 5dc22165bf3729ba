//! What one delivery costs a worker: from a publish through the lane to the bytes in the hands of 1,000 streams.
#![expect(
    clippy::expect_used,
    reason = "a bench without its cast has nothing to measure"
)]

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use actix::System;
use actors::clock::Clock;
use actors::emitter::{Emitter, Offer, Once, Sequencer, Tray, Window};
use actors::mail::Bound;
use actors::metrics::Metrics;
use actors::phase::{self, PhaseKeeper};
use actors::shard::{From, Request, Settings, Shard, ShardHandle, Slow};
use actors::tail::{Limits, Tail};
use actors::warden::Tripwire;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use glint::phase::Anchor;
use glint::{Breath, Draft, Zone};
use prometheus::Registry;
use sieve::View;
use uuid::Uuid;
use wire::Form;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const SEATS: usize = 1_000;
const READ_BYTES: usize = 16 * 1024;
const GLINT: &str = r#"{"glint.id":"glint-1","glint.source":"spiral.linter","glint.phase":"exhale.cast","toneform":"trace","content":"a line of about the length that agents send, with some words in it","rule_glyph":"x"}"#;

fn main() {
    divan::main();
}

/// A worker with its streams, and how many frames were to come to them.
struct Worker {
    system: actix_rt::SystemRunner,
    tray: Tray,
    draft: Draft,
    /// Streams that have got the newest glint.
    there: Rc<Cell<usize>>,
}

impl Worker {
    fn with_streams(form: Form) -> Worker {
        let system = System::new();
        let there = Rc::new(Cell::new(0));
        let tray = system.block_on(async {
            let (tray, handle) = cast();
            for _ in 0..SEATS {
                actix::spawn(read(handle.clone(), form, there.clone()));
            }
            settle(&there, SEATS).await;
            tray
        });
        let draft = Draft::read(GLINT.as_bytes(), 4096, Uuid::nil()).expect("a glint");
        Worker {
            system,
            tray,
            draft,
            there,
        }
    }

    /// Publishes `count` glints at once, and returns when all streams have read to the end.
    fn publish(&self, count: usize) {
        self.there.set(0);
        let drafts = vec![self.draft.clone(); count];
        let offer = Offer {
            drafts,
            once: Once::Content,
        };
        self.system.block_on(async {
            let receipt = self.tray.offer(offer).await.expect("asked");
            receipt.expect("accepted");
            settle(&self.there, SEATS).await;
        });
    }
}

fn cast() -> (Tray, ShardHandle) {
    let clock = Clock::system();
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    let limits = Limits {
        events: 10_000,
        bytes: 64 << 20,
    };
    let tail = Tail::new(1, limits, metrics.clone());
    let window = Window {
        keys: 1,
        seconds: 1,
    };
    let emitter = Sequencer::new(
        clock.clone(),
        tail.clone(),
        window,
        metrics.clone(),
        Tripwire::idle(),
    );
    let bound = Bound {
        count: 100,
        bytes: 1 << 20,
    };
    let bells = emitter.bells();
    let (emitter, order) = Emitter::open(emitter, bound);
    let zone = Zone::default();
    let breath = phase::Settings {
        breath: Breath::new(
            Breath::USUAL_HOURS,
            Anchor::StartHour,
            clock.now(),
            zone,
            1.0,
        )
        .expect("a breath"),
        zone,
        tick: Duration::from_secs(1),
        caesura_after: Duration::from_secs(3600),
        usage_step: 0.05,
    };
    // Made for the state that it shows; it is not started, so nothing ticks in between.
    let keeper = PhaseKeeper::new(
        breath,
        clock.clone(),
        tail.clone(),
        emitter.clone(),
        metrics.clone(),
        Tripwire::idle(),
    );
    let settings = Settings {
        worker: 0,
        lane: lane::Limits::default(),
        lanes_max: 64,
        streams_max: SEATS,
        keepalive: Duration::from_secs(15),
        stall: Duration::from_secs(60),
        coalesce: Duration::ZERO,
        retry_ms: (1000, 5000),
        zone,
    };
    let (handle, bell, _) = Shard::start_here(
        settings,
        clock,
        tail,
        keeper.cell(),
        &metrics,
        Tripwire::idle(),
    );
    bells.add(bell, glint::Topics::ALL);
    (Tray::new(emitter, order), handle)
}

/// Reads a stream for ever, and counts it in `there` each time that it has read to the end.
async fn read(shard: ShardHandle, form: Form, there: Rc<Cell<usize>>) {
    let request = Request {
        view: View::everything(),
        form,
        from: From::Now,
        limit: None,
        timeout: None,
        to: None,
        slow: Slow::default(),
        patched: false,
    };
    let mut seat = shard.attach(request).expect("a seat");
    loop {
        let bytes = poll_fn(|cx| {
            let poll = seat.poll_bytes(cx, READ_BYTES);
            if poll.is_pending() {
                there.set(there.get() + 1);
            }
            poll
        })
        .await;
        if divan::black_box(bytes).is_none() {
            return;
        }
    }
}

async fn settle(there: &Cell<usize>, all: usize) {
    while there.get() < all {
        tokio::task::yield_now().await;
    }
}

/// An item is one glint in the hands of one stream.
#[divan::bench(args = [Form::SseNamed, Form::SseBilingual, Form::WsGs1Text], consts = [1, 64])]
fn deliver<const TOGETHER: usize>(bencher: Bencher<'_, '_>, form: Form) {
    let worker = Worker::with_streams(form);
    bencher
        .counter(ItemsCount::new(SEATS * TOGETHER))
        .bench_local(|| worker.publish(TOGETHER));
}
