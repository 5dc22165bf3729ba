//! A broker without an edge, for the tests of this office.

use std::sync::Arc;

use ::coherence::{Carrier, Contract, Expect, Mode};
use actix::{Actor as _, Addr};
use glint::json::{Value, parse};
use glint::{Draft, Event, Name, Stamp};
use prometheus::Registry;
use uuid::Uuid;

use super::super::*;
use crate::emitter::{Emitter, Offer, Once, Order, Sequencer, Tray, Window};
use crate::mail::{Bell, Bound};
use crate::metrics::Metrics;
use crate::tail::{self, History};
use crate::vault::MemoryVault;

pub(super) const START: Stamp = Stamp(1_767_225_600_000_000);
pub(super) const MINUTE: u64 = 60;

/// A broker without an edge: an emitter, the office on its cursor, and a clock that the test moves.
pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) tail: Tail,
    pub(super) vault: SharedVault,
    pub(super) gate: Gate,
    pub(super) emitter: Post<Emitter>,
    pub(super) order: Order,
    pub(super) office: Post<Coherence>,
    pub(super) metrics: CoherenceMetrics,
    pub(super) addr: Addr<Coherence>,
}

pub(super) fn settings(period_us: i64) -> Settings {
    let carrier = Carrier::new(period_us, 0).expect("carrier");
    Settings {
        params: Params::of(carrier).expect("params"),
        limits: Limits {
            sources: 100,
            contracts: 10,
        },
        mesh: MeshLimits {
            nodes: 4,
            max_age_us: i64::MAX,
        },
        node: "here".into(),
        arcs: Arcs::new(&[
            ("inhale", 2.0),
            ("hold", 4.0),
            ("exhale", 4.0),
            ("return", 4.0),
            ("night_hold", 10.0),
        ]),
        signatures: 10,
        micro: 100,
    }
}

impl House {
    pub(super) async fn new() -> House {
        let clock = Clock::of_runtime(START);
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let limits = tail::Limits {
            events: 100_000,
            bytes: 64 << 20,
        };
        let tail = Tail::new(7, limits, metrics);
        House::over(clock, tail, Arc::new(MemoryVault::default())).await
    }

    pub(super) async fn over(clock: Clock, tail: Tail, vault: SharedVault) -> House {
        let registry = Registry::new();
        let cast = Metrics::register(&registry).expect("metrics");
        let metrics = CoherenceMetrics::register(&registry).expect("metrics");
        let gate = Gate::default();
        let window = Window {
            keys: 2,
            seconds: 60,
        };
        let emitter = Sequencer::new(
            clock.clone(),
            tail.clone(),
            window,
            cast.clone(),
            Tripwire::idle(),
        );
        let emitter = emitter.gated_by(gate.clone(), metrics.gate());
        let bound = Bound {
            count: 1000,
            bytes: 1 << 20,
        };
        let bells = emitter.bells();
        let (emitter, order) = Emitter::open(emitter, bound);
        let tools = Tools {
            clock: clock.clone(),
            tail: tail.clone(),
            emitter: emitter.clone(),
            vault: vault.clone(),
            metrics: metrics.clone(),
            gate: gate.clone(),
        };
        let addr = Coherence::create(|ctx| {
            let (bell, clapper) = Bell::new(ctx.address().recipient());
            bells.add(bell, glint::Topics::ALL);
            Coherence::new(settings(60_000_000), tools, Tripwire::idle()).rung_by(clapper)
        });
        House {
            office: Post::new(addr.clone(), OFFICE, bound, &cast),
            clock,
            tail,
            vault,
            gate,
            emitter,
            order,
            metrics,
            addr,
        }
    }

    pub(super) async fn try_post(&self, source: &str) -> Result<u64, Refusal> {
        let text = format!("{{\"source\": \"{source}\"}}");
        let draft = Draft::read(text.as_bytes(), 1024, Uuid::nil()).expect("a glint");
        let offer = Offer {
            drafts: vec![draft],
            once: Once::Content,
        };
        let tray = Tray::new(self.emitter.clone(), self.order.clone());
        let receipt = tray.offer(offer).await.expect("an emitter")?;
        Ok(receipt.items[0].offset.seq)
    }

    pub(super) async fn post(&self, source: &str) -> u64 {
        self.try_post(source).await.expect("taken")
    }

    /// One glint a minute, `second` seconds into it; the test begins at a minute.
    pub(super) async fn beat(&self, source: &str, minutes: u64, second: u64) {
        for _ in 0..minutes {
            pass(second).await;
            self.post(source).await;
            pass(MINUTE - second).await;
        }
    }

    /// Waits until everything so far is measured and what there was to say is kept.
    pub(super) async fn settle(&self) {
        for _ in 0..20 {
            self.ask(Ask::Summary).await;
            pass_ms(1).await;
        }
    }

    pub(super) async fn ask(&self, ask: Ask) -> Value<'static> {
        let text = self
            .office
            .ask(ask, 0)
            .await
            .expect("an office")
            .expect("an answer");
        parse(Box::leak(text.into_boxed_str())).expect("JSON")
    }

    pub(super) async fn act(&self, act: Act) -> Result<Value<'static>, Refusal> {
        let text = self.office.ask(act, 0).await.expect("an office")?;
        Ok(parse(Box::leak(text.into_boxed_str())).expect("JSON"))
    }

    pub(super) async fn contract(&self, source: &str, mode: Mode) {
        let expect = Expect::Locked {
            carrier: None,
            arc: None,
        };
        let contract = Contract { expect, mode };
        let source = source.into();
        self.act(Act::SetContract { source, contract })
            .await
            .expect("a contract");
    }

    pub(super) fn events(&self) -> Vec<Arc<Event>> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, |event: &Arc<Event>| event.offset.seq);
            match self.tail.history(after, u64::MAX, 1000) {
                History::Events(events) => all.extend(events),
                _ => return all,
            }
        }
    }

    pub(super) fn named(&self, name: Name) -> Vec<Arc<Event>> {
        let events = self.events();
        events
            .into_iter()
            .filter(|event| event.name == name)
            .collect()
    }

    pub(super) async fn state(&self, source: &str) -> String {
        let answer = self.ask(Ask::Source(source.into())).await;
        answer
            .get("state")
            .and_then(Value::as_str)
            .expect("a state")
            .to_owned()
    }
}

pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(super) async fn pass_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

pub(super) fn changes(events: &[Arc<Event>]) -> Vec<String> {
    let change = |event: &Arc<Event>| {
        let value = parse(&event.text).expect("JSON");
        value
            .get("change")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    events.iter().filter_map(change).collect()
}

macro_rules! timeless {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            let system = actix::System::with_tokio_rt(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .start_paused(true)
                    .build()
                    .expect("a runtime")
            });
            system.block_on($body);
        }
    };
}
