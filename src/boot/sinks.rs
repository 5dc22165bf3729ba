//! Starts the sinks: the store of traces, and the database.

use std::time::Duration;

use actix::Actor as _;
use actors::sink::{Settings as SinkSettings, Sink, SinkHandle, SinkMetrics, Store, Surroundings};

use super::ground::{self, Ground};
use crate::config::{PostgresSettings, Settings, TracesStore};
use crate::store::sinks::Sinks;
use crate::store::traces::{Retention, TraceStore, topics, wants};

/// The name of the sink that fills the store of traces.
const TRACES: &str = "traces";
/// The name of the sink that fills the database.
const POSTGRES: &str = "postgres";
/// Traces in memory where there is no data directory, at most.
const IN_MEMORY_MAX: u64 = 10_000;
/// Bytes of records after which a batch is full.
const BATCH_BYTES: usize = 8 << 20;
/// Traces of a batch for the store of traces.
const BATCH_TRACES: usize = 512;
/// The shortest time between two writes that are not full batches.
const GATHER: Duration = Duration::from_millis(100);
/// How long a disk may take for a batch.
const DISK_PATIENCE: Duration = Duration::from_secs(60);
/// The shortest time between two attempts.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// The longest, at a disk.
const DISK_RETRY_MAX: Duration = Duration::from_secs(10);
/// Dead letters that are listed for each sink.
const DEAD_MAX: usize = 1000;

/// Starts the sinks that the settings name.
///
/// # Errors
/// When a file cannot be opened, or a setting names what this binary lacks.
pub(super) fn start(settings: &Settings, ground: &Ground) -> anyhow::Result<Sinks> {
    let metrics = SinkMetrics::register(&ground.registry)?;
    let mut sinks = Sinks::default();
    if settings.traces.store == TracesStore::Embedded {
        let store = open(settings, ground)?;
        let options = SinkSettings {
            name: TRACES,
            wants,
            topics: topics(),
            batch_events: BATCH_TRACES,
            batch_bytes: BATCH_BYTES,
            gather: GATHER,
            patience: DISK_PATIENCE,
            backoff: (RETRY_MIN, DISK_RETRY_MAX),
            dead_max: DEAD_MAX,
        };
        let handle = one(options, Box::new(store.clone()), ground, &metrics)?;
        sinks.handles.push(handle);
        sinks.traces = Some(store);
    }
    if !settings.postgres.url.is_empty() {
        let options = SinkSettings {
            name: POSTGRES,
            wants,
            topics: topics(),
            batch_events: settings.postgres.batch_traces,
            batch_bytes: BATCH_BYTES,
            gather: GATHER,
            patience: Duration::from_secs(settings.postgres.timeout_seconds),
            backoff: (
                RETRY_MIN,
                Duration::from_millis(settings.postgres.retry_max_ms),
            ),
            dead_max: DEAD_MAX,
        };
        let store = postgres(&settings.postgres, ground.tail.epoch())?;
        sinks.handles.push(one(options, store, ground, &metrics)?);
    }
    Ok(sinks)
}

#[cfg(feature = "postgres")]
fn postgres(settings: &PostgresSettings, epoch: u64) -> anyhow::Result<Box<dyn Store>> {
    Ok(Box::new(crate::store::postgres::Postgres::new(
        &settings.url,
        settings.password.expose(),
        &settings.schema,
        epoch,
        Duration::from_secs(settings.timeout_seconds),
    )?))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &PostgresSettings, _: u64) -> anyhow::Result<Box<dyn Store>> {
    anyhow::bail!("postgres.url is set, but this program was built without the feature postgres")
}

fn open(settings: &Settings, ground: &Ground) -> anyhow::Result<TraceStore> {
    let traces = &settings.traces;
    let mut retention = Retention {
        traces: traces.retain_traces,
        hours: traces.retain_hours,
    };
    Ok(match &ground.dir {
        Some(dir) => TraceStore::open(dir, retention)?,
        None => {
            if retention.traces == 0 || retention.traces > IN_MEMORY_MAX {
                retention.traces = IN_MEMORY_MAX;
            }
            TraceStore::in_memory(retention)?
        }
    })
}

fn one(
    settings: SinkSettings,
    store: Box<dyn Store>,
    ground: &Ground,
    metrics: &SinkMetrics,
) -> anyhow::Result<SinkHandle> {
    let around = Surroundings {
        clock: ground.clock.clone(),
        tail: ground.tail.clone(),
        bells: ground.bells.clone(),
        vault: ground.vault.clone(),
        metrics: metrics.clone(),
    };
    let tripwire = ground.warden.tripwire("sink");
    let (sink, handle) = Sink::new(settings, store, around, tripwire)?;
    // A thread of its own: rows take milliseconds to make, and the study answers others.
    Sink::start_in_arbiter(&ground::thread(), |_| sink);
    Ok(handle)
}
