//! The registry from outside: what uploads, duplicates, questions for the seal and its announcements cost.
//!
//! ```sh
//! REGISTRY_ENTRIES=100000 REGISTRY_SUBSCRIBERS=1000 cargo bench --bench registry
//! ```
//!
//! The log syncs each group, as it does by default. Processor time is that of the broker, system calls included. The seal
//! is asked for with its ETag by `PIPES` connections that send `DEPTH` requests at once, so that the broker, which has one
//! worker then, is what is measured and not the client; the rate is per second of the broker's processor time. Memory is
//! what a broker that starts with all entries has more than one that starts with none, less the URLs themselves.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod crowd;
#[path = "registry_by/ears.rs"]
mod ears;
#[path = "registry_by/writes.rs"]
mod writes;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crowd::{exchange, micros_since, percentile, resident_kib, setting};
use ears::Ears;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};
use writes::Writes;

const UPLOAD: &str =
    "/sigils/inhale?include_state=false&include_urls=false&max_bytes_per_file=100000000";
/// Entries of a batch of duplicates.
const BATCH: usize = 200;
/// Times that something small is done.
const TIMES: usize = 100;
/// Connections that ask for the seal, requests that each has under way, and rounds of them.
const PIPES: usize = 8;
const DEPTH: usize = 64;
const TURNS: usize = 400;
/// Longer than the shortest time between two announcements.
const QUIET: Duration = Duration::from_millis(150);

fn main() -> anyhow::Result<()> {
    if !crowd::is_asked_for() {
        return Ok(());
    }
    crowd::run(LocalSet::new().run_until(run()))
}

async fn run() -> anyhow::Result<()> {
    let entries = setting("REGISTRY_ENTRIES", 10_000);
    let subscribers = setting("REGISTRY_SUBSCRIBERS", 100);
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("registry-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let empty = resting(&dir).await?;
    let mut house = House::open(&dir, &[]).await?;
    house.report(entries, subscribers).await?;
    house.broker.kill().await?;
    let full = resting(&dir).await?;
    let urls = (0..entries).map(|nth| url(nth).len()).sum::<usize>();
    let more = full.saturating_sub(empty) as f64 * 1024.0 - urls as f64;
    say(
        "memory of an entry beyond its URL, bytes",
        more / entries as f64,
        "<= 700",
    );
    let mut house = House::open(&dir, &[("edge.workers", "1")]).await?;
    let (wall, cpu) = house.ask().await?;
    say("304 a second, by the clock", wall, "");
    say("304 a second of processor time", cpu, ">= 50000");
    house.broker.kill().await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// What an announcement takes when one thread writes it and does nothing else: p50 and p99, in milliseconds.
async fn floor(subscribers: usize) -> anyhow::Result<[f64; 2]> {
    let mut writes = Writes::open(subscribers).await?;
    let mut micros = Vec::new();
    for _ in 0..TIMES {
        sleep(QUIET).await;
        let began = writes.announce()?;
        for heard in writes.ears.all().await? {
            micros.push(heard.duration_since(began)?.as_micros() as u64);
        }
    }
    writes.ears.leave().await?;
    Ok(middle_and_end(micros))
}

fn middle_and_end(mut micros: Vec<u64>) -> [f64; 2] {
    [50, 99].map(|part| percentile(&mut micros, part) as f64 / 1e3)
}

/// Resident memory of a broker that has done nothing but start, in KiB.
async fn resting(dir: &Path) -> anyhow::Result<u64> {
    let mut house = House::open(dir, &[]).await?;
    house.seal().await?;
    sleep(Duration::from_millis(500)).await;
    let resident = resident_kib(house.pid);
    house.broker.kill().await?;
    resident
}

fn url(nth: usize) -> String {
    // Each has a pulse of its own, in no order: what is new belongs anywhere in the list.
    let pulse = nth * 7919 % 1_000_003;
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"pulse\":{pulse}}}"));
    format!("https://peer.example/s/{nth:032x}?p={payload}")
}

