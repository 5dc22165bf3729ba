//! How a sink is doing, for people and for metrics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glint::{Offset, Stamp};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use tokio::sync::{Notify, watch};

use super::DeadLetters;
use crate::tail::Tail;

/// What a sink is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It opens its store.
    Opening,
    /// It writes what is behind the head.
    CatchingUp,
    /// It has all there is.
    Current,
    /// Its store fails; it tries again by itself.
    Failing,
    /// The broker is leaving.
    Stopped,
}

impl State {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Opening => "opening",
            State::CatchingUp => "catching_up",
            State::Current => "current",
            State::Failing => "failing",
            State::Stopped => "stopped",
        }
    }
}

/// How a sink is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is at.
    pub state: State,
    /// How far the store is; none before it was opened.
    pub position: Option<Offset>,
    /// Events of the order that it has not looked at or not written.
    pub lag: u64,
    /// Events that it wrote in this life of the process.
    pub written: u64,
    /// Events that the log had let go before the sink came to them, in this life.
    pub gone: u64,
    /// Why the store fails, if it does.
    pub error: Option<String>,
    /// Since when.
    pub failing_since: Option<Stamp>,
}

/// The way to a sink: to look at it, and to let it go. Cloning shares it.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    report: Mutex<Report>,
    dead: DeadLetters,
    tail: Tail,
    metrics: Counters,
    bell: Notify,
    finishing: AtomicBool,
    retrying: AtomicBool,
    stopped: watch::Sender<bool>,
}

impl SinkHandle {
    pub(super) fn new(
        name: &'static str,
        dead: DeadLetters,
        tail: Tail,
        metrics: Counters,
    ) -> SinkHandle {
        metrics.dead.set(dead.listed() as i64);
        let report = Report {
            state: State::Opening,
            position: None,
            lag: 0,
            written: 0,
            gone: 0,
            error: None,
            failing_since: None,
        };
        SinkHandle {
            shared: Arc::new(Shared {
                name,
                report: Mutex::new(report),
                dead,
                tail,
                metrics,
                bell: Notify::new(),
                finishing: AtomicBool::new(false),
                retrying: AtomicBool::new(false),
                stopped: watch::Sender::new(false),
            }),
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Returns what its store refused for good.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.shared.dead
    }

    /// Returns how it is doing.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = self.lock().clone();
        if report.state == State::Failing {
            report.lag = self.behind(report.position);
        }
        report
    }

    /// Has it offer its dead letters to the store once more; those that are taken leave the list.
    pub fn retry_dead_letters(&self) {
        self.shared.retrying.store(true, Ordering::Release);
        self.wake();
    }

    /// Has it write what there is and stop; returns when it has, and tells whether it wrote everything. One whose store
    /// fails stops at once: the log has what is missing, and the next life goes on there.
    pub async fn finish(&self) -> bool {
        self.shared.finishing.store(true, Ordering::Release);
        self.wake();
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as this handle.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        self.lock().error.is_none()
    }

    /// Has it look again.
    pub(super) fn wake(&self) {
        self.shared.bell.notify_one();
    }

    /// Waits for [`SinkHandle::wake`]; one that came before is not missed.
    pub(super) async fn woken(&self) {
        self.shared.bell.notified().await;
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.shared.finishing.load(Ordering::Acquire)
    }

    pub(super) fn take_retry(&self) -> bool {
        self.shared.retrying.swap(false, Ordering::AcqRel)
    }

    pub(super) fn opened(&self, position: Offset) {
        let mut report = self.lock();
        report.position = Some(position);
        report.state = State::CatchingUp;
    }

    pub(super) fn wrote(&self, events: usize, position: Offset, seconds: f64) {
        let metrics = &self.shared.metrics;
        metrics.events.inc_by(events as u64);
        metrics.seconds.observe(seconds);
        let mut report = self.lock();
        report.written += events as u64;
        report.position = Some(position);
        report.state = State::CatchingUp;
        report.error = None;
        report.failing_since = None;
        report.lag = self.behind(Some(position));
        metrics.lag.set(report.lag as i64);
    }

