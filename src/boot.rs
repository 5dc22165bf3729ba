//! From settings to a running broker, and back.

mod accord;
pub mod coherence;
#[cfg(unix)]
mod files;
pub mod ground;
pub mod log;
mod rituals;
mod sigils;
mod signals;
mod sinks;

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Actor as _;
use actix_web::rt::System;
use actors::clock::Clock;
use actors::emitter::{CountsHandle, Emitter, Order, Sequencer, Shares, Window};
use actors::hub::Hub;
use actors::mail::{Bound, Post};
use actors::metrics::Metrics;
use actors::phase::{self, Capacity, PhaseKeeper, StateCell};
use actors::scribe::{self, Durability, Scribe};
use actors::shard;
use actors::sigils::restore::RestoreFault;
use actors::tail::{self, Tail};
use actors::warden::Warden;
use anyhow::Context as _;
use glint::{Offset, Stamp, Topic};
use ledger::LedgerError;

use self::ground::{Ground, Study};
use self::signals::Signals;
use crate::config::{HandOff, Settings, UsageSource};
use crate::edge::coherence::Window as CoherenceWindow;
use crate::edge::desk::{Desk, Limits};
use crate::edge::server;
use crate::{drain, telemetry};

/// Exit code when an office died: everything it had acknowledged is gone with the process, so it starts anew.
const EXIT_INTERNAL: u8 = 70;
/// Exit code when the log cannot be written or read: a person has to look at the disk.
const EXIT_DISK: u8 = 74;
/// How long a process whose log failed still tells why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Mailbox of an office that only the broker itself writes to.
const HOUSE_MAIL: Bound = Bound {
    count: 1024,
    bytes: 1 << 20,
};

/// Runs the broker until it is told to stop, and returns the exit code.
///
/// # Errors
/// When the address cannot be listened on, or the process lacks something.
pub fn run(settings: &Settings) -> anyhow::Result<u8> {
    telemetry::start_logging(&settings.log)?;
    #[cfg(unix)]
    files::raise(settings.edge.streams_max);
    // Bound first: whoever waits for the line on stdout may connect at once.
    let address = settings.edge.listen;
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}; is another broker running? give another address with --listen")
    })?;
    let ended = System::with_tokio_rt(runtime).block_on(serve(settings, listener));
    match ended {
        Err(err) if err.is::<LedgerError>() || err.is::<RestoreFault>() => {
            tracing::error!("{err}");
            Ok(EXIT_DISK)
        }
        ended => ended,
    }
}

#[expect(
    clippy::expect_used,
    reason = "without a runtime there is nobody to report to"
)]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("invariant: a runtime can be built")
}

async fn serve(settings: &Settings, listener: TcpListener) -> anyhow::Result<u8> {
    let warden = Warden::default();
    let (desk, _lock) = cast(settings, &warden).await?;
    let desk = Arc::new(desk);
    let address = listener.local_addr()?;
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let server = server::start(
        listener,
        &server_settings(settings),
        desk.clone(),
        warden.clone(),
    )?;
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    std::io::stdout().flush()?;
    tracing::info!(%address, epoch = desk.tail.epoch(), "ready");
    tokio::select! {
        biased;
        office = warden.fall() => {
            if office == scribe::OFFICE {
                tokio::time::sleep(LAST_WORDS).await;
                return Ok(EXIT_DISK);
            }
            tracing::error!(office, "an office died; the process ends");
            return Ok(EXIT_INTERNAL);
        }
        () = signals.next() => {}
        () = rituals::reload_on_hangup(settings, &desk) => {}
        ended = running => {
            ended.context("the server's task")??;
            anyhow::bail!("the server ended by itself");
        }
    }
    let grace = Duration::from_secs(settings.drain.grace_seconds);
    tokio::select! {
        cut_off = drain::run(&desk, &handle, grace) => tracing::info!(cut_off, "stopped"),
        () = signals.next() => tracing::warn!("told twice; stopping at once"),
    }
    Ok(0)
}

