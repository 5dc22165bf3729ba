//! Promises of the breath, kept against a virtual clock.

use std::cell::Cell;

use glint::json::{self, Value};
use glint::phase::Anchor;
use glint::{Draft, Event};
use prometheus::Registry;
use uuid::Uuid;

use super::*;
use crate::emitter::{Emitter, Offer, Once, Order, Sequencer, Tray, Window};
use crate::mail::Bound;
use crate::tail::Limits;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// Nine minutes past an hour.
const START: Stamp = Stamp((489_916 * 3600 + 540) * 1_000_000);

struct Room {
    clock: Clock,
    tail: Tail,
    emitter: Post<Emitter>,
    order: Order,
    keeper: Post<PhaseKeeper>,
    cell: StateCell,
    read: Cell<u64>,
}

fn settings() -> Settings {
    Settings {
        breath: breath(1.0),
        zone: Zone::default(),
        tick: SECOND,
        caesura_after: HOUR * 1000,
        usage_step: 0.05,
    }
}

fn breath(speed: f64) -> Breath {
    let zone = Zone::default();
    Breath::new(Breath::USUAL_HOURS, Anchor::StartHour, START, zone, speed).expect("a breath")
}

impl Room {
    async fn open(settings: Settings) -> Room {
        tokio::time::pause();
        Room::open_again(settings, 1000).await
    }

