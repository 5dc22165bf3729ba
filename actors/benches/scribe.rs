//! Acknowledged glints a second with a sync before each acknowledgement, by the number of publishers, beside a loop that
//! writes and syncs groups of the same size: what the disk allows.
//!
//! ```sh
//! cargo bench -p actors --bench scribe
//! ```

#![expect(clippy::print_stdout, reason = "its report is what it is for")]
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot run has nothing to measure"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Arbiter, System};
use actors::clock::Clock;
use actors::emitter::{Emitter, Offer, Window};
use actors::mail::{Bound, Post};
use actors::metrics::Metrics;
use actors::scribe::{Archive, Bells, Desk, Durability, Restored, Scribe};
use actors::tail::{Limits, Tail};
use actors::warden::{Tripwire, Warden};
use glint::Draft;
use ledger::{Options, StdDisk, Writer};
use prometheus::Registry;
use uuid::Uuid;

const SECONDS: u64 = 2;
const ROUNDS: usize = 3;
/// Bytes that a glint of this bench takes in the log.
const RECORD_BYTES: usize = 230;

fn main() {
    // Only `cargo bench` says so; `cargo test` has it started to see that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!(
        "{:>10} {:>6} {:>14} {:>14} {:>7}",
        "publishers", "batch", "acked/s", "disk floor/s", "ratio"
    );
    for (publishers, batch) in [(1, 1), (16, 1), (64, 1), (256, 1), (1, 100)] {
        let mut ratios: Vec<(f64, f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let floor = floor(publishers * batch);
                let acked = System::new().block_on(acknowledged(publishers, batch));
                (acked / floor, acked, floor)
            })
            .collect();
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ratio, acked, floor) = ratios[ROUNDS / 2];
        println!("{publishers:>10} {batch:>6} {acked:>14.0} {floor:>14.0} {ratio:>7.2}");
    }
}

fn dir(name: &str) -> PathBuf {
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// Records a second of a loop that appends and syncs groups of this size.
fn floor(group: usize) -> f64 {
    let dir = dir("floor");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("floor"))
        .expect("a file");
    let bytes = vec![b'x'; group * RECORD_BYTES + 64];
    let clock = Clock::system();
    let began = clock.instant();
    let mut groups = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        file.write_all(&bytes).expect("written");
        file.sync_data().expect("synced");
        groups += 1;
    }
    let rate = (groups * group) as f64 / began.elapsed().as_secs_f64();
    let _ = std::fs::remove_dir_all(&dir);
    rate
}

/// Acknowledged glints a second, of publishers that each wait for an acknowledgement before the next offer.
async fn acknowledged(publishers: usize, batch: usize) -> f64 {
    let dir = dir("scribe");
    let clock = Clock::system();
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    let disk = StdDisk::open(&dir).expect("a disk");
    let (writer, _) = Writer::open(Arc::new(disk), Options::default(), 1_000_000).expect("a log");
    let limits = Limits {
        events: 10_000,
        bytes: 64 << 20,
    };
    let tail = Tail::over(
        Some(Archive::new(writer.reader())),
        writer.epoch(),
        0,
        limits,
        metrics.clone(),
    );
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
    let scribe = Scribe::start(desk, 4096).expect("a thread");
    let window = Window {
        keys: 1,
        seconds: 1,
    };
    let emitter = Emitter::new(
        clock.clone(),
        tail,
        window,
        metrics.clone(),
        Tripwire::idle(),
    );
    let emitter = emitter.kept_by(scribe, bells, Restored::default());
    let arbiter = Arbiter::new();
    let addr = Emitter::start_in_arbiter(&arbiter.handle(), move |_| emitter);
    let post = Post::new(
        addr,
        "emitter",
        Bound {
            count: 4096,
            bytes: 64 << 20,
        },
        &metrics,
    );

    let body = format!(
        r#"{{"id":"{}","source":"bench","content":"{}"}}"#,
        "i".repeat(20),
        "x".repeat(110)
    );
    let draft = Draft::read(body.as_bytes(), 4096, Uuid::nil()).expect("a glint");
    let began = clock.instant();
    let publisher = || {
        let (post, drafts) = (post.clone(), vec![draft.clone(); batch]);
        async move {
            let mut acked = 0;
            while began.elapsed() < Duration::from_secs(SECONDS) {
                let offer = Offer {
                    drafts: drafts.clone(),
                    key: None,
                };
                let receipt = post.ask(offer, 200 * batch).await.expect("asked");
                acked += receipt.expect("acknowledged").items.len();
            }
            acked
        }
    };
    let tasks: Vec<_> = (0..publishers).map(|_| actix::spawn(publisher())).collect();
    let mut acked = 0;
    for task in tasks {
        acked += task.await.expect("a publisher");
    }
    let rate = acked as f64 / began.elapsed().as_secs_f64();
    arbiter.stop();
    let _ = std::fs::remove_dir_all(&dir);
    rate
}