/// What all other offices come after: the emitter, and what it works with.
struct Footing {
    ground: Ground,
    order: Order,
    counts: CountsHandle,
    scribe: Option<Scribe>,
    durability: Durability,
    /// What coherence has ready before its office is there: the emitter asks its gate.
    ready: coherence::Ready,
    /// Held for as long as the process uses the data directory.
    lock: Option<File>,
}

/// Opens the log and the vault, and starts the emitter.
fn footing(settings: &Settings, warden: &Warden, clock: Clock) -> anyhow::Result<Footing> {
    let registry = telemetry::registry()?;
    let metrics = Metrics::register(&registry)?;
    let lock = settings.data.dir.as_deref().map(log::lock).transpose()?;
    let vault = ground::vault(settings)?;
    let kept = match &settings.data.dir {
        Some(dir) => Some(log::open(settings, dir, &vault, &clock, &metrics, warden)?),
        None => None,
    };
    let tail = match &kept {
        Some(kept) => kept.tail.clone(),
        None => tail_in_memory(settings, clock.now(), &metrics),
    };
    let window = |keys, seconds| Window {
        keys,
        seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
    };
    let publish = &settings.publish;
    let tripwire = warden.tripwire("emitter");
    let mut sequencer = Sequencer::new(
        clock.clone(),
        tail.clone(),
        window(publish.idempotency_keys, publish.idempotency_seconds),
        metrics.clone(),
        tripwire,
    );
    let (mut scribe, mut durability) = (None, Durability::Memory);
    let mut glints = Vec::new();
    if let Some(mut kept) = kept {
        scribe = Some(kept.scribe.clone());
        durability = kept.durability;
        glints = std::mem::take(&mut kept.restored.glints);
        sequencer = sequencer.kept_by(kept.scribe, kept.bells, kept.restored);
    }
    let sequencer = sequencer.remembering(
        window(publish.repeat_glints, publish.repeat_seconds),
        glints,
    );
    let ready = coherence::ready(&registry)?;
    let sequencer = sequencer.gated_by(ready.gate.clone(), ready.metrics.gate());
    let (counts, bells) = (sequencer.counts(), sequencer.bells());
    let bound = Bound {
        count: settings.publish.queue_offers,
        bytes: settings.publish.queue_bytes,
    };
    let (emitter, order) = Emitter::open(sequencer, bound);
    let ground = Ground {
        emitter,
        study: Study::start(&bells, &clock, &tail, warden),
        clock,
        tail,
        metrics,
        registry,
        warden: warden.clone(),
        vault,
        dir: settings.data.dir.clone(),
        bells,
    };
    Ok(Footing {
        ground,
        order,
        counts,
        scribe,
        durability,
        ready,
        lock,
    })
}

/// Starts the offices, in the order in which they need each other.
async fn cast(settings: &Settings, warden: &Warden) -> anyhow::Result<(Desk, Option<File>)> {
    let clock = Clock::system();
    let now = clock.now();
    let footing = footing(settings, warden, clock)?;
    let ground = footing.ground;
    let (state, keeper) = phase(settings, &ground, now)?;
    let office = coherence::start(settings, &ground, &footing.ready, now)?;
    let sigils = sigils::open(settings, &ground)?;
    let rituals = rituals::start(settings, &ground, &keeper)?;
    let hub = Hub::new(
        ground.clock.clone(),
        ground.bells.clone(),
        ground.metrics.clone(),
        warden.tripwire("hub"),
    );
    let hub = Post::new(hub.start(), "hub", HOUSE_MAIL, &ground.metrics);
    let sinks = sinks::start(settings, &ground)?;
    let accord = accord::start(settings, &ground)?;
    let (accept_seconds, admit_seconds) = Desk::stages(&ground.metrics);
    let desk = Desk {
        accord,
        limits: limits(settings),
        admin: settings.admin.clone(),
        durability: footing.durability,
        scribe: footing.scribe,
        shares: Shares::new(
            settings.publish.queue_offers,
            ground.clock.clone(),
            ground.metrics.over_share(),
        ),
        zone: settings.breath.zone,
        draining: AtomicBool::new(false),
        sigils,
        emitter: ground.emitter,
        order: footing.order,
        hub,
        phase: keeper,
        rituals,
        tail: ground.tail,
        counts: footing.counts,
        state,
        coherence: CoherenceWindow {
            office,
            gate: footing.ready.gate,
        },
        opened: ground.clock.instant(),
        clock: ground.clock,
        metrics: ground.metrics,
        registry: ground.registry,
        sinks,
        accept_seconds,
        admit_seconds,
    };
    Ok((desk, footing.lock))
}