    /// Opens a room whose emitter takes `letters` at once.
    async fn open_again(settings: Settings, letters: usize) -> Room {
        let clock = Clock::of_runtime(START);
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let limits = Limits {
            events: 100_000,
            bytes: 1 << 30,
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
        let bound = |count| Bound {
            count,
            bytes: 1 << 20,
        };
        let (emitter, order) = Emitter::open(emitter, bound(letters));
        let keeper = PhaseKeeper::new(
            settings,
            clock.clone(),
            tail.clone(),
            emitter.clone(),
            metrics.clone(),
            Tripwire::idle(),
        );
        let cell = keeper.cell();
        let keeper = Post::new(keeper.start(), "phase", bound(100), &metrics);
        settle().await;
        Room {
            clock,
            tail,
            emitter,
            order,
            keeper,
            cell,
            read: Cell::new(0),
        }
    }

    /// Lets virtual time go on, and returns what was said meanwhile.
    async fn pass(&self, duration: Duration) -> Vec<Arc<Event>> {
        tokio::time::sleep(duration).await;
        self.heard().await
    }

    /// Returns what was said since the last time.
    async fn heard(&self) -> Vec<Arc<Event>> {
        settle().await;
        let feed = self.tail.feed(self.read.get(), usize::MAX);
        assert!(!feed.fell, "read more often");
        self.read.set(feed.next);
        feed.events
    }

    /// As [`Room::pass`], the names only and without heartbeats.
    async fn news(&self, duration: Duration) -> Vec<Name> {
        let mut names = names(&self.pass(duration).await);
        names.retain(|name| *name != Name::Heartbeat);
        names
    }

    async fn set(&self, climate: Option<Climate>, usage: Option<f64>) {
        let set = Set {
            climate,
            usage,
            ..Set::default()
        };
        self.keeper.ask(set, 0).await.expect("set");
    }

    async fn post(&self) {
        let drafts = vec![Draft::read(b"{}", 99, Uuid::nil()).expect("a glint")];
        let offer = Offer {
            drafts,
            once: Once::Content,
        };
        let tray = Tray::new(self.emitter.clone(), self.order.clone());
        let receipt = tray.offer(offer).await.expect("asked");
        receipt.expect("accepted");
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn names(events: &[Arc<Event>]) -> Vec<Name> {
    events.iter().map(|event| event.name).collect()
}

fn member(event: &Event, key: &str) -> String {
    let value = json::parse(&event.text).expect("JSON");
    match value.get(key).expect(key) {
        Value::String(text) => text.to_string(),
        other => other.to_ascii(),
    }
}

#[actix_rt::test]
async fn a_day_announces_each_phase_when_it_begins_and_nothing_else() {
    let room = Room::open(Settings {
        tick: SECOND * 60,
        ..settings()
    })
    .await;
    let first = names(&room.heard().await);
    let [phase, climate, usage] = [Name::PhaseUpdate, Name::ClimateUpdate, Name::UsageUpdate];
    assert_eq!(first, [phase, climate, usage, Name::Heartbeat]);
    let day = room.pass(HOUR * 24 + SECOND).await;
    let beats = day.iter().filter(|event| event.name == Name::Heartbeat);
    assert_eq!(beats.count(), 24 * 60);
    let changes = day.iter().filter(|event| event.name != Name::Heartbeat);
    let changes: Vec<_> = changes
        .map(|event| {
            assert_eq!(event.name, Name::PhaseUpdate);
            let minutes = event.stamp.micros_since(START) / 60_000_000;
            (minutes, member(event, "phase"))
        })
        .collect();
    // The breath counts from the full hour, nine minutes before the start.
    let expected = [
        (2, "hold"),
        (6, "exhale"),
        (10, "return"),
        (14, "night_hold"),
        (24, "inhale"),
    ];
    let expected = expected.map(|(hour, phase)| (hour * 60 - 9, phase.to_owned()));
    assert_eq!(changes, expected);
}

#[actix_rt::test]
async fn a_faster_breath_is_faster() {
    let room = Room::open(Settings {
        breath: breath(3600.0),
        ..settings()
    })
    .await;
    room.heard().await;
    let day = room.pass(SECOND * 24).await;
    let phases: Vec<String> = day
        .iter()
        .filter(|event| event.name == Name::PhaseUpdate)
        .map(|event| member(event, "phase"))
        .collect();
    assert_eq!(phases.len(), 5, "{phases:?}");
    assert_eq!(day.len(), 24 + 5);
}

#[actix_rt::test]
async fn one_tick_speaks_in_one_order_and_the_heartbeat_comes_last() {
    let room = Room::open(Settings {
        caesura_after: HOUR,
        ..settings()
    })
    .await;
    room.pass(HOUR - SECOND / 2).await;
    room.set(Some(Climate::Restricted), Some(0.7)).await;
    room.clock.jump(2 * 3600 * 1_000_000);
    let tick = names(&room.pass(SECOND).await);
    let expected = [
        Name::PhaseUpdate,
        Name::ClimateUpdate,
        Name::UsageUpdate,
        Name::CaesuraDetected,
        Name::DriftDetected,
        Name::Heartbeat,
    ];
    assert_eq!(tick, expected);
    assert_eq!(room.cell.read().state.climate, Climate::Restricted);
}

#[actix_rt::test]
async fn usage_is_announced_when_it_left_the_last_announced_value_by_more_than_the_step() {
    let room = Room::open(settings()).await;
    room.heard().await;
    let usage = [Name::UsageUpdate];
    let cases: [(f64, &[Name]); 12] = [
        (0.05, &[]),
        (0.051, &usage),
        // A hair above the step, as doubles go.
        (0.101, &usage),
        (0.12, &[]),
        (0.14, &[]),
        // Small steps add up, as they count from what was announced.
        (0.16, &usage),
        (f64::NAN, &[]),
        (f64::INFINITY, &usage),
        (7.0, &[]),
        (-3.0, &usage),
        (0.123_456, &usage),
        (0.0735, &[]),
    ];
    for (share, expected) in cases {
        room.set(None, Some(share)).await;
        assert_eq!(room.news(SECOND).await, expected, "{share}");
    }
    assert!((room.cell.read().state.usage - 0.0735).abs() < 1e-9);
    room.set(None, Some(0.0734)).await;
    let last = room.pass(SECOND).await;
    assert_eq!(
        member(&last[0], "usage"),
        "0.0734",
        "0.1235 - 0.0734 is above the step"
    );
}

#[actix_rt::test]
async fn a_climate_is_announced_once() {
    let room = Room::open(settings()).await;
    room.heard().await;
    room.set(Some(Climate::Suspicious), None).await;
    assert_eq!(room.news(SECOND * 5).await, [Name::ClimateUpdate]);
    room.set(Some(Climate::Suspicious), Some(0.01)).await;
    assert_eq!(room.news(SECOND * 5).await, []);
}

#[actix_rt::test]
async fn one_silence_is_one_caesura() {
    let room = Room::open(Settings {
        caesura_after: SECOND * 60,
        ..settings()
    })
    .await;
    room.heard().await;
    assert_eq!(room.news(SECOND * 59).await, []);
    assert_eq!(room.news(SECOND * 600).await, [Name::CaesuraDetected]);
    for _ in 0..5 {
        room.post().await;
        assert_eq!(room.news(SECOND * 50).await, [Name::GlintEmission]);
    }
    assert_eq!(room.news(SECOND * 600).await, [Name::CaesuraDetected]);
}

#[actix_rt::test]
async fn a_stall_is_not_made_up_for() {
    let room = Room::open(settings()).await;
    room.heard().await;
    tokio::time::advance(HOUR).await;
    let beats = room.heard().await.len();
    assert_eq!(beats, 1, "a flood of old heartbeats helps nobody");
}

#[actix_rt::test]
async fn what_the_emitter_had_no_room_for_is_announced_later() {
    tokio::time::pause();
    let room = Room::open_again(settings(), 1).await;
    let mut names = names(&room.pass(SECOND * 10).await);
    names.retain(|name| *name != Name::Heartbeat);
    let [phase, climate, usage] = [Name::PhaseUpdate, Name::ClimateUpdate, Name::UsageUpdate];
    assert_eq!(names, [phase, climate, usage]);
}

#[actix_rt::test]
async fn a_jump_of_the_clock_is_a_drift_and_no_silence() {
    tokio::time::pause();
    for hours in [5, -5] {
        let room = Room::open_again(
            Settings {
                caesura_after: SECOND * 60,
                ..settings()
            },
            1000,
        )
        .await;
        room.post().await;
        room.news(SECOND * 10).await;
        room.clock.jump(hours * 3600 * 1_000_000);
        let mut news = room.news(SECOND * 10).await;
        news.retain(|name| *name != Name::PhaseUpdate);
        assert_eq!(news, [Name::DriftDetected], "{hours} h");
        let mut news = room.news(SECOND * 60).await;
        news.retain(|name| *name != Name::PhaseUpdate);
        assert_eq!(news, [Name::CaesuraDetected], "{hours} h");
        room.post().await;
        assert_eq!(room.news(SECOND * 50).await, [Name::GlintEmission]);
    }
}

#[actix_rt::test]
async fn what_others_notice_is_said_at_once() {
    let room = Room::open(settings()).await;
    room.heard().await;
    let notice = Notice::Drift("two bells at once".into());
    room.keeper.ask(notice, 0).await.expect("noted");
    let said = room.heard().await;
    assert_eq!(names(&said), [Name::DriftDetected]);
    assert_eq!(member(&said[0], "message"), "two bells at once");
}

#[actix_rt::test]
async fn a_quiet_night_gathers_and_beats_slowly_until_the_phase_ends() {
    let room = Room::open(settings()).await;
    let gather = Duration::from_millis(250);
    let quiet = |phase, gather| {
        let set = Set {
            quiet: Some((phase, gather)),
            ..Set::default()
        };
        room.keeper.ask(set, 0)
    };
    // The night of which a ritual speaks may be over when it does.
    quiet(Phase::NightHold, gather).await.expect("set");
    room.pass(SECOND).await;
    assert_eq!(room.cell.read().gather, Duration::ZERO);
    assert_eq!(room.pass(SECOND * 20).await.len(), 20);
    quiet(Phase::Inhale, gather).await.expect("set");
    room.pass(SECOND).await;
    assert_eq!(room.cell.read().gather, gather);
    assert_eq!(room.pass(SECOND * 60).await.len(), 6);
    quiet(Phase::Inhale, Duration::ZERO).await.expect("set");
    assert_eq!(room.pass(SECOND * 60).await.len(), 60);
    quiet(Phase::Inhale, gather).await.expect("set");
    room.pass(HOUR * 2).await;
    assert_eq!(room.cell.read().gather, Duration::ZERO);
    assert_eq!(room.pass(SECOND * 20).await.len(), 20);
}
