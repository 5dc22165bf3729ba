//! Opens the log, and brings back what it holds.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use actors::clock::Clock;
use actors::mail::Bells;
use actors::metrics::Metrics;
use actors::scribe::{self, Archive, Desk, Durability, Numbers, Restored, Scribe, Since};
use actors::tail::{Limits, Tail};
use actors::vault::SharedVault;
use actors::warden::Warden;
use anyhow::{Context as _, bail};
use glint::Offset;
use ledger::recovery::OnDamage;
use ledger::{Options, StdDisk, Writer};

use crate::config::{Damaged, DataSettings, LogDurability, Settings};

/// The folder of the log within the data directory.
pub const LOG: &str = "log";
/// Zeros written ahead in a log that is synced: some milliseconds once in a few thousand events.
const FILL_BYTES: u64 = 1 << 20;

/// A log that is open, and what it left in memory.
pub struct Kept {
    /// Where events go.
    pub scribe: Scribe,
    /// Who is rung when they are there.
    pub bells: Bells,
    /// The past.
    pub tail: Tail,
    /// What the emitter needs to know.
    pub restored: Restored,
    /// What an acknowledgement means.
    pub durability: Durability,
}

/// Opens the log in `dir`, which is locked.
///
/// # Errors
/// When it is damaged, or when the disk refuses.
pub fn open(
    settings: &Settings,
    dir: &Path,
    vault: &SharedVault,
    clock: &Clock,
    metrics: &Metrics,
    warden: &Warden,
) -> anyhow::Result<Kept> {
    let now = clock.now();
    let disk =
        StdDisk::open(&dir.join(LOG)).with_context(|| format!("the log in {}", dir.display()))?;
    let (writer, recovery) = Writer::open(Arc::new(disk), options(&settings.data), now.0)?;
    scribe::tell(&recovery);
    let ago = |seconds: u64| {
        let micros = i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        now.plus_micros(-micros).0
    };
    let since = Since {
        keys: ago(settings.publish.idempotency_seconds),
        glints: ago(settings.publish.repeat_seconds),
    };
    let known = Numbers::load(&**vault)?;
    let mut restored = scribe::restore(&writer.reader(), settings.tail.events, since, known)?;
    Numbers::of(writer.epoch(), &restored).save(&**vault)?;
    let events = std::mem::take(&mut restored.events);
    let floor = events
        .first()
        .map_or(restored.last_seq, |event| event.offset.seq - 1);
    let limits = Limits {
        events: settings.tail.events,
        bytes: settings.tail.bytes,
    };
    let archive = Archive::new(writer.reader());
    let tail = Tail::over(
        Some(archive),
        writer.epoch(),
        floor,
        limits,
        metrics.clone(),
    );
    tail.restore(events);
    let durability = match settings.data.durability {
        LogDurability::Fsync => Durability::Fsync,
        LogDurability::Os => Durability::Os,
    };
    let bells = Bells::default();
    let desk = Desk {
        writer,
        durability,
        tail: tail.clone(),
        bells: bells.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        warden: warden.clone(),
    };
    let scribe = Scribe::start(desk, settings.publish.queue_offers)?;
    Ok(Kept {
        scribe,
        bells,
        tail,
        restored,
        durability,
    })
}

/// Locks `dir` for as long as the file is held: two writers of one log would overwrite each other's groups.
///
/// # Errors
/// When another process uses it, or the disk refuses.
pub fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("the lock {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another process uses {}; stop it, or give this one another --data",
                dir.display()
            )
        }
        Err(TryLockError::Error(err)) => {
            Err(err).with_context(|| format!("the lock {}", path.display()))
        }
    }
}

fn options(data: &DataSettings) -> Options {
    let all = |limit: u64| if limit == 0 { u64::MAX } else { limit };
    let hours = i64::try_from(all(data.retain_hours)).unwrap_or(i64::MAX);
    Options {
        segment_bytes: data.segment_bytes,
        retain_bytes: all(data.retain_bytes),
        retain_records: all(data.retain_events),
        retain_micros: hours.saturating_mul(3_600_000_000),
        on_damage: match data.damaged {
            Damaged::Refuse => OnDamage::Refuse,
            Damaged::Quarantine => OnDamage::Quarantine,
        },
        max_epoch: Offset::MAX_EPOCH,
        fill_bytes: match data.durability {
            LogDurability::Fsync => FILL_BYTES,
            LogDurability::Os => 0,
        },
    }
}
