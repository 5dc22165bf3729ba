//! The start of signed traces: the broker's own key, and the office.

use std::sync::Arc;

use actix::Actor as _;
use actors::accord::{Accord, Counters, Desk, OFFICE};
use actors::mail::{Bound, Post};
use anyhow::Context as _;
use attest::ring::Role;
use attest::{Attestor, KeyEntry, PrivateKey, Rules};
use glint::Stamp;

use super::ground::Ground;
use crate::config::Settings;
use crate::edge::accord::Office;
use crate::keyfile;

/// The file of the broker's own key in the data directory.
const KEY_FILE: &str = "attestation.key.pem";
/// Most traces that are known as taken where they are known in memory alone.
const REMEMBER_IN_MEMORY: u64 = 200_000;

/// Starts the office.
pub(super) fn start(settings: &Settings, ground: &Ground) -> anyhow::Result<Office> {
    let rules: Rules = settings.accord.scrub.parse()?;
    let key = match &ground.dir {
        Some(dir) => keyfile::load_or_make(&dir.join(KEY_FILE))?,
        None => keyfile::fresh()?,
    };
    let broker = entry(&key);
    let attestor = Attestor::new(broker.id.clone(), key);
    let remember = settings.accord.remember_traces;
    let accord = Accord::open(Desk {
        clock: ground.clock.clone(),
        tail: ground.tail.clone(),
        emitter: ground.emitter.clone(),
        vault: ground.vault.clone(),
        counters: Counters::register(&ground.registry)?,
        warden: ground.warden.clone(),
        remember: match ground.dir {
            Some(_) => remember,
            None => remember.min(REMEMBER_IN_MEMORY),
        },
        broker,
    })
    .context("signed traces cannot be opened")?;
    let ring = accord.ring();
    let addr = Accord::start_in_arbiter(&ground.study.thread, move |_| accord);
    let bound = Bound {
        count: settings.accord.queue_batches,
        bytes: settings.accord.queue_bytes,
    };
    Ok(Office {
        post: Post::new(addr, OFFICE, bound, &ground.metrics),
        ring,
        rules: Arc::new(rules),
        attestor: Arc::new(attestor),
        body_limit: settings.accord.body_limit_bytes,
        refused: Office::counter(&ground.registry)?,
    })
}

fn entry(key: &PrivateKey) -> KeyEntry {
    let public = key.public();
    let agent_id_hash = public.agent_id_hash();
    KeyEntry {
        id: format!("glintcast-{agent_id_hash}"),
        key: public,
        agent_id_hash,
        role: Role::Broker,
        description: "attests what this broker took out of traces".to_owned(),
        added_at: Stamp::default(),
        expires_at: None,
        revoked: None,
    }
}