fn document(numbers: std::ops::Range<usize>) -> String {
    let mut body = String::from("{\"urls\":[");
    for nth in numbers {
        let _ = write!(body, "\"{}\",", url(nth));
    }
    body.pop();
    body.push_str("]}");
    body
}

fn say(what: &str, measured: f64, bar: &str) {
    println!("{what:<64} {measured:>12.3} {bar:>12}");
}

/// How long the announcement of a seal took: p50 and p99, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    /// Since the upload that changed it was sent.
    since_upload: [f64; 2],
    /// Since its uploader was told that it is another.
    since_answer: [f64; 2],
}

/// A broker, and a connection to it.
#[derive(Debug)]
struct House {
    broker: Child,
    pid: u32,
    address: String,
    connection: TcpStream,
}

impl House {
    async fn open(dir: &Path, settings: &[(&str, &str)]) -> anyhow::Result<House> {
        let data = dir.to_string_lossy().into_owned();
        let own = [
            ("data.dir", &*data),
            ("breath.tick_ms", "60000"),
            ("coherence.enabled", "false"),
        ];
        let (broker, address) = crowd::start(&[&own, settings].concat()).await?;
        let connection = TcpStream::connect(&address).await?;
        connection.set_nodelay(true)?;
        let pid = broker.id().context("the broker runs")?;
        Ok(House {
            broker,
            pid,
            address,
            connection,
        })
    }

    async fn report(&mut self, entries: usize, subscribers: usize) -> anyhow::Result<()> {
        println!("{:<64} {:>12} {:>12}", "", "measured", "bar");
        // A list that is short, before one that is long: the seal is taken over all of it.
        let few = self.push(entries + 2 * TIMES, subscribers).await?;
        let everything = document(0..entries);
        let (cpu, began) = (self.cpu()?, Instant::now());
        self.upload(&everything).await?;
        self.seal().await?;
        let wall = began.elapsed();
        say(
            &format!("{entries} new ones in one upload, s"),
            wall.as_secs_f64(),
            "<= 0.5",
        );
        let used = (self.cpu()? - cpu).as_secs_f64();
        say("the same, processor time, s", used, "<= 0.5");

        let mut micros = Vec::new();
        for nth in entries..entries + TIMES {
            let body = document(nth..nth + 1);
            let began = Instant::now();
            self.upload(&body).await?;
            micros.push(micros_since(began));
            sleep(Duration::from_millis(10)).await;
        }
        say(
            "one new one, acknowledged, median, ms",
            percentile(&mut micros, 50) as f64 / 1e3,
            "<= 2",
        );

        // A second after the last record the log gets its witness, which is none of a duplicate's.
        sleep(Duration::from_millis(1500)).await;
        let written = self.written().await?;
        let mut micros = Vec::new();
        for nth in 0..TIMES {
            let first = nth * BATCH % (entries - BATCH);
            let body = document(first..first + BATCH);
            let began = Instant::now();
            self.upload(&body).await?;
            micros.push(micros_since(began));
        }
        say(
            "200 duplicates, median, ms",
            percentile(&mut micros, 50) as f64 / 1e3,
            "<= 1",
        );
        let written = self.written().await? - written;
        say("the same, bytes written", written as f64, "0");

        let many = self.push(entries + TIMES, subscribers).await?;
        let [p50, p99] = floor(subscribers).await?;
        let what = format!("a loop of writes to {subscribers} sockets");
        say(&format!("{what}, p50, ms"), p50, "");
        say(&format!("{what}, p99, ms"), p99, "");
        for (list, pushed) in [("a short list", few), ("all of them", many)] {
            let what = format!("seal of {list} at {subscribers} subscribers");
            let [p50, p99] = pushed.since_upload;
            say(&format!("{what}, p50, ms"), p50, "");
            say(&format!("{what}, p99, ms"), p99, "");
            let [p50, p99] = pushed.since_answer;
            say(&format!("{what}, after the answer, p50, ms"), p50, "");
            say(&format!("{what}, after the answer, p99, ms"), p99, "< 10");
        }
        Ok(())
    }