/// Starts the breath.
fn phase(
    settings: &Settings,
    ground: &Ground,
    now: Stamp,
) -> anyhow::Result<(StateCell, Post<PhaseKeeper>)> {
    let keeper = PhaseKeeper::new(
        breath_settings(settings, now)?,
        ground.clock.clone(),
        ground.tail.clone(),
        ground.emitter.clone(),
        ground.metrics.clone(),
        ground.warden.tripwire("phase"),
    );
    let keeper = keeper.measuring(capacity(settings));
    let state = keeper.cell();
    let greeting = wire::payload::greeting(&state.read().state, now, settings.breath.zone);
    ground.tail.begin(Topic::State, &greeting);
    let keeper = Post::new(keeper.start(), "phase", HOUSE_MAIL, &ground.metrics);
    Ok((state, keeper))
}

fn capacity(settings: &Settings) -> Capacity {
    let full = settings.usage.capacity as f64;
    match settings.usage.source {
        UsageSource::Set => Capacity::Unmeasured,
        UsageSource::Glints => Capacity::Glints(full),
        UsageSource::Ledger => Capacity::Ledger(full),
        UsageSource::Subscribers => Capacity::Subscribers(full),
    }
}

/// History that ends with the process: each process is an epoch, the second of its start.
fn tail_in_memory(settings: &Settings, now: Stamp, metrics: &Metrics) -> Tail {
    let epoch = u64::try_from(now.0 / 1_000_000)
        .unwrap_or(0)
        .min(Offset::MAX_EPOCH);
    let limits = tail::Limits {
        events: settings.tail.events,
        bytes: settings.tail.bytes,
    };
    Tail::new(epoch, limits, metrics.clone())
}

fn breath_settings(settings: &Settings, start: Stamp) -> anyhow::Result<phase::Settings> {
    let breath = &settings.breath;
    Ok(phase::Settings {
        breath: breath.breath(start)?,
        zone: breath.zone,
        tick: Duration::from_millis(breath.tick_ms),
        caesura_after: Duration::from_secs(breath.caesura_after_seconds),
        usage_step: breath.usage_step,
    })
}

fn limits(settings: &Settings) -> Limits {
    let edge = &settings.edge;
    Limits {
        glint_bytes: edge.glint_limit_bytes,
        batch_bytes: edge.batch_limit_bytes,
        batch_glints: edge.batch_max,
        body_timeout: Duration::from_secs(edge.body_timeout_seconds),
        hand_off: edge.handoff == HandOff::Auto,
        refusal_delay: Duration::from_millis(edge.refusal_delay_ms),
    }
}

fn server_settings(settings: &Settings) -> server::Settings {
    let edge = &settings.edge;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let retry = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
    server::Settings {
        workers: if edge.workers == 0 {
            cores
        } else {
            edge.workers
        },
        shard: shard::Settings {
            worker: 0,
            lane: lane::Limits {
                window_bytes: settings.lane.window_bytes,
                page_bytes: settings.lane.page_bytes,
            },
            lanes_max: edge.views_max,
            streams_max: edge.streams_max,
            keepalive: Duration::from_secs(edge.keepalive_seconds),
            stall: Duration::from_secs(edge.stall_seconds),
            coalesce: Duration::from_millis(settings.lane.coalesce_ms),
            retry_ms: (
                retry(settings.drain.retry_min_ms),
                retry(settings.drain.retry_max_ms),
            ),
            zone: settings.breath.zone,
        },
        stop_grace: Duration::from_secs(settings.drain.grace_seconds),
    }
}
