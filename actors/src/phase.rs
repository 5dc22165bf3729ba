//! The phase scheduler: it says, once a second, where the breath is, and announces what changed.
//!
//! In one tick, in this order: `phase_update`, `climate_update`, `usage_update`, `caesura_detected`, `drift_detected`,
//! `heartbeat`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use glint::{Breath, Climate, Name, Phase, Stamp, State, Zone};
use tokio::time::Instant;
use wire::payload;

use crate::clock::Clock;
use crate::emitter::{Announce, Emitter};
use crate::mail::{Letter, Post};
use crate::metrics::Metrics;
use crate::tail::Tail;
use crate::warden::Tripwire;

/// A wall clock that moves by this much more or less than the machine's steady one has drifted.
const DRIFT_MICROS: i64 = 1_000_000;

/// What the office runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The breath.
    pub breath: Breath,
    /// What zoneless times are local to.
    pub zone: Zone,
    /// How often to look.
    pub tick: Duration,
    /// How long no glint may come before that is a caesura.
    pub caesura_after: Duration,
    /// How far usage must move to be announced, as a share.
    pub usage_step: f64,
}

/// The state as it was at the last tick. Cloning shares it.
#[derive(Debug, Clone)]
pub struct StateCell {
    seen: Arc<Mutex<Seen>>,
}

/// What the state cell shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The state.
    pub state: State,
    /// When it was looked at.
    pub stamp: Stamp,
    /// Whether the first tick has been.
    pub ticking: bool,
}

impl StateCell {
    /// Returns what was seen last.
    #[must_use]
    pub fn read(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Changes what the breath does not decide. What is `None` stays.
#[derive(Debug, Clone, Copy, Default, Message)]
#[rtype(result = "()")]
pub struct Set {
    /// The climate from now on.
    pub climate: Option<Climate>,
    /// The usage from now on, as a share of the capacity; clamped to `[0, 1]`, NaN is ignored.
    pub usage: Option<f64>,
}

/// Reports a caesura or a drift that somebody else noticed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Notice {
    /// A pause.
    Caesura(String),
    /// Something is out of step.
    Drift(String),
}

/// The actor.
#[derive(Debug)]
pub struct PhaseKeeper {
    settings: Settings,
    clock: Clock,
    tail: Tail,
    emitter: Post<Emitter>,
    cell: StateCell,
    metrics: Metrics,
    climate: Climate,
    usage: f64,
    announced: Announced,
    /// The last glint that a tick knew of.
    last_glint: Option<Stamp>,
    /// Since when a caesura would count: the first tick after the last glint, or the start.
    quiet_since: Instant,
    caesura_said: bool,
    last_tick: Option<(Stamp, Instant)>,
    /// When the tick at hand was due.
    due: Instant,
    _tripwire: Tripwire,
}

/// What listeners were told last.
#[derive(Debug, Default)]
struct Announced {
    phase: Option<Phase>,
    climate: Option<Climate>,
    usage: Option<f64>,
}

impl PhaseKeeper {
    /// Makes the office; its first tick is when it starts.
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Clock,
        tail: Tail,
        emitter: Post<Emitter>,
        metrics: Metrics,
        tripwire: Tripwire,
    ) -> PhaseKeeper {
        let (now, due) = (clock.now(), clock.instant());
        let moment = settings.breath.at(now);
        let state = State {
            phase: moment.phase,
            progress: moment.progress,
            usage: 0.0,
            climate: Climate::Clear,
        };
        let cell = StateCell {
            seen: Arc::new(Mutex::new(Seen {
                state,
                stamp: now,
                ticking: false,
            })),
        };
        PhaseKeeper {
            climate: Climate::Clear,
            usage: 0.0,
            announced: Announced::default(),
            last_glint: tail.last_glint(),
            quiet_since: clock.instant(),
            caesura_said: false,
            last_tick: None,
            settings,
            clock,
            tail,
            emitter,
            cell,
            metrics,
            due,
            _tripwire: tripwire,
        }
    }

    /// Returns the cell in which this office shows the state.
    #[must_use]
    pub fn cell(&self) -> StateCell {
        self.cell.clone()
    }