    pub(super) fn current(&self) {
        let mut report = self.lock();
        report.state = State::Current;
        report.error = None;
        report.failing_since = None;
        report.lag = 0;
        self.shared.metrics.lag.set(0);
    }

    /// Notes a failure; tells whether it is the first of a row.
    pub(super) fn failed(&self, error: &str, now: Stamp) -> bool {
        let metrics = &self.shared.metrics;
        metrics.failures.inc();
        let mut report = self.lock();
        report.state = State::Failing;
        report.error = Some(error.to_owned());
        report.lag = self.behind(report.position);
        metrics.lag.set(report.lag as i64);
        report.failing_since.replace(now).is_none_or(|since| {
            report.failing_since = Some(since);
            false
        })
    }

    pub(super) fn refused(&self) {
        self.shared.metrics.refused.inc();
        self.count_dead();
    }

    pub(super) fn count_dead(&self) {
        let listed = self.shared.dead.listed();
        self.shared.metrics.dead.set(listed as i64);
    }

    pub(super) fn lost(&self, events: u64) {
        self.shared.metrics.gone.inc_by(events);
        self.lock().gone += events;
    }

    pub(super) fn stopped(&self) {
        self.lock().state = State::Stopped;
        self.shared.stopped.send_replace(true);
    }

    fn behind(&self, position: Option<Offset>) -> u64 {
        let head = self.shared.tail.head();
        let done = position.filter(|position| position.epoch == head.epoch);
        head.seq.saturating_sub(done.map_or(0, |done| done.seq))
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        // Nothing in here panics half way through a change.
        self.shared
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all sinks count; one series for each sink.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    events: IntCounterVec,
    failures: IntCounterVec,
    refused: IntCounterVec,
    gone: IntCounterVec,
    lag: IntGaugeVec,
    dead: IntGaugeVec,
    seconds: HistogramVec,
}

/// What one sink counts.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    events: IntCounter,
    failures: IntCounter,
    refused: IntCounter,
    gone: IntCounter,
    lag: IntGauge,
    dead: IntGauge,
    seconds: Histogram,
}

impl SinkMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<SinkMetrics> {
        let counter = |name: &str, help: &str| {
            let opts = Opts::new(format!("glintcast_sink_{name}"), help);
            kept(registry, IntCounterVec::new(opts, &["sink"])?)
        };
        let gauge = |name: &str, help: &str| {
            let opts = Opts::new(format!("glintcast_sink_{name}"), help);
            kept(registry, IntGaugeVec::new(opts, &["sink"])?)
        };
        let opts = HistogramOpts::new(
            "glintcast_sink_write_seconds",
            "Time that a store takes for a batch.",
        );
        let opts = opts.buckets(vec![
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
        ]);
        Ok(SinkMetrics {
            events: counter("events_total", "Events that a sink has written.")?,
            failures: counter("failures_total", "Attempts at a store that failed.")?,
            refused: counter("refused_total", "Events that a store refused for good.")?,
            gone: counter(
                "gone_total",
                "Events that were gone before a sink saw them.",
            )?,
            lag: gauge(
                "lag_events",
                "Events between a sink and the head of the order.",
            )?,
            dead: gauge("dead_letters", "Dead letters that are listed.")?,
            seconds: kept(registry, HistogramVec::new(opts, &["sink"])?)?,
        })
    }

    pub(super) fn of(&self, sink: &str) -> Counters {
        Counters {
            events: self.events.with_label_values(&[sink]),
            failures: self.failures.with_label_values(&[sink]),
            refused: self.refused.with_label_values(&[sink]),
            gone: self.gone.with_label_values(&[sink]),
            lag: self.lag.with_label_values(&[sink]),
            dead: self.dead.with_label_values(&[sink]),
            seconds: self.seconds.with_label_values(&[sink]),
        }
    }
}

fn kept<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
