//! Starts what the broker does by itself.

use std::fs;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use actix::Actor as _;
use actors::mail::{Bell, Post};
use actors::phase::PhaseKeeper;
use actors::rituals::board::BoardHandle;
use actors::rituals::{self, Partners, Reload, Responder, Throttles};
use anyhow::Context as _;
use rites::Rules;

use super::HOUSE_MAIL;
use super::ground::Ground;
use crate::config::Settings;
use crate::edge::desk::{Desk, Rituals};
use crate::hands::{self, Drivers, Limits};

/// The rules that come along.
const BUILT_IN: &str = include_str!("../../config/rituals.toml");
/// The folder of archives within the data directory.
const ARCHIVES: &str = "archives";

/// Starts the responder on the thread of the study, unless rituals are off.
///
/// # Errors
/// When the rules have a mistake, or the vault cannot be read.
pub(super) fn start(
    settings: &Settings,
    ground: &Ground,
    phase: &Post<PhaseKeeper>,
) -> anyhow::Result<Rituals> {
    let board = BoardHandle::new(&ground.registry)?;
    let mut rituals = Rituals {
        office: None,
        board: board.clone(),
        throttles: Throttles::default(),
        chain_max: settings.rituals.chain_max,
    };
    if !settings.rituals.enabled {
        return Ok(rituals);
    }
    let rules = read(settings.rituals.file.as_deref())?;
    let partners = Partners {
        clock: ground.clock.clone(),
        tail: ground.tail.clone(),
        emitter: ground.emitter.clone(),
        phase: phase.clone(),
        vault: ground.vault.clone(),
        hands: Arc::new(drivers(settings, ground)?),
        throttles: rituals.throttles.clone(),
        board,
    };
    let office_settings = rituals::Settings {
        jobs_max: settings.rituals.jobs_max,
        chain_max: settings.rituals.chain_max,
        zone: settings.breath.zone,
    };
    let tripwire = ground.warden.tripwire(rituals::OFFICE);
    let responder = Responder::new(office_settings, partners, rules, tripwire)?;
    let lodge = ground.study.lodge.clone();
    let addr = Responder::start_in_arbiter(&ground.study.thread, move |ctx| {
        let (bell, clapper) = Bell::new(actix::AsyncContext::address(ctx).recipient());
        lodge.add(bell);
        responder.rung_by(clapper)
    });
    rituals.office = Some(Post::new(
        addr,
        rituals::OFFICE,
        HOUSE_MAIL,
        &ground.metrics,
    ));
    Ok(rituals)
}

fn drivers(settings: &Settings, ground: &Ground) -> anyhow::Result<Drivers> {
    let rituals = &settings.rituals;
    Ok(Drivers::new(Limits {
        commands: rituals.commands_dir.clone(),
        workdir: rituals.workdir.clone(),
        archives: ground.dir.as_ref().map(|dir| dir.join(ARCHIVES)),
        secret: rituals.webhook_secret.clone(),
        private: rituals.webhook_private,
        trust: hands::trust(rituals.webhook_ca.as_deref()).context("rituals.webhook_ca")?,
        output_bytes: rituals.output_bytes,
    }))
}

/// Reads the rules of a file, or those that come along.
///
/// # Errors
/// When it cannot be read, or with every mistake in it.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Rules> {
    let Some(file) = file else {
        return Ok(rites::read(BUILT_IN)?);
    };
    let size = fs::metadata(file)
        .with_context(|| format!("rituals.file {}", file.display()))?
        .len();
    anyhow::ensure!(
        size <= rites::read::MAX_BYTES as u64,
        "rituals.file {} has {size} bytes, the limit is {}",
        file.display(),
        rites::read::MAX_BYTES
    );
    let text =
        fs::read_to_string(file).with_context(|| format!("rituals.file {}", file.display()))?;
    rites::read(&text).with_context(|| format!("rituals.file {}", file.display()))
}

/// Reads the rules again whenever the process is told to by SIGHUP. Never ends.
pub(super) async fn reload_on_hangup(settings: &Settings, desk: &Desk) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            return pending().await;
        };
        while hangups.recv().await.is_some() {
            reload(settings, desk).await;
        }
    }
    pending().await
}

async fn reload(settings: &Settings, desk: &Desk) {
    let Some(office) = &desk.rituals.office else {
        return;
    };
    match read(settings.rituals.file.as_deref()) {
        Ok(rules) => {
            let (count, weight) = (rules.rules.len(), rules.text.len());
            match office.ask(Reload { rules, keep: false }, weight).await {
                Ok(Ok(())) => tracing::info!(count, "rules were read again"),
                Ok(Err(err)) | Err(err) => tracing::error!(%err, "the rules are those from before"),
            }
        }
        Err(err) => tracing::error!("the rules are those from before: {err:#}"),
    }
}
