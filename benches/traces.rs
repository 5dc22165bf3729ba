//! Signed traces with an acknowledgement that means on disk: how many batches a second, how late the acknowledgement is
//! at 70 % of that, and how many a second go through to PostgreSQL, where there is one.
//!
//! ```sh
//! TRACES_BATCHES=12000 TRACES_ROUNDS=7 cargo bench --bench traces
//! ```
//!
//! A batch has one trace of 14 components, about 3.7 KB. All are signed before the clock starts, by an agent for each of
//! 16 kept-alive connections. The bars:
//!
//! | what | bar |
//! | --- | --- |
//! | into the log alone, each connection waiting for its acknowledgement | at least 5,000 batches/s |
//! | the same, until the last trace is in PostgreSQL | at least 1,500 batches/s |
//! | p99 of the acknowledgement at 70 % of the first | below 20 ms |
//!
//! Rounds are many and short: where a machine is shared, some of them are held up from outside.
//!
//! The last is an open loop: the acknowledgement is timed from when the batch should have been sent, so a broker that
//! holds one up pays for those behind it. Clients share the machine with the broker, and with the database, which syncs
//! its commits as it does by default; without one the figure is NaN. A batch that is turned away with 429 is sent again, and counted.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod crowd;
#[path = "../tests/support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use crowd::{micros_since, number, percentile, setting};
use support::postgres::Postgres;
use support::signed::Agent;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Connections, each with an agent of its own.
const CONNECTIONS: usize = 16;
/// Components of a trace.
const COMPONENTS: usize = 14;
/// The part of the full rate at which acknowledgements are timed, in hundredths.
const LOAD: f64 = 70.0;
/// Pause before a batch that was turned away is sent again.
const AGAIN: Duration = Duration::from_millis(5);
const EVENTS: &str = "/api/v1/accord/events";
const KEYS: &str = "/api/v1/accord/public-keys";

fn main() -> anyhow::Result<()> {
    if !crowd::is_asked_for() {
        return Ok(());
    }
    crowd::run(LocalSet::new().run_until(run()))
}

async fn run() -> anyhow::Result<()> {
    let (count, rounds) = (
        setting("TRACES_BATCHES", 12_000),
        setting("TRACES_ROUNDS", 7),
    );
    let load = Load::sign(count)?;
    println!(
        "{} batches of {} bytes, {CONNECTIONS} connections, medians of {rounds} rounds",
        load.count(),
        load.lanes[0].batches[0].len()
    );
    let postgres = Postgres::with("bench", &[]);
    let mut rows: [Vec<f64>; 3] = Default::default();
    let mut refused = 0;
    for _ in 0..rounds {
        let alone = load.through(None).await?;
        let acks = load.acknowledged(alone.rate * LOAD / 100.0).await?;
        rows[0].push(alone.rate);
        rows[1].push(acks.p99_ms);
        refused += alone.refused + acks.refused;
        if let Some(postgres) = &postgres {
            let through = load.through(Some(postgres)).await?;
            rows[2].push(through.rate);
            refused += through.refused;
        }
    }
    let [alone, p99, through] = rows.map(median);
    println!("{:<36} {:>10} {:>10}", "", "measured", "bar");
    println!(
        "{:<36} {alone:>10.0} {:>10}",
        "log alone, batches/s", ">= 5000"
    );
    println!(
        "{:<36} {p99:>10.2} {:>10}",
        "p99 of an ack at 70 %, ms", "< 20"
    );
    println!(
        "{:<36} {through:>10.0} {:>10}",
        "through to PostgreSQL, batches/s", ">= 1500"
    );
    println!("{:<36} {refused:>10}", "turned away and sent again");
    Ok(())
}

/// What is sent, by connection, ready to be written.
#[derive(Debug, Clone)]
struct Load {
    lanes: Vec<Lane>,
}

#[derive(Debug, Clone)]
struct Lane {
    enrolment: Rc<str>,
    batches: Rc<[String]>,
}

/// Batches a second, and how many were turned away.
#[derive(Debug)]
struct Rate {
    rate: f64,
    refused: u64,
}

/// The 99th percentile of acknowledgements, and how many batches were turned away.
#[derive(Debug)]
struct Acks {
    p99_ms: f64,
    refused: u64,
}

impl Load {
    /// Signs so many batches, all but the rest of a division by the connections.
    fn sign(count: usize) -> anyhow::Result<Load> {
        let each = count / CONNECTIONS;
        ensure!(each > 0, "TRACES_BATCHES is at least {CONNECTIONS}");
        let lanes = (1..).take(CONNECTIONS).map(|byte| {
            let agent = Agent::new(byte);
            let batch = |nth| agent.batch(&format!("trace-{byte}-{nth}"), COMPONENTS);
            Lane {
                enrolment: agent.enrolment().into(),
                batches: (0..each).map(batch).collect(),
            }
        });
        Ok(Load {
            lanes: lanes.collect(),
        })
    }

