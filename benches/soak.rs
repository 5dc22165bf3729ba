//! Soak: many subscribers, idle and active, on one broker for a while. Is memory flat, is nobody starved, are counts
//! right soon after a disconnect?
//!
//! ```sh
//! SOAK_IDLE=5000 SOAK_ACTIVE=5000 SOAK_SECONDS=600 SOAK_RATE=10 SOAK_CHURN=8 cargo bench --bench soak
//! ```
//!
//! With `SOAK_CHURN`, so many clients at a time come, hear how they are greeted and go, as fast as they can.
//!
//! Starts the broker on a free port, connects half of the active ones by SSE and half by WebSocket (GS1-T), publishes
//! at a steady rate, and prints a line every ten seconds. Everything is on loopback, so client and server share the
//! machine.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// Stands in every glint, and nowhere else in a stream.
const MARK: &[u8] = b"soak-mark";
/// Connections opened at once.
const OPENING: usize = 64;
/// Clients of one loopback address: below the number of ports it has.
const CLIENTS_PER_ADDRESS: usize = 20_000;
/// Addresses of clients that come and go: the port of one that went stays taken for a minute.
const ADDRESSES: usize = 100;

fn main() -> anyhow::Result<()> {
    // Only `cargo bench` says so; `cargo test` has it started to see that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let (idle, active) = (setting("SOAK_IDLE", 500), setting("SOAK_ACTIVE", 500));
    let (seconds, rate) = (setting("SOAK_SECONDS", 5), setting("SOAK_RATE", 10));
    let (mut broker, address) = start().await?;
    let pid = broker.id().context("the broker runs")?;
    println!(
        "{idle} idle and {active} active subscribers, {rate} glints/s for {seconds} s; broker pid {pid}"
    );
    println!(
        "resident before the first subscriber: {} KiB",
        resident_kib(pid)?
    );

    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..active).map(|_| AtomicU64::new(0)).collect());
    let mut subscribers = JoinSet::new();
    connect(
        idle,
        &mut subscribers,
        &address,
        |_| "GET /stream?topics=glints&module=nobody.*",
        None,
    )
    .await?;
    println!("resident with the idle ones: {} KiB", resident_kib(pid)?);
    connect(
        active,
        &mut subscribers,
        &address,
        |nth| if nth % 2 == 0 { SSE } else { WEBSOCKET },
        Some(&counts),
    )
    .await?;
    println!(
        "resident with all of them: {} KiB; listeners {}",
        resident_kib(pid)?,
        listeners(&address).await?
    );

    let came = Arc::new(AtomicU64::new(0));
    for _ in 0..setting("SOAK_CHURN", 0) {
        let (address, came) = (address.clone(), came.clone());
        subscribers.spawn(async move {
            if let Err(err) = come_and_go(&address, &came).await {
                println!("somebody came and was not served: {err:#}");
            }
        });
    }
    let load = (rate as u64, seconds as u64);
    let published = publish(&address, load, pid, &counts, &came).await?;
    let starved = settle(&counts, published).await;
    let (least, most) = spread(&counts);
    println!(
        "published {published}; received per active subscriber: {least} to {most}; starved: {starved}"
    );

    let gone = Instant::now();
    subscribers.abort_all();
    while subscribers.join_next().await.is_some() {}
    while listeners(&address).await? > 0 {
        ensure!(
            gone.elapsed() < Duration::from_secs(30),
            "listeners are still counted after 30 s"
        );
        sleep(Duration::from_millis(10)).await;
    }
    println!(
        "counts were right {:.2} s after everybody left; resident {} KiB",
        gone.elapsed().as_secs_f64(),
        resident_kib(pid)?
    );
    broker.kill().await?;
    ensure!(starved == 0, "{starved} subscribers did not get everything");
    Ok(())
}

const SSE: &str = "GET /stream?topics=glints";
const WEBSOCKET: &str = "WS /stream?topics=glints";

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