    /// Ticks now, and again when the next tick is due. Those that are past are left out: an interval of actix would
    /// make up for a stall with a flood of them.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        self.tick();
        let now = self.clock.instant();
        self.due += self.settings.tick;
        if self.due <= now {
            self.due = now + self.settings.tick;
        }
        ctx.run_later(self.due - now, Self::keep);
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let moment = self.settings.breath.at(now);
        let state = State {
            phase: moment.phase,
            progress: moment.progress,
            usage: self.usage,
            climate: self.climate,
        };
        self.cell.write(Seen {
            state,
            stamp: now,
            ticking: true,
        });
        self.metrics.usage.set(self.usage);
        self.metrics.phase.set(
            Phase::ALL
                .iter()
                .position(|phase| *phase == state.phase)
                .unwrap_or(0) as i64,
        );
        for name in self.announced.changes(&state, self.settings.usage_step) {
            if self.announce(name, &state, now) {
                self.announced.note(name, &state);
            }
        }
        if let Some(message) = self.caesura() {
            self.notice(Name::CaesuraDetected, &message, &state, now);
        }
        if let Some(message) = self.drift(now) {
            self.notice(Name::DriftDetected, &message, &state, now);
        }
        self.announce(Name::Heartbeat, &state, now);
    }

    /// Says once per silence that it has become long. A silence is as long as the steady clock says: wall time jumps.
    fn caesura(&mut self) -> Option<String> {
        let now = self.clock.instant();
        let last = self.tail.last_glint();
        if last != self.last_glint {
            self.last_glint = last;
            self.quiet_since = now;
            self.caesura_said = false;
        }
        let silence = now.duration_since(self.quiet_since);
        if self.caesura_said || silence < self.settings.caesura_after {
            return None;
        }
        self.caesura_said = true;
        Some(format!("no glint for {} s", silence.as_secs()))
    }

    /// Compares the wall clock with the steady one.
    fn drift(&mut self, now: Stamp) -> Option<String> {
        let instant = self.clock.instant();
        let (last, at) = self.last_tick.replace((now, instant))?;
        let steady = i64::try_from(instant.duration_since(at).as_micros()).unwrap_or(i64::MAX);
        let off = now.micros_since(last).saturating_sub(steady);
        (off.abs() > DRIFT_MICROS).then(|| format!("the clock moved by {} ms", off / 1000))
    }

    fn announce(&self, name: Name, state: &State, stamp: Stamp) -> bool {
        let text = payload::of_state(name, state, stamp, self.settings.zone);
        self.send(name, text, state, stamp)
    }

    fn notice(&self, name: Name, message: &str, state: &State, stamp: Stamp) -> bool {
        self.send(
            name,
            payload::of_notice(message, state, stamp, self.settings.zone),
            state,
            stamp,
        )
    }

    /// Sends an event to the emitter, and tells whether there was room for it.
    fn send(&self, name: Name, text: String, state: &State, stamp: Stamp) -> bool {
        let weight = text.len();
        let announce = Announce {
            name,
            phase: state.phase.as_str(),
            stamp,
            text,
        };
        let sent = self.emitter.tell(announce, weight);
        if let Err(err) = &sent {
            tracing::warn!(%name, %err, "an event of the breath was not announced");
        }
        sent.is_ok()
    }
}

impl Announced {
    /// Returns what listeners have not been told yet.
    fn changes(&self, state: &State, usage_step: f64) -> Vec<Name> {
        let mut names = Vec::new();
        if self.phase != Some(state.phase) {
            names.push(Name::PhaseUpdate);
        }
        if self.climate != Some(state.climate) {
            names.push(Name::ClimateUpdate);
        }
        // Against the last value that was announced, as it was announced: many small steps add up to one.
        if self
            .usage
            .is_none_or(|usage| (state.usage - usage).abs() > usage_step)
        {
            names.push(Name::UsageUpdate);
        }
        names
    }

    /// Notes what listeners were told.
    fn note(&mut self, name: Name, state: &State) {
        match name {
            Name::PhaseUpdate => self.phase = Some(state.phase),
            Name::ClimateUpdate => self.climate = Some(state.climate),
            Name::UsageUpdate => self.usage = Some(payload::round4(state.usage)),
            _ => {}
        }
    }
}

impl Actor for PhaseKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.due = self.clock.instant();
        self.keep(ctx);
    }
}

impl Handler<Letter<Set>> for PhaseKeeper {
    type Result = ();

    fn handle(&mut self, letter: Letter<Set>, _: &mut Self::Context) {
        let Set { climate, usage } = letter.message;
        self.climate = climate.unwrap_or(self.climate);
        if let Some(usage) = usage.filter(|usage| !usage.is_nan()) {
            self.usage = usage.clamp(0.0, 1.0);
        }
    }
}

impl Handler<Letter<Notice>> for PhaseKeeper {
    type Result = ();

    fn handle(&mut self, letter: Letter<Notice>, _: &mut Self::Context) {
        let seen = self.cell.read();
        let (name, message) = match &letter.message {
            Notice::Caesura(message) => (Name::CaesuraDetected, message),
            Notice::Drift(message) => (Name::DriftDetected, message),
        };
        self.notice(name, message, &seen.state, self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use glint::json::{self, Value};
    use glint::phase::Anchor;
    use glint::{Draft, Event};
    use prometheus::Registry;
    use uuid::Uuid;

    use super::*;
    use crate::emitter::{Offer, Window};
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
            let emitter = Emitter::new(
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
            let emitter = Post::new(emitter.start(), "emitter", bound(letters), &metrics);
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
            let set = Set { climate, usage };
            self.keeper.ask(set, 0).await.expect("set");
        }

        async fn post(&self) {
            let drafts = vec![Draft::read(b"{}", 99, Uuid::nil()).expect("a glint")];
            let offer = Offer { drafts, key: None };
            let receipt = self.emitter.ask(offer, 1).await.expect("asked");
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
}
