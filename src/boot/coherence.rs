//! The start of coherence.

use actix::Actor as _;
use actors::coherence::{Coherence, CoherenceMetrics, Gate, OFFICE, Settings as Office, Tools};
use actors::mail::{Bell, Post};
use coherence::{Arcs, Carrier, Limits, MeshLimits, Params, Rule};
use glint::{Phase, Stamp};
use prometheus::Registry;

use super::HOUSE_MAIL;
use super::ground::Ground;
use crate::config::{CoherenceSettings, Period, Settings};

/// What the emitter and the office share, before either is there.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What the emitter asks.
    pub gate: Gate,
    /// What is counted.
    pub metrics: CoherenceMetrics,
}

/// Makes what the emitter and the office share.
///
/// # Errors
/// When a metric of that name is there already.
pub fn ready(registry: &Registry) -> anyhow::Result<Ready> {
    Ok(Ready {
        gate: Gate::default(),
        metrics: CoherenceMetrics::register(registry)?,
    })
}

/// Starts the office, in the study, unless settings leave it out.
///
/// # Errors
/// When the settings make no kernel; those that were loaded always do.
pub fn start(
    settings: &Settings,
    ground: &Ground,
    ready: &Ready,
    now: Stamp,
) -> anyhow::Result<Option<Post<Coherence>>> {
    let chosen = &settings.coherence;
    if !chosen.enabled {
        return Ok(None);
    }
    let office = Office {
        params: params(settings, now)?,
        limits: Limits {
            sources: chosen.sources_max,
            contracts: chosen.contracts_max,
        },
        mesh: MeshLimits {
            nodes: chosen.mesh_nodes_max,
            max_age_us: chosen.mesh_peer_age_seconds.saturating_mul(1_000_000),
        },
        node: chosen.node.as_str().into(),
        arcs: arcs(settings),
        signatures: chosen.signatures_per_cycle,
        micro: chosen.micro_records,
    };
    if let Some(warning) = office.params.warning() {
        tracing::warn!("{warning}");
    }
    let tools = Tools {
        clock: ground.clock.clone(),
        tail: ground.tail.clone(),
        emitter: ground.emitter.clone(),
        vault: ground.vault.clone(),
        metrics: ready.metrics.clone(),
        gate: ready.gate.clone(),
    };
    let tripwire = ground.warden.tripwire(OFFICE);
    let lodge = ground.study.lodge.clone();
    let addr = Coherence::start_in_arbiter(&ground.study.thread, move |ctx| {
        let (bell, clapper) = Bell::new(actix::AsyncContext::address(ctx).recipient());
        lodge.add(bell);
        Coherence::new(office, tools, tripwire).rung_by(clapper)
    });
    Ok(Some(Post::new(addr, OFFICE, HOUSE_MAIL, &ground.metrics)))
}

fn params(settings: &Settings, now: Stamp) -> anyhow::Result<Params> {
    let CoherenceSettings {
        period,
        master_periods,
        emissary_periods,
        ..
    } = settings.coherence;
    let chosen = &settings.coherence;
    let (period, epoch) = match period {
        Period::Micros(period) => (period, 0),
        Period::Breath => {
            let (period, anchor) = settings.breath.breath(now)?.cycle();
            (period, anchor.0)
        }
    };
    let rule = Rule {
        coherence: chosen.coherence_threshold,
        release: chosen.release_threshold,
        evidence: -chosen.false_alarm.ln(),
    };
    let carrier = Carrier::new(period, epoch)?;
    let mut params = Params::new(
        carrier,
        master_periods * period,
        emissary_periods * period,
        chosen.slots,
        rule,
    )?;
    params.sync_floor = chosen.phase_threshold;
    params.companions.silence_phi = chosen.silence_phi;
    params.companions.burst_score = chosen.burst_score;
    Ok(params)
}

fn arcs(settings: &Settings) -> Arcs {
    let phases = Phase::ALL.into_iter().zip(settings.breath.hours);
    let parts: Vec<(&str, f64)> = phases
        .map(|(phase, hours)| (phase.as_str(), hours))
        .collect();
    Arcs::new(&parts)
}
