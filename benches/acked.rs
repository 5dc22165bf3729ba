//! Acknowledged glints a second with a sync before each acknowledgement, by the number of publishers: through the
//! emitter, over HTTP, and by JetStream where there is one, beside a loop that writes and syncs groups of the same size,
//! which is what the disk allows.
//!
//! ```sh
//! cargo bench --bench acked
//! ```
//!
//! Every publisher waits for its acknowledgement before it publishes again. All of a row are measured in turn, several
//! times, and medians are shown: the disk is another from second to second. JetStream needs a `nats-server` in the path
//! or in `NATS_SERVER`; one before 2.10 cannot sync each message (`sync_interval: always`), so its figure is marked.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

#[path = "acked_by/emitter.rs"]
mod emitter;
#[path = "acked_by/jetstream.rs"]
mod jetstream;

mod crowd;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use actix::System;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// Time of each measurement.
const TIME: Duration = Duration::from_secs(1);
/// Measurements of each kind.
const ROUNDS: usize = 5;
/// Bytes that a glint of this bench takes in the log.
const RECORD_BYTES: usize = 230;

fn main() -> anyhow::Result<()> {
    if !crowd::is_asked_for() {
        return Ok(());
    }
    let nats = jetstream::find();
    println!(
        "{:>10} {:>6} {:>12} {:>12} {:>6} {:>8} {:>12} {:>6} {:>12}",
        "publishers",
        "batch",
        "disk floor/s",
        "emitter/s",
        "part",
        "a sync",
        "HTTP/s",
        "part",
        "JetStream/s"
    );
    for (publishers, batch) in [(1, 1), (16, 1), (64, 1), (256, 1), (1, 100)] {
        let mut rows: [Vec<f64>; 5] = Default::default();
        for _ in 0..ROUNDS {
            rows[0].push(floor(publishers * batch)?);
            let (rate, a_sync) = System::new().block_on(emitter::acked(publishers, batch, TIME))?;
            rows[1].push(rate);
            rows[4].push(a_sync);
            rows[2].push(block_on(over_http(publishers, batch))?);
            if let Some(nats) = &nats {
                rows[3].push(block_on(jetstream::acked(nats, publishers, batch, TIME))?);
            }
        }
        let [floor, emitter, http, jetstream, a_sync] = rows.map(median);
        println!(
            "{publishers:>10} {batch:>6} {floor:>12.0} {emitter:>12.0} {:>5.0}% {a_sync:>8.1} {http:>12.0} {:>5.0}% {jetstream:>12.0}",
            emitter / floor * 100.0,
            http / floor * 100.0
        );
    }
    Ok(())
}

fn block_on(measured: impl Future<Output = anyhow::Result<f64>>) -> anyhow::Result<f64> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(LocalSet::new().run_until(measured))
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns an empty directory on the disk that builds go to.
fn dir(name: &str) -> anyhow::Result<PathBuf> {
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// A glint of this bench. It is given an id each time: with one of its own it would be taken once.
fn glint() -> String {
    format!(r#"{{"source":"bench","content":"{}"}}"#, "x".repeat(120))
}

/// Records a second of a loop that appends and syncs groups of this size.
fn floor(group: usize) -> anyhow::Result<f64> {
    let dir = dir("floor")?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("floor"))?;
    let bytes = vec![b'x'; group * RECORD_BYTES + 64];
    let began = Instant::now();
    let mut groups = 0;
    while began.elapsed() < TIME {
        file.write_all(&bytes)?;
        file.sync_data()?;
        groups += 1;
    }
    let rate = (groups * group) as f64 / began.elapsed().as_secs_f64();
    let _ = std::fs::remove_dir_all(&dir);
    Ok(rate)
}

/// Acknowledged glints a second over HTTP, one kept-alive connection a publisher.
async fn over_http(publishers: usize, batch: usize) -> anyhow::Result<f64> {
    let dir = dir("http")?;
    let data = dir.to_string_lossy().into_owned();
    let (mut broker, address) = crowd::start(&[("data.dir", &data)]).await?;
    let body = match batch {
        1 => glint(),
        _ => format!("[{}]", vec![glint(); batch].join(",")),
    };
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..publishers {
        let (address, body) = (address.clone(), body.clone());
        tasks.spawn_local(async move {
            let mut connection = TcpStream::connect(&address).await?;
            connection.set_nodelay(true)?;
            let mut acked = 0;
            while began.elapsed() < TIME {
                crowd::post(&mut connection, &address, &body).await?;
                acked += batch;
            }
            anyhow::Ok(acked)
        });
    }
    let mut acked = 0;
    while let Some(ended) = tasks.join_next().await {
        acked += ended??;
    }
    let rate = acked as f64 / began.elapsed().as_secs_f64();
    broker.kill().await?;
    let _ = std::fs::remove_dir_all(&dir);
    Ok(rate)
}