    /// Changes the seal again and again, and times how long it takes until the event is at the socket of each subscriber.
    async fn push(&mut self, first: usize, subscribers: usize) -> anyhow::Result<Pushed> {
        let mut ears = Ears::open(&self.address, subscribers).await?;
        let (mut since_upload, mut since_answer) = (Vec::new(), Vec::new());
        for nth in first..first + TIMES {
            sleep(QUIET).await;
            let body = document(nth..nth + 1);
            let sent = ears::now();
            self.upload(&body).await?;
            let answered = ears::now();
            for heard in ears.all().await? {
                since_upload.push(heard.duration_since(sent)?.as_micros() as u64);
                // A subscriber may hear of it before the uploader does.
                let after = heard.duration_since(answered).unwrap_or_default();
                since_answer.push(after.as_micros() as u64);
            }
        }
        ears.leave().await?;
        // The broker lets go of so many streams before the next thing is timed.
        sleep(QUIET * 4).await;
        let of =
            |mut micros: Vec<u64>| [50, 99].map(|part| percentile(&mut micros, part) as f64 / 1e3);
        Ok(Pushed {
            since_upload: of(since_upload),
            since_answer: of(since_answer),
        })
    }

    /// Asks for the seal with its ETag; returns the answers a second, by the clock and by the broker's processor time.
    async fn ask(&mut self) -> anyhow::Result<(f64, f64)> {
        let seal = self.seal().await?;
        let head = format!(
            "GET /sigils/seal HTTP/1.1\r\nhost: {}\r\nif-none-match: \"{seal}\"\r\n\r\n",
            self.address
        );
        let (cpu, began) = (self.cpu()?, Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..PIPES {
            let mut connection = TcpStream::connect(&self.address).await?;
            let requests = head.repeat(DEPTH);
            tasks.spawn_local(async move {
                let mut answers = Vec::new();
                for _ in 0..TURNS {
                    connection.write_all(requests.as_bytes()).await?;
                    answers.clear();
                    let is_whole = |answers: &[u8]| {
                        answers.ends_with(b"\r\n\r\n")
                            && answers.windows(4).filter(|end| end == b"\r\n\r\n").count() == DEPTH
                    };
                    while !is_whole(&answers) {
                        ensure!(connection.read_buf(&mut answers).await? > 0, "cut off");
                    }
                    ensure!(answers.starts_with(b"HTTP/1.1 304"), "another answer");
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let count = (PIPES * DEPTH * TURNS) as f64;
        let (wall, used) = (began.elapsed(), self.cpu()? - cpu);
        Ok((count / wall.as_secs_f64(), count / used.as_secs_f64()))
    }

    async fn upload(&mut self, body: &str) -> anyhow::Result<()> {
        let request = crowd::request(&self.address, UPLOAD, body);
        let status = exchange(&mut self.connection, request.as_bytes()).await?;
        ensure!(status == 200, "an upload is refused with {status}");
        Ok(())
    }

    async fn seal(&self) -> anyhow::Result<String> {
        let body = self.get("/sigils/seal").await?;
        let (_, rest) = body.split_once("\"seal\":\"").context("a seal")?;
        Ok(rest.chars().take(32).collect())
    }

    /// Bytes that went into the log.
    async fn written(&self) -> anyhow::Result<u64> {
        let metrics = self.get("/metrics").await?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("glintcast_ledger_written_bytes_total "));
        Ok(line.context("the counter")?.parse()?)
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut connection = TcpStream::connect(&self.address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Processor time that the broker has used.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (_, fields) = stat.rsplit_once(") ").context("a name")?;
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap_or(0))
            .sum();
        // A tick is 10 ms on every Linux that this runs on.
        Ok(Duration::from_millis(ticks * 10))
    }
}