    fn count(&self) -> usize {
        self.lanes.iter().map(|lane| lane.batches.len()).sum()
    }

    /// Sends everything as fast as it is acknowledged, and waits until the database has it if there is one.
    async fn through(&self, postgres: Option<&Postgres>) -> anyhow::Result<Rate> {
        let bench = Bench::start(self, postgres).await?;
        let refused = Rc::new(Cell::new(0));
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for lane in self.lanes.clone() {
            let (address, refused) = (bench.address.clone(), refused.clone());
            tasks.spawn_local(async move {
                let mut connection = connect(&address).await?;
                for batch in &*lane.batches {
                    send(&mut connection, &address, batch, &refused).await?;
                }
                anyhow::Ok(())
            });
        }
        ended(tasks).await?;
        if postgres.is_some() {
            bench.until_written(self.count() as u64).await?;
        }
        let rate = self.count() as f64 / began.elapsed().as_secs_f64();
        bench.stop().await?;
        Ok(Rate {
            rate,
            refused: refused.get(),
        })
    }

    /// Sends at a steady rate over all connections, and times each acknowledgement.
    async fn acknowledged(&self, rate: f64) -> anyhow::Result<Acks> {
        let bench = Bench::start(self, None).await?;
        let refused = Rc::new(Cell::new(0));
        let micros = Rc::new(RefCell::new(Vec::with_capacity(self.count())));
        let mut tasks = JoinSet::new();
        // Connections are there when the first is due.
        let began = Instant::now() + Duration::from_millis(100);
        for (place, lane) in self.lanes.clone().into_iter().enumerate() {
            let (address, refused, micros) =
                (bench.address.clone(), refused.clone(), micros.clone());
            tasks.spawn_local(async move {
                let mut connection = connect(&address).await?;
                for (nth, batch) in lane.batches.iter().enumerate() {
                    let due = (nth * CONNECTIONS + place) as f64 / rate;
                    let due = began + Duration::from_secs_f64(due);
                    sleep_until(due).await;
                    send(&mut connection, &address, batch, &refused).await?;
                    micros.borrow_mut().push(micros_since(due));
                }
                anyhow::Ok(())
            });
        }
        ended(tasks).await?;
        bench.stop().await?;
        let p99 = percentile(&mut micros.borrow_mut(), 99);
        Ok(Acks {
            p99_ms: p99 as f64 / 1e3,
            refused: refused.get(),
        })
    }
}

/// A broker with an empty log that knows all keys.
#[derive(Debug)]
struct Bench {
    broker: Child,
    address: String,
    dir: PathBuf,
}

impl Bench {
    async fn start(load: &Load, postgres: Option<&Postgres>) -> anyhow::Result<Bench> {
        let name = format!("traces-{}", std::process::id());
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        let data = dir.to_string_lossy().into_owned();
        let mut settings = vec![
            ("data.dir", data.as_str()),
            ("data.durability", "fsync"),
            // The log is what is measured, and the database; not the file that traces are asked from.
            ("traces.store", "off"),
            ("admin.open_on_loopback", "true"),
        ];
        let url = postgres.map(Postgres::url);
        if let Some(postgres) = postgres {
            // What the round before has left there.
            postgres.query("DROP SCHEMA IF EXISTS glintcast CASCADE");
        }
        settings.extend(url.as_deref().map(|url| ("postgres.url", url)));
        let (broker, address) = crowd::start(&settings).await?;
        let mut connection = connect(&address).await?;
        for lane in &load.lanes {
            let request = crowd::request(&address, KEYS, &lane.enrolment);
            let status = crowd::exchange(&mut connection, request.as_bytes()).await?;
            ensure!(status / 100 == 2, "a key is refused with {status}");
        }
        Ok(Bench {
            broker,
            address,
            dir,
        })
    }

    /// Waits until the sink has written so many traces.
    async fn until_written(&self, count: u64) -> anyhow::Result<()> {
        loop {
            let mut connection = connect(&self.address).await?;
            let request = "GET /api/v1/sinks HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
            connection.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            let written = number(&answer, "written").context("a sink")?;
            if written >= count {
                return Ok(());
            }
            sleep(AGAIN).await;
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.broker.kill().await?;
        let _ = std::fs::remove_dir_all(&self.dir);
        Ok(())
    }
}

async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

/// Sends a batch until it is acknowledged.
async fn send(
    connection: &mut TcpStream,
    address: &str,
    batch: &str,
    refused: &Cell<u64>,
) -> anyhow::Result<()> {
    let request = crowd::request(address, EVENTS, batch);
    loop {
        match crowd::exchange(connection, request.as_bytes()).await? {
            200 => return Ok(()),
            429 => refused.set(refused.get() + 1),
            status => anyhow::bail!("a batch is refused with {status}"),
        }
        sleep(AGAIN).await;
    }
}

async fn ended(mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
