//! What the cast counts. Labels come from closed lists only, so the number of series never grows with the users.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};
use wire::Form;

/// From 10 µs to 10 s, three steps a decade.
const LATENCY_BUCKETS: [f64; 19] = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0,
];

/// Stages that a glint passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The body is read and understood.
    Accept,
    /// The emitter has given it its place, and it is kept.
    Admit,
    /// It was written and synced.
    Sync,
    /// A worker has spelt it for its lanes.
    Render,
    /// A worker has woken everybody who waited for it.
    Flush,
}

/// The metrics of the cast. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// One gauge a form, at the place of the form in [`Form::ALL`]: looked up at every publish and attach.
    streams: [IntGauge; Form::ALL.len()],
    pub(crate) stream_deliveries: IntCounter,
    pub(crate) stream_bytes: IntCounter,
    pub(crate) stream_gaps: IntCounter,
    pub(crate) stream_falls: IntCounter,
    pub(crate) stream_stalls: IntCounter,
    pub(crate) sockets: IntGauge,
    pub(crate) stages: HistogramVec,
    pub(crate) mail_waiting: IntGaugeVec,
    pub(crate) mail_waiting_bytes: IntGaugeVec,
    pub(crate) mail_refused: IntCounterVec,
    pub(crate) glints: IntCounter,
    pub(crate) replayed_receipts: IntCounter,
    pub(crate) over_share: IntCounter,
    pub(crate) idempotency_keys: IntGauge,
    pub(crate) repeat_glints: IntGauge,
    pub(crate) tail_events: IntGauge,
    pub(crate) tail_bytes: IntGauge,
    pub(crate) tail_evicted: IntCounter,
    pub(crate) lanes: IntGauge,
    pub(crate) lane_bytes: IntGauge,
    pub(crate) feed_falls: IntCounter,
    pub(crate) usage: Gauge,
    pub(crate) quiet: Gauge,
    pub(crate) phase: IntGauge,
    pub(crate) workers: IntGauge,
    pub(crate) ledger_groups: IntCounter,
    pub(crate) ledger_written: IntCounter,
    pub(crate) ledger_bytes: IntGauge,
    pub(crate) ledger_floor: IntGauge,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let maker = Maker(registry);
        let streams = maker.gauges("edge_streams", "Open streams.", "form")?;
        Ok(Metrics {
            streams: Form::ALL.map(|form| streams.with_label_values(&[form.as_str()])),
            stream_deliveries: maker
                .counter("edge_deliveries_total", "Frames handed to streams.")?,
            stream_bytes: maker
                .counter("edge_delivered_bytes_total", "Bytes handed to streams.")?,
            stream_gaps: maker.counter("edge_gaps_total", "Gaps that streams were told of.")?,
            stream_falls: maker
                .counter("lane_falls_total", "Readers that a lane's window passed.")?,
            stream_stalls: maker.counter(
                "edge_stalls_total",
                "Streams let go as their socket took nothing for too long.",
            )?,
            sockets: maker.gauge(
                "edge_sockets",
                "Streams that have their socket for themselves.",
            )?,
            stages: maker.stages(
                "stage_seconds",
                "Time that a group of glints takes in each stage.",
            )?,
            mail_waiting: maker.gauges(
                "mail_waiting",
                "Messages waiting in an office.",
                "office",
            )?,
            mail_waiting_bytes: maker.gauges(
                "mail_waiting_bytes",
                "Bytes waiting in an office.",
                "office",
            )?,
            mail_refused: maker.counters(
                "mail_refused_total",
                "Messages refused as an office was full.",
                "office",
            )?,
            glints: maker.counter("emitter_glints_total", "Glints accepted.")?,
            replayed_receipts: maker.counter(
                "emitter_replayed_receipts_total",
                "Publishes answered with an earlier receipt.",
            )?,
            over_share: maker.counter(
                "emitter_over_share_total",
                "Publishes refused as their source had more than its share in flight.",
            )?,
            idempotency_keys: maker
                .gauge("emitter_idempotency_keys", "Idempotency keys remembered.")?,
            repeat_glints: maker.gauge(
                "emitter_repeat_glints",
                "Glints remembered to tell when they come again.",
            )?,
            tail_events: maker.gauge("tail_events", "Events of history held in memory.")?,
            tail_bytes: maker.gauge("tail_bytes", "Bytes of history held in memory.")?,
            tail_evicted: maker.counter("tail_evicted_total", "Events that left memory.")?,
            lanes: maker.gauge("lane_views", "Lanes in use, over all workers.")?,
            lane_bytes: maker.gauge(
                "lane_window_bytes",
                "Bytes held in lanes, over all workers.",
            )?,
            feed_falls: maker.counter(
                "shard_feed_falls_total",
                "Times that a worker's lanes had to begin anew.",
            )?,
            usage: maker.real("breath_usage_ratio", "Usage, from 0 to 1.")?,
            quiet: maker.real(
                "breath_quiet_seconds",
                "How long streams gather before they send, in quiet mode; 0 when it is not quiet.",
            )?,
            phase: maker.gauge(
                "breath_phase",
                "Phase: 0 inhale, 1 hold, 2 exhale, 3 return, 4 night_hold.",
            )?,
            workers: maker.gauge("hub_workers", "Workers at work.")?,
            ledger_groups: maker.counter("ledger_groups_total", "Groups written to the log.")?,
            ledger_written: maker
                .counter("ledger_written_bytes_total", "Bytes written to the log.")?,
            ledger_bytes: maker.gauge("ledger_bytes", "Bytes of the log.")?,
            ledger_floor: maker
                .gauge("ledger_floor", "The last event that the log has forgotten.")?,
        })
    }

    /// Returns the counter of publishes that were refused for their source's share.
    #[must_use]
    pub fn over_share(&self) -> IntCounter {
        self.over_share.clone()
    }

    /// Returns the histogram of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Histogram {
        let name = match stage {
            Stage::Accept => "accept",
            Stage::Admit => "admit",
            Stage::Sync => "sync",
            Stage::Render => "render",
            Stage::Flush => "flush",
        };
        self.stages.with_label_values(&[name])
    }

    /// Returns how many streams are open, over all forms and workers.
    #[must_use]
    pub fn open_streams(&self) -> u64 {
        Form::ALL
            .into_iter()
            .map(|form| self.open_streams_of(form))
            .sum()
    }

    /// Returns how many streams of a form are open, over all workers.
    #[must_use]
    pub fn open_streams_of(&self, form: Form) -> u64 {
        u64::try_from(self.streams(form).get()).unwrap_or(0)
    }

    pub(crate) fn streams(&self, form: Form) -> &IntGauge {
        &self.streams[form as usize]
    }
}

/// Makes metrics of this broker and registers them in one step.
struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register(IntCounter::new(full(name), help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(full(name), help)?)
    }

    fn real(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.register(Gauge::new(full(name), help)?)
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(full(name), help), &[label])?)
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(full(name), help), &[label])?)
    }

    fn stages(&self, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(full(name), help).buckets(LATENCY_BUCKETS.to_vec());
        self.register(HistogramVec::new(opts, &["stage"])?)
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn full(name: &str) -> String {
    format!("glintcast_{name}")
}
