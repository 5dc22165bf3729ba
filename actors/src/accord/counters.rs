//! What the office counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What the office counts. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Counters {
    pub(super) traces: IntCounterVec,
    pub(super) rows: IntCounter,
    pub(super) keys: IntGauge,
    pub(super) remembered: IntGauge,
    pub(super) unsaved: IntGauge,
}

impl Counters {
    /// Makes the counters and registers them.
    ///
    /// # Errors
    /// When the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Counters> {
        let opts = |name: &str, help: &str| {
            Opts::new(name, help)
                .namespace("glintcast")
                .subsystem("accord")
        };
        let counters = Counters {
            traces: IntCounterVec::new(
                opts("traces_total", "Signed traces by what became of them."),
                &["outcome"],
            )?,
            rows: IntCounter::with_opts(opts("rows_total", "Components that were kept."))?,
            keys: IntGauge::with_opts(opts("keys", "Keys in the ring, revoked ones included."))?,
            remembered: IntGauge::with_opts(opts("remembered", "Traces known as taken."))?,
            unsaved: IntGauge::with_opts(opts(
                "unsaved",
                "Traces known as taken that are not on the vault's disk yet.",
            ))?,
        };
        registry.register(Box::new(counters.traces.clone()))?;
        registry.register(Box::new(counters.rows.clone()))?;
        for gauge in [&counters.keys, &counters.remembered, &counters.unsaved] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(counters)
    }
}
