//! Starts the registry.

use std::time::Duration;

use actix::{Actor as _, Arbiter};
use actors::mail::{Bound, Post};
use actors::sigils::{self, Grounds, Sigils};
use actors::vault::SharedVault;
use glint::Topic;
use prometheus::IntGauge;
use registry::Quota;

use super::ground::Ground;
use crate::config::Settings;
use crate::edge::sigils::desk::{Limits, Pins, Room, SigilDesk};

/// Uploads that may wait.
const UPLOADS: usize = 1024;
/// Bytes of links that one upload may follow.
const FOLLOWED_BYTES: usize = 2 << 30;

/// Restores the registry and starts its office, on a thread of its own: an upload of many megabytes keeps nobody else.
///
/// # Errors
/// When what is kept is damaged: it must not be served.
pub(super) fn open(settings: &Settings, ground: &Ground) -> anyhow::Result<SigilDesk> {
    let own = &settings.registry;
    let quota = Quota {
        added_entries: own.upload_entries_max,
        entries: own.entries_max,
        url_bytes: own.url_bytes_max,
        followed_bytes: FOLLOWED_BYTES,
    };
    let office = sigils::Settings {
        base: own.base.clone(),
        mode: own.mode,
        quota,
        seal_every: Duration::from_millis(own.seal_every_ms),
    };
    let vault: Option<SharedVault> = ground.dir.is_some().then(|| ground.vault.clone());
    let grounds = Grounds {
        clock: ground.clock.clone(),
        tail: ground.tail.clone(),
        emitter: ground.emitter.clone(),
        vault,
        warden: ground.warden.clone(),
    };
    let office = Sigils::restore(&office, grounds, &ground.registry)?;
    let (showcase, board) = (office.showcase(), office.board());
    ground.tail.begin(Topic::Seals, &board.read());
    let thread = Arbiter::new().handle();
    let addr = Sigils::start_in_arbiter(&thread, move |_| office);
    let bound = Bound {
        count: UPLOADS,
        bytes: own.room_bytes.saturating_mul(2).min(u32::MAX as usize >> 3),
    };
    let gauge = |name: &str, help: &str| -> anyhow::Result<IntGauge> {
        let gauge = IntGauge::new(name, help)?;
        ground.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    };
    let room = gauge(
        "glintcast_registry_room_bytes",
        "Bytes of uploads that are being read.",
    )?;
    let pins = gauge("glintcast_registry_pins", "Lists that are held for paging.")?;
    Ok(SigilDesk {
        post: Post::new(addr, sigils::OFFICE, bound, &ground.metrics),
        showcase,
        board,
        base: own.base.clone(),
        mode: own.mode,
        quota,
        limits: Limits {
            body_bytes: own.body_limit_bytes,
            json_uploads: own.json_uploads,
            inline_urls: own.inline_urls_max,
            inline_state: own.inline_state_max,
        },
        pins: Pins::new(own.pins_max, Duration::from_secs(own.pin_seconds), pins),
        credentials: own.cors_credentials,
        room: Room::new(own.room_bytes, room),
    })
}
