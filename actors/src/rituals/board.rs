//! What is shown of rules and runs. Written by the office, read by the edge.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glint::json::Object;
use glint::{Offset, Stamp};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use rites::{Firing, Rules, Skip, SkipReason};

use super::hands::Done;
use super::say;

/// Runs and skips that are remembered, of each.
pub const RUNS_MAX: usize = 500;
const DAY_MICROS: i64 = 86_400_000_000;

/// One action that was done.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its word.
    pub action: &'static str,
    /// What came of it.
    pub done: Done,
    /// After how many attempts.
    pub attempts: u32,
    /// How long it took.
    pub millis: u64,
}

impl Step {
    /// Writes it as members of an object.
    pub fn write(&self, object: &mut Object<'_>) {
        object.text("action", self.action).flag("ok", self.done.ok);
        object
            .count("attempts", self.attempts.into())
            .count("duration_ms", self.millis);
        if let Some(status) = self.done.status {
            object.json("exit", &status.to_string());
        }
        if !self.done.output.is_empty() {
            object.text("output", &self.done.output);
        }
        if !self.done.reason.is_empty() {
            object.text("reason", &self.done.reason);
        }
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The effect key.
    pub key: Box<str>,
    /// The rule.
    pub rule: Box<str>,
    /// Its priority.
    pub priority: &'static str,
    /// Its sign.
    pub glyph: Box<str>,
    /// What people read of it.
    pub description: Box<str>,
    /// The kind of its trigger, as dashboards name it.
    pub kind: &'static str,
    /// What fired it.
    pub trigger: Box<str>,
    /// The event that did.
    pub offset: Option<Offset>,
    /// When.
    pub stamp: Stamp,
    /// `pending`, `active`, `completed` or `failed`.
    pub status: &'static str,
    /// How long it took.
    pub millis: u64,
    /// What was done.
    pub steps: Vec<Step>,
}

/// How often a rule did what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fired.
    pub fired: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Did not fire, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// What the board shows.
#[derive(Debug, Default)]
pub struct Board {
    /// The rules at work.
    pub rules: Rules,
    /// The latest runs, oldest first.
    pub runs: VecDeque<Run>,
    /// The latest skips, oldest first.
    pub skips: VecDeque<Skip>,
    /// By rule, since the process began.
    pub tallies: BTreeMap<Box<str>, Tally>,
    /// The day of the latest completed run, and how many were completed on it.
    today: (i64, u64),
}

/// Counts over all rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Fired since the process began.
    pub total_triggered: u64,
    /// Waiting or running.
    pub active: u64,
    /// Completed on this day, in UTC.
    pub completed_today: u64,
    /// Completed, as a share of those that ended; 1 while none has.
    pub success_rate: f64,
}

/// The board, shared.
#[derive(Debug, Clone)]
pub struct BoardHandle {
    board: Arc<Mutex<Board>>,
    metrics: Arc<RitualMetrics>,
}

#[derive(Debug)]
struct RitualMetrics {
    runs: IntCounterVec,
    skips: IntCounterVec,
    waiting: IntGauge,
    running: IntGauge,
}

