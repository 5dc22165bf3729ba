//! What the cast counts. Labels come from closed lists only, so the number of series never grows with the users.

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
    /// The emitter has given it its place.
    Admit,
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
    streams_by_form: IntGaugeVec,
    pub(crate) stream_deliveries: IntCounter,
    pub(crate) stream_bytes: IntCounter,
    pub(crate) stream_gaps: IntCounter,
    pub(crate) stream_falls: IntCounter,
    pub(crate) stages: HistogramVec,
    pub(crate) mail_waiting: IntGaugeVec,
    pub(crate) mail_waiting_bytes: IntGaugeVec,
    pub(crate) mail_refused: IntCounterVec,
    pub(crate) glints: IntCounter,
    pub(crate) replayed_receipts: IntCounter,
    pub(crate) idempotency_keys: IntGauge,
    pub(crate) tail_events: IntGauge,
    pub(crate) tail_bytes: IntGauge,
    pub(crate) tail_evicted: IntCounter,
    pub(crate) lanes: IntGauge,
    pub(crate) lane_bytes: IntGauge,
    pub(crate) feed_falls: IntCounter,
    pub(crate) usage: Gauge,
    pub(crate) phase: IntGauge,
    pub(crate) workers: IntGauge,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let streams = IntGaugeVec::new(
            Opts::new("glintcast_edge_streams", "Open streams."),
            &["form"],
        )?;
        let metrics = Metrics {
            streams: Form::ALL.map(|form| streams.with_label_values(&[form.as_str()])),
            streams_by_form: streams,
            stream_deliveries: IntCounter::new(
                "glintcast_edge_deliveries_total",
                "Frames handed to streams.",
            )?,
            stream_bytes: IntCounter::new(
                "glintcast_edge_delivered_bytes_total",
                "Bytes handed to streams.",
            )?,
            stream_gaps: IntCounter::new(
                "glintcast_edge_gaps_total",
                "Gaps that streams were told of.",
            )?,
            stream_falls: IntCounter::new(
                "glintcast_lane_falls_total",
                "Readers that a lane's window passed.",
            )?,
            stages: HistogramVec::new(
                HistogramOpts::new(
                    "glintcast_stage_seconds",
                    "Time that a group of glints takes in each stage.",
                )
                .buckets(LATENCY_BUCKETS.to_vec()),
                &["stage"],
            )?,
            mail_waiting: gauges("glintcast_mail_waiting", "Messages waiting in an office.")?,
            mail_waiting_bytes: gauges(
                "glintcast_mail_waiting_bytes",
                "Bytes of messages waiting in an office.",
            )?,
            mail_refused: IntCounterVec::new(
                Opts::new(
                    "glintcast_mail_refused_total",
                    "Messages refused because an office was full.",
                ),
                &["office"],
            )?,
            glints: IntCounter::new("glintcast_emitter_glints_total", "Glints accepted.")?,
            replayed_receipts: IntCounter::new(
                "glintcast_emitter_replayed_receipts_total",
                "Publishes answered with the receipt of an earlier one.",
            )?,
            idempotency_keys: IntGauge::new(
                "glintcast_emitter_idempotency_keys",
                "Idempotency keys remembered.",
            )?,
            tail_events: IntGauge::new(
                "glintcast_tail_events",
                "Events of history held in memory.",
            )?,
            tail_bytes: IntGauge::new("glintcast_tail_bytes", "Bytes of history held in memory.")?,
            tail_evicted: IntCounter::new(
                "glintcast_tail_evicted_total",
                "Events that left memory.",
            )?,
            lanes: IntGauge::new("glintcast_lane_views", "Lanes in use, over all workers.")?,
            lane_bytes: IntGauge::new(
                "glintcast_lane_window_bytes",
                "Bytes held in lanes, over all workers.",
            )?,
            feed_falls: IntCounter::new(
                "glintcast_shard_feed_falls_total",
                "Times that a worker was so late that its lanes had to begin anew.",
            )?,
            usage: Gauge::new("glintcast_breath_usage_ratio", "Usage, from 0 to 1.")?,
            workers: IntGauge::new("glintcast_hub_workers", "Workers at work.")?,
            phase: IntGauge::new(
                "glintcast_breath_phase",
                "Phase: 0 inhale, 1 hold, 2 exhale, 3 return, 4 night_hold.",
            )?,
        };
        metrics.register_all(registry)?;
        Ok(metrics)
    }

    fn register_all(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.streams_by_form.clone()))?;
        registry.register(Box::new(self.stages.clone()))?;
        registry.register(Box::new(self.usage.clone()))?;
        for gauge in [&self.mail_waiting, &self.mail_waiting_bytes] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(self.mail_refused.clone()))?;
        let counters = [
            &self.stream_deliveries,
            &self.stream_bytes,
            &self.stream_gaps,
            &self.stream_falls,
            &self.glints,
            &self.replayed_receipts,
            &self.tail_evicted,
            &self.feed_falls,
        ];
        for counter in counters {
            registry.register(Box::new(counter.clone()))?;
        }
        let gauges = [
            &self.idempotency_keys,
            &self.tail_events,
            &self.tail_bytes,
            &self.lanes,
            &self.lane_bytes,
            &self.phase,
            &self.workers,
        ];
        for gauge in gauges {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    /// Returns the histogram of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Histogram {
        let name = match stage {
            Stage::Accept => "accept",
            Stage::Admit => "admit",
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

fn gauges(name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), &["office"])
}
