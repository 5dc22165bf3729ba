//! Offers to the emitter, in this process.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::Clock;
use actors::emitter::{Emitter, Offer, Once, Sequencer, Tray, Window};
use actors::mail::{Bells, Bound};
use actors::metrics::{Metrics, Stage};
use actors::scribe::{Archive, Desk, Durability, Restored, Scribe};
use actors::tail::{Limits, Tail};
use actors::warden::{Tripwire, Warden};
use anyhow::Context as _;
use glint::Draft;
use ledger::{Options, StdDisk, Writer};
use prometheus::Registry;
use uuid::Uuid;

/// Acknowledged glints a second, and in one sync.
pub(crate) async fn acked(
    publishers: usize,
    batch: usize,
    time: Duration,
) -> anyhow::Result<(f64, f64)> {
    let dir = crate::dir("emitter")?;
    let clock = Clock::system();
    let (tray, metrics) = office(&dir, &clock)?;
    let draft = Draft::read(crate::glint().as_bytes(), 4096, Uuid::nil())?;
    let began = clock.instant();
    let publisher = || {
        let (tray, drafts) = (tray.clone(), vec![draft.clone(); batch]);
        async move {
            let mut acked = 0;
            while began.elapsed() < time {
                let offer = Offer {
                    drafts: drafts.clone(),
                    once: Once::Content,
                };
                acked += tray.offer(offer).await??.items.len();
            }
            anyhow::Ok(acked)
        }
    };
    let tasks: Vec<_> = (0..publishers).map(|_| actix::spawn(publisher())).collect();
    let mut acked = 0;
    for task in tasks {
        acked += task.await.context("a publisher")??;
    }
    let rate = acked as f64 / began.elapsed().as_secs_f64();
    let syncs = metrics.stage(Stage::Sync).get_sample_count();
    let _ = std::fs::remove_dir_all(&dir);
    Ok((rate, acked as f64 / syncs as f64))
}

/// An emitter with a log in `dir`.
fn office(dir: &std::path::Path, clock: &Clock) -> anyhow::Result<(Tray, Metrics)> {
    let metrics = Metrics::register(&Registry::new())?;
    let disk = Arc::new(StdDisk::open(dir)?);
    // As the broker has it.
    let options = Options {
        fill_bytes: 1 << 20,
        ..Options::default()
    };
    let (writer, _) = Writer::open(disk, options, 1_000_000)?;
    let limits = Limits {
        events: 10_000,
        bytes: 64 << 20,
    };
    let archive = Archive::new(writer.reader());
    let tail = Tail::over(Some(archive), writer.epoch(), 0, limits, metrics.clone());
    let bells = Bells::default();
    let desk = Desk {
        writer,
        durability: Durability::Fsync,
        tail: tail.clone(),
        bells: bells.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        warden: Warden::default(),
    };
    let scribe = Scribe::start(desk, 4096)?;
    let window = Window {
        keys: 1,
        seconds: 1,
    };
    let tripwire = Tripwire::idle();
    let sequencer = Sequencer::new(clock.clone(), tail, window, metrics.clone(), tripwire);
    let sequencer = sequencer.kept_by(scribe, bells, Restored::default());
    let bound = Bound {
        count: 4096,
        bytes: 64 << 20,
    };
    let (post, order) = Emitter::open(sequencer, bound);
    Ok((Tray::new(post, order), metrics))
}