impl RitualMetrics {
    fn register(registry: &Registry) -> Result<RitualMetrics, prometheus::Error> {
        let name = |name: &str, help: &str| Opts::new(format!("glintcast_rituals_{name}"), help);
        let runs = IntCounterVec::new(
            name("runs_total", "Runs of rituals, by how they stand."),
            &["status"],
        )?;
        let skips = IntCounterVec::new(
            name("skips_total", "Rules that did not fire, by reason."),
            &["reason"],
        )?;
        let waiting = IntGauge::with_opts(name("waiting", "Runs that wait for their turn."))?;
        let running = IntGauge::with_opts(name("running", "Runs that go on."))?;
        for status in ["fired", "completed", "failed"] {
            runs.with_label_values(&[status]);
        }
        for reason in ["cooldown", "duplicate", "chain", "filter"] {
            skips.with_label_values(&[reason]);
        }
        registry.register(Box::new(runs.clone()))?;
        registry.register(Box::new(skips.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        registry.register(Box::new(running.clone()))?;
        Ok(RitualMetrics {
            runs,
            skips,
            waiting,
            running,
        })
    }
}

impl BoardHandle {
    /// Makes an empty board whose counts are registered.
    ///
    /// # Errors
    /// When the registry has such names already.
    pub fn new(registry: &Registry) -> Result<BoardHandle, prometheus::Error> {
        Ok(BoardHandle {
            board: Arc::default(),
            metrics: Arc::new(RitualMetrics::register(registry)?),
        })
    }

    /// Looks at the board. Whoever looks holds everybody else up: be short.
    pub fn look(&self) -> MutexGuard<'_, Board> {
        // Nothing in here panics half way through a change.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self, rules: &Rules) {
        self.look().rules = rules.clone();
    }

    pub(super) fn waiting(&self, waiting: usize, running: usize) {
        self.metrics.waiting.set(waiting as i64);
        self.metrics.running.set(running as i64);
    }

    pub(super) fn skipped(&self, skip: &Skip) {
        self.metrics
            .skips
            .with_label_values(&[skip.reason.as_str()])
            .inc();
        let mut board = self.look();
        let tally = board.tallies.entry(skip.rule.name.clone()).or_default();
        *tally.skipped.entry(skip.reason.as_str()).or_default() += 1;
        let skips = &mut board.skips;
        if let Some(last) = skips.back()
            && last.rule.name == skip.rule.name
            && last.reason == SkipReason::Cooldown
            && skip.reason == SkipReason::Cooldown
        {
            // A storm would leave nothing else on the board; it is counted.
            return;
        }
        skips.push_back(skip.clone());
        if skips.len() > RUNS_MAX {
            skips.pop_front();
        }
    }

    pub(super) fn queued(&self, firing: &Firing) {
        self.metrics.runs.with_label_values(&["fired"]).inc();
        let mut board = self.look();
        board
            .tallies
            .entry(firing.rule.name.clone())
            .or_default()
            .fired += 1;
        board.runs.push_back(Run {
            key: firing.key.clone(),
            rule: firing.rule.name.clone(),
            priority: firing.rule.priority.as_str(),
            glyph: firing.rule.glyph.clone(),
            description: firing.rule.description.clone(),
            kind: say::kind(&firing.rule.trigger),
            trigger: firing.trigger.clone(),
            offset: firing.offset,
            stamp: firing.stamp,
            status: "pending",
            millis: 0,
            steps: Vec::new(),
        });
        if board.runs.len() > RUNS_MAX {
            board.runs.pop_front();
        }
    }

    pub(super) fn started(&self, firing: &Firing, _now: Stamp) {
        self.change(&firing.key, |run| run.status = "active");
    }

    /// Its words were not taken: the next process does it.
    pub(super) fn given_up(&self, firing: &Firing) {
        self.change(&firing.key, |run| run.status = "pending");
    }

    pub(super) fn ended(
        &self,
        firing: &Firing,
        ok: bool,
        steps: Vec<Step>,
        millis: u64,
        now: Stamp,
    ) {
        let status = if ok { "completed" } else { "failed" };
        self.metrics.runs.with_label_values(&[status]).inc();
        self.change(&firing.key, |run| {
            run.status = status;
            run.steps = steps;
            run.millis = millis;
        });
        let mut board = self.look();
        let tally = board.tallies.entry(firing.rule.name.clone()).or_default();
        match ok {
            true => tally.completed += 1,
            false => tally.failed += 1,
        }
        let day = now.0.div_euclid(DAY_MICROS);
        if board.today.0 != day {
            board.today = (day, 0);
        }
        board.today.1 += u64::from(ok);
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Run)) {
        let mut board = self.look();
        if let Some(run) = board.runs.iter_mut().rev().find(|run| *run.key == *key) {
            change(run);
        }
    }
}

impl Board {
    /// Returns the counts over all rules.
    #[must_use]
    pub fn stats(&self, now: Stamp) -> Stats {
        let sum = |count: fn(&Tally) -> u64| self.tallies.values().map(count).sum::<u64>();
        let (completed, failed) = (sum(|tally| tally.completed), sum(|tally| tally.failed));
        let ended = completed + failed;
        let triggered = sum(|tally| tally.fired);
        Stats {
            total_triggered: triggered,
            active: triggered.saturating_sub(ended),
            completed_today: match self.today {
                (day, count) if day == now.0.div_euclid(DAY_MICROS) => count,
                _ => 0,
            },
            success_rate: if ended == 0 {
                1.0
            } else {
                completed as f64 / ended as f64
            },
        }
    }
}
