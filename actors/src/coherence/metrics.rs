//! What this office counts. No label names a source.

use coherence::Outcome;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::witness::LAYERS;

/// The metrics of this office. Cloning shares them.
#[derive(Debug, Clone)]
pub struct CoherenceMetrics {
    events: [IntCounter; Outcome::ALL.len()],
    pub(super) sources: IntGaugeVec,
    pub(super) changes: IntCounterVec,
    pub(super) releases: IntCounterVec,
    pub(super) gate: Meters,
    pub(super) gate_open: IntGauge,
    pub(super) evictions: IntCounter,
    pub(super) update_seconds: Histogram,
    pub(super) lag: IntGauge,
    pub(super) gone: IntCounter,
    pub(super) t_abs: Gauge,
    pub(super) phase: Gauge,
    pub(super) order: Gauge,
    pub(super) delta: Gauge,
    pub(super) peers: IntGauge,
    pub(super) skew: Gauge,
    pub(super) exchanges: IntCounterVec,
    pub(super) witnessed: IntCounterVec,
    pub(super) witness_dropped: IntCounterVec,
    pub(super) signatures: IntCounter,
    pub(super) outbox: IntGauge,
    pub(super) vault_failures: IntCounter,
}

impl CoherenceMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<CoherenceMetrics> {
        let maker = Maker(registry);
        let events = maker.counters(
            "events_total",
            "Events measured, by what became of them.",
            ("result", &[]),
        )?;
        Ok(CoherenceMetrics {
            events: Outcome::ALL.map(|outcome| events.with_label_values(&[outcome.as_str()])),
            sources: maker.gauges(
                "sources",
                "Sources held, by state and overlay.",
                ("state", &STATES),
            )?,
            changes: maker.counters(
                "changes_total",
                "Changes of what a source is said to be.",
                ("change", &CHANGES),
            )?,
            releases: maker.counters(
                "releases_total",
                "Collapses that ended, by why.",
                ("reason", &RELEASES),
            )?,
            gate: Meters {
                actions: maker.counters(
                    "gate_actions_total",
                    "Glints that the gate did not merely let pass.",
                    ("action", &ACTIONS),
                )?,
                seconds: maker.histogram(
                    "gate_seconds",
                    "Time to judge the glints of an offer, while anything stands about any source.",
                )?,
            },
            gate_open: maker.gauge(
                "gate_open",
                "1 where the gate lets everything pass, as nobody judges.",
            )?,
            evictions: maker.counter("evictions_total", "Sources that had to go for others.")?,
            update_seconds: maker
                .histogram("update_seconds", "Time to measure a page of events.")?,
            lag: maker.gauge("lag_events", "Events that are not measured yet.")?,
            gone: maker.counter(
                "gone_events_total",
                "Events that were gone before they were measured.",
            )?,
            t_abs: maker.number("node_t_abs", "Length of T over all events of this node.")?,
            phase: maker.number(
                "node_phase_radians",
                "Angle of T over all events of this node.",
            )?,
            order: maker.number("order_parameter", "Order parameter over coherent sources.")?,
            delta: maker.number(
                "sync_delta",
                "Distance of Master and Emissary over all events of this node.",
            )?,
            peers: maker.gauge("mesh_peers", "Nodes of the mesh that are known.")?,
            skew: maker.number("mesh_skew_seconds", "Clock of the last peer against ours.")?,
            exchanges: maker.counters(
                "mesh_exchanges_total",
                "Entries of peers, by what became of them.",
                ("result", &EXCHANGES),
            )?,
            witnessed: maker.counters(
                "witness_records_total",
                "Records of witnesses.",
                ("layer", &LAYERS),
            )?,
            witness_dropped: maker.counters(
                "witness_dropped_total",
                "Records of witnesses that there was no room for.",
                ("layer", &LAYERS),
            )?,
            signatures: maker.counter("memory_signatures_total", "Signatures written.")?,
            outbox: maker.gauge("outbox_entries", "Records that wait to be kept.")?,
            vault_failures: maker.counter(
                "vault_failures_total",
                "Times that the state of this office could not be saved.",
            )?,
        })
    }

    /// Counts an event that was measured.
    pub(super) fn measured(&self, outcome: Outcome) {
        self.events[outcome as usize].inc();
    }

    /// Returns what the gate is measured by.
    #[must_use]
    pub fn gate(&self) -> Meters {
        self.gate.clone()
    }
}

/// What the gate is measured by.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Glints that it did not merely let pass.
    pub(crate) actions: IntCounterVec,
    /// How long it takes over an offer.
    pub(crate) seconds: Histogram,
}

/// A label and all its words.
type Label = (&'static str, &'static [&'static str]);

const STATES: [&str; 7] = [
    "nascent",
    "coherent",
    "drifting",
    "incoherent",
    "bursting",
    "silent",
    "dormant",
];
const CHANGES: [&str; 9] = [
    "collapse",
    "release",
    "drift",
    "flag",
    "quarantine",
    "dissipate",
    "recover",
    "burst",
    "silence",
];
const RELEASES: [&str; 3] = ["amplitude", "little_evidence", "dormant"];
const ACTIONS: [&str; 4] = ["flag", "quarantine", "dissipate", "hold_back"];
const EXCHANGES: [&str; 4] = ["taken", "stale", "full", "refused"];

struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        collector: C,
    ) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.keep(IntCounter::new(full(name), help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.keep(IntGauge::new(full(name), help)?)
    }

    fn number(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.keep(Gauge::new(full(name), help)?)
    }

    /// Every word is there from the start: what did not happen yet is 0, not missing.
    fn counters(
        &self,
        name: &str,
        help: &str,
        (label, words): Label,
    ) -> prometheus::Result<IntCounterVec> {
        let counters = self.keep(IntCounterVec::new(Opts::new(full(name), help), &[label])?)?;
        for word in words {
            counters.with_label_values(&[word]);
        }
        Ok(counters)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        (label, words): Label,
    ) -> prometheus::Result<IntGaugeVec> {
        let gauges = self.keep(IntGaugeVec::new(Opts::new(full(name), help), &[label])?)?;
        for word in words {
            gauges.with_label_values(&[word]);
        }
        Ok(gauges)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let buckets = vec![1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 0.1, 1.0];
        self.keep(Histogram::with_opts(
            HistogramOpts::new(full(name), help).buckets(buckets),
        )?)
    }
}

fn full(name: &str) -> String {
    format!("glintcast_coherence_{name}")
}