async fn start() -> anyhow::Result<(Child, String)> {
    let mut broker = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("GLINTCAST__LOG__LEVEL", "warn")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = broker.stdout.take().context("a pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .context("the first line")?
        .to_owned();
    Ok((broker, address))
}

/// Opens `count` streams, some at a time, and leaves a task on each that counts what it gets.
async fn connect(
    count: usize,
    tasks: &mut JoinSet<()>,
    address: &str,
    request: fn(usize) -> &'static str,
    counts: Option<&Arc<Vec<AtomicU64>>>,
) -> anyhow::Result<()> {
    for from in (0..count).step_by(OPENING) {
        let opening = (from..count.min(from + OPENING)).map(|nth| open(address, request(nth), nth));
        for (nth, stream) in futures_util::future::try_join_all(opening)
            .await?
            .into_iter()
            .enumerate()
        {
            let (counts, nth) = (counts.cloned(), from + nth);
            tasks.spawn(async move {
                let _ = listen(stream, counts.as_deref().map(|counts| &counts[nth])).await;
            });
        }
    }
    Ok(())
}

async fn open(address: &str, request: &str, nth: usize) -> anyhow::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(format!("127.0.0.{}:0", 1 + nth / CLIENTS_PER_ADDRESS).parse()?)?;
    let mut stream = socket.connect(address.parse()?).await?;
    let head = match request.strip_prefix("WS ") {
        None => format!("{request} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
        Some(path) => format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: gs1-t.v1\r\n\r\n"
        ),
    };
    stream.write_all(head.as_bytes()).await?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    ensure!(
        first.starts_with(b"HTTP/1.1 200") || first.starts_with(b"HTTP/1.1 101"),
        "refused: {request}"
    );
    Ok(stream)
}

/// Counts marks; one that lies across two reads is found through the bytes carried over.
async fn listen(mut stream: TcpStream, count: Option<&AtomicU64>) -> anyhow::Result<()> {
    let mut buffer = vec![0; 2048];
    let mut held = 0;
    loop {
        let read = stream.read(&mut buffer[held..]).await?;
        ensure!(read > 0, "the stream ended");
        let filled = held + read;
        let marks = memchr::memmem::find_iter(&buffer[..filled], MARK).count() as u64;
        if let Some(count) = count {
            count.fetch_add(marks, Ordering::Relaxed);
        }
        // One byte less than a mark can be the beginning of one, and never a whole one.
        held = filled.min(MARK.len() - 1);
        buffer.copy_within(filled - held..filled, 0);
    }
}

/// Comes and goes, for ever.
async fn come_and_go(address: &str, came: &AtomicU64) -> anyhow::Result<()> {
    loop {
        let nth = came.fetch_add(1, Ordering::Relaxed) as usize;
        let request = if nth.is_multiple_of(2) {
            SSE
        } else {
            WEBSOCKET
        };
        let mut stream = open(address, request, nth % ADDRESSES * CLIENTS_PER_ADDRESS).await?;
        ensure!(stream.read(&mut [0; 2048]).await? > 0, "no greeting");
    }
}

async fn publish(
    address: &str,
    (rate, seconds): (u64, u64),
    pid: u32,
    counts: &[AtomicU64],
    came: &AtomicU64,
) -> anyhow::Result<u64> {
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let mut connection = TcpStream::connect(address).await?;
    for nth in 0..rate * seconds {
        ticks.tick().await;
        let text = std::str::from_utf8(MARK)?;
        let body = format!(
            r#"{{"id":"s{nth}","source":"soak","content":"{text} {}"}}"#,
            "x".repeat(120)
        );
        let head = format!(
            "POST /glints HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).await?;
        let mut answer = [0; 4096];
        let read = connection.read(&mut answer).await?;
        ensure!(
            answer[..read].starts_with(b"HTTP/1.1 200"),
            "a glint was refused"
        );
        if (nth + 1) % (rate * 10) == 0 {
            let (least, most) = spread(counts);
            println!(
                "{:>5} s: resident {} KiB, received {least} to {most}, came and went {}",
                (nth + 1) / rate,
                resident_kib(pid)?,
                came.load(Ordering::Relaxed)
            );
        }
    }
    Ok(rate * seconds)
}

fn spread(counts: &[AtomicU64]) -> (u64, u64) {
    let counts = || counts.iter().map(|count| count.load(Ordering::Relaxed));
    (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
}

/// Waits until everybody has everything, five seconds at most, and returns how many have not.
async fn settle(counts: &[AtomicU64], published: u64) -> usize {
    let began = Instant::now();
    loop {
        let starved = counts
            .iter()
            .filter(|count| count.load(Ordering::Relaxed) != published)
            .count();
        if starved == 0 || began.elapsed() > Duration::from_secs(5) {
            return starved;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn listeners(address: &str) -> anyhow::Result<u64> {
    let mut connection = TcpStream::connect(address).await?;
    let request =
        format!("GET /stream/status HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let count = answer
        .split("\"active_connections\": ")
        .nth(1)
        .context("a count")?;
    Ok(count.split(',').next().context("a number")?.parse()?)
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
