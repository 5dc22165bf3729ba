//! The phase scheduler: it says, once a second, where the breath is, and announces what changed.
//!
//! In one tick, in this order: `phase_update`, `climate_update`, `usage_update`, `caesura_detected`, `drift_detected`,
//! `heartbeat`.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use glint::phase::Moment;
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
/// How often a heartbeat comes in quiet mode. Clients of the heartbeat take a stream for dead after 30 s.
const QUIET_HEARTBEAT: Duration = Duration::from_secs(10);

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
    /// How long streams gather what comes before they send it; zero unless it is quiet.
    pub gather: Duration,
}

impl StateCell {
    /// Returns what was seen last.
    #[must_use]
    pub fn read(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Changes what the breath does not decide. What is `None` stays.
#[derive(Debug, Clone, Copy, Default, Message)]
#[rtype(result = "()")]
pub struct Set {
    /// The climate from now on.
    pub climate: Option<Climate>,
    /// The usage from now on, as a share of the capacity; clamped to `[0, 1]`, NaN is ignored. It holds where usage is
    /// measured, too, until it is measured anew by [`Steer::Measure`].
    pub usage: Option<f64>,
    /// Quiet mode for the rest of the phase that is named, if it has not ended: streams gather what comes for so long
    /// before they send it, and heartbeats come every 10 s. Zero ends it. It is not kept across a restart.
    pub quiet: Option<(Phase, Duration)>,
}

/// Steers by hand. What changed is announced at once, however little it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum Steer {
    /// The climate from now on.
    Climate(Climate),
    /// The usage from now on, as for [`Set`].
    Usage(f64),
    /// Usage is measured again, where the settings say so.
    Measure,
    /// A phase for a while, whatever the breath says; its progress is the share of that time.
    Phase(Phase, Duration),
    /// The breath says the phase again.
    Breathe,
}

/// What usage is a share of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Capacity {
    /// Nothing is measured: usage is what was set.
    Unmeasured,
    /// So many glints a second, taken over one tick.
    Glints(f64),
    /// So many bytes of the log.
    Ledger(f64),
    /// So many open streams.
    Subscribers(f64),
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
    capacity: Capacity,
    /// Usage that was set by hand stays, though it could be measured.
    usage_held: bool,
    /// Glints counted at the last tick, and when that was.
    counted: Option<(u64, Instant)>,
    /// A phase that was set by hand: since when and until when.
    held: Option<(Phase, Instant, Instant)>,
    /// Quiet mode: the phase that it lasts for, and how long streams gather.
    quiet: Option<(Phase, Duration)>,
    /// The last heartbeat.
    last_beat: Option<Instant>,
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
                gather: Duration::ZERO,
            })),
        };
        PhaseKeeper {
            climate: Climate::Clear,
            usage: 0.0,
            capacity: Capacity::Unmeasured,
            usage_held: false,
            counted: None,
            held: None,
            quiet: None,
            last_beat: None,
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

    /// Has usage measured.
    #[must_use]
    pub fn measuring(mut self, capacity: Capacity) -> PhaseKeeper {
        self.capacity = capacity;
        self
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
        let wait = self.clock.until_next(self.settings.tick);
        self.due = self.clock.instant() + wait;
        ctx.run_later(wait, Self::keep);
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        self.measure();
        let state = self.look(now);
        self.tell(&state, now, self.settings.usage_step);
        if let Some(message) = self.caesura() {
            self.notice(Name::CaesuraDetected, &message, &state, now);
        }
        if let Some(message) = self.drift(now) {
            self.notice(Name::DriftDetected, &message, &state, now);
        }
        if self.is_beat_due() {
            self.announce(Name::Heartbeat, &state, now);
        }
    }

    /// Tells whether a heartbeat is due at this tick: at every one, unless it is quiet.
    fn is_beat_due(&mut self) -> bool {
        let now = self.clock.instant();
        let is_due = self.quiet.is_none()
            || self
                .last_beat
                .is_none_or(|last| now.duration_since(last) >= QUIET_HEARTBEAT);
        if is_due {
            self.last_beat = Some(now);
        }
        is_due
    }

    /// Looks at the breath and shows the state.
    fn look(&mut self, now: Stamp) -> State {
        let moment = self.moment(now);
        let state = State {
            phase: moment.phase,
            progress: moment.progress,
            usage: self.usage,
            climate: self.climate,
        };
        self.quiet = self.quiet.filter(|(phase, _)| *phase == state.phase);
        let gather = self.quiet.map_or(Duration::ZERO, |(_, gather)| gather);
        self.cell.write(Seen {
            state,
            stamp: now,
            ticking: true,
            gather,
        });
        self.metrics.quiet.set(gather.as_secs_f64());
        self.metrics.usage.set(self.usage);
        let number = Phase::ALL.iter().position(|phase| *phase == state.phase);
        self.metrics.phase.set(number.unwrap_or(0) as i64);
        state
    }

    /// What the breath says, or a hand that holds it.
    fn moment(&mut self, now: Stamp) -> Moment {
        let instant = self.clock.instant();
        if let Some((phase, since, until)) = self.held {
            if instant < until {
                let (passed, whole) = (instant - since, until - since);
                let progress = passed.as_secs_f64() / whole.as_secs_f64();
                return Moment { phase, progress };
            }
            self.held = None;
        }
        self.settings.breath.at(now)
    }

    /// Announces what listeners have not been told.
    fn tell(&mut self, state: &State, now: Stamp, usage_step: f64) {
        for name in self.announced.changes(state, usage_step) {
            if self.announce(name, state, now) {
                self.announced.note(name, state);
            }
        }
    }

    fn measure(&mut self) {
        let instant = self.clock.instant();
        let glints = self.metrics.glints.get();
        let before = self.counted.replace((glints, instant));
        let share = match self.capacity {
            Capacity::Unmeasured => return,
            Capacity::Glints(full) => {
                let Some((counted, at)) = before else {
                    return;
                };
                let seconds = instant.duration_since(at).as_secs_f64().max(1e-3);
                glints.saturating_sub(counted) as f64 / seconds / full
            }
            Capacity::Ledger(full) => self.metrics.ledger_bytes.get() as f64 / full,
            Capacity::Subscribers(full) => self.metrics.open_streams() as f64 / full,
        };
        if !self.usage_held {
            self.usage = share.clamp(0.0, 1.0);
        }
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
        let Set {
            climate,
            usage,
            quiet,
        } = letter.message;
        self.climate = climate.unwrap_or(self.climate);
        if let Some(usage) = usage.filter(|usage| !usage.is_nan()) {
            self.usage = usage.clamp(0.0, 1.0);
            self.usage_held = true;
        }
        if let Some((phase, gather)) = quiet {
            self.quiet = (!gather.is_zero()).then_some((phase, gather));
        }
    }
}

impl Handler<Letter<Steer>> for PhaseKeeper {
    type Result = ();

    fn handle(&mut self, letter: Letter<Steer>, _: &mut Self::Context) {
        let instant = self.clock.instant();
        match letter.message {
            Steer::Climate(climate) => self.climate = climate,
            Steer::Usage(usage) if usage.is_nan() => {}
            Steer::Usage(usage) => {
                self.usage = usage.clamp(0.0, 1.0);
                self.usage_held = true;
            }
            Steer::Measure => self.usage_held = false,
            Steer::Phase(phase, time) => self.held = Some((phase, instant, instant + time)),
            Steer::Breathe => self.held = None,
        }
        let now = self.clock.now();
        let state = self.look(now);
        // By hand, every change is meant; less than the four digits that are sent is none.
        self.tell(&state, now, 5e-5);
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
