//! What the benches of a whole process share: a broker on a free port, subscribers that check what they get, and a
//! publisher with a steady rate.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval};

/// Clients of one loopback address: few beside the number of ports it has, as the system looks for a free one in turn, and
/// those of connections that were closed a moment ago are not.
const CLIENTS_PER_ADDRESS: usize = 1_000;

/// Tells whether `cargo bench` has this started; `cargo test` only wants to see that it starts.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// Runs a bench on one thread.
pub(crate) fn run(bench: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(bench)
}

/// Returns a number from the environment.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Starts a broker with further settings; returns it and its address.
pub(crate) async fn start(settings: &[(&str, &str)]) -> anyhow::Result<(Child, String)> {
    let mut broker = Command::new(env!("CARGO_BIN_EXE_glintcast"));
    for (key, value) in settings {
        let key = key.to_uppercase().replace('.', "__");
        broker.env(format!("GLINTCAST__{key}"), value);
    }
    let mut broker = broker
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

/// Connects as client number `nth`, with a loopback address that has ports left.
pub(crate) async fn connect(address: &str, nth: usize) -> anyhow::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(format!("127.0.0.{}:0", 1 + nth / CLIENTS_PER_ADDRESS).parse()?)?;
    Ok(socket.connect(address.parse()?).await?)
}

/// A server-sent event, as far as these benches look.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// An SSE stream, read line by line. Lines that say how long a chunk is are no fields, so they are passed over.
#[derive(Debug)]
pub(crate) struct Events {
    input: BufReader<TcpStream>,
    line: String,
}

impl Events {
    /// Opens `path` as client number `nth`, after the event `last_id`. Returns the stream behind its head.
    pub(crate) async fn open(
        address: &str,
        path: &str,
        last_id: Option<&str>,
        nth: usize,
    ) -> anyhow::Result<Events> {
        let mut stream = connect(address, nth).await?;
        let last = last_id.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut events = Events {
            input: BufReader::with_capacity(2048, stream),
            line: String::new(),
        };
        events.read_line().await?;
        ensure!(events.line.starts_with("HTTP/1.1 200"), "{}", events.line);
        while !events.line.is_empty() {
            events.read_line().await?;
        }
        Ok(events)
    }

    async fn read_line(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        ensure!(
            self.input.read_line(&mut self.line).await? > 0,
            "the stream ended"
        );
        self.line.truncate(self.line.trim_end().len());
        Ok(())
    }

    /// Returns the next event. Not safe to cancel, unless the stream is given up.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Event> {
        let mut event = Event::default();
        loop {
            self.read_line().await?;
            match self.line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => data.clone_into(&mut event.data),
                _ if self.line.is_empty() && !event.data.is_empty() => return Ok(event),
                _ => {}
            }
        }
    }
}

/// Returns the whole number that is member `key` of a line of our own JSON.
pub(crate) fn number(line: &str, key: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{key}\": "))?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// Publishes glints at a steady rate, one request each, on one connection, of sources in turn.
///
/// Each says its number among those of its source (`n`), and when it was sent: microseconds since `began` (`at`).
pub(crate) struct Publisher<'a> {
    pub(crate) address: &'a str,
    pub(crate) sources: usize,
    pub(crate) rate: usize,
    pub(crate) began: Instant,
    /// How many were acknowledged.
    pub(crate) acked: &'a AtomicU64,
}

impl Publisher<'_> {
    /// Publishes `count` glints.
    pub(crate) async fn publish(&self, count: usize) -> anyhow::Result<()> {
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(self.rate)?);
        let mut connection = TcpStream::connect(self.address).await?;
        connection.set_nodelay(true)?;
        for nth in 0..count {
            ticks.tick().await;
            let (source, number) = (nth % self.sources, nth / self.sources);
            let at = self.began.elapsed().as_micros();
            let body = format!(
                r#"{{"source":"s{source}","n":{number},"at":{at},"content":"{}"}}"#,
                "x".repeat(120)
            );
            post(&mut connection, self.address, &body).await?;
            self.acked.store(nth as u64 + 1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Posts one body and waits for the acknowledgement.
pub(crate) async fn post(
    connection: &mut TcpStream,
    address: &str,
    body: &str,
) -> anyhow::Result<()> {
    let request = request(address, "/glints", body);
    let status = exchange(connection, request.as_bytes()).await?;
    ensure!(status == 200, "refused with {status}");
    Ok(())
}

/// The bytes of a request that posts JSON.
pub(crate) fn request(address: &str, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and waits for the whole answer; returns its status.
pub(crate) async fn exchange(connection: &mut TcpStream, request: &[u8]) -> anyhow::Result<u16> {
    connection.write_all(request).await?;
    let mut answer = Vec::with_capacity(1024);
    // An answer says how long it is, and comes whole but for very long batches.
    loop {
        ensure!(connection.read_buf(&mut answer).await? > 0, "cut off");
        let text = String::from_utf8_lossy(&answer);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|head| head.get(..3));
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .context("a length")?;
        if rest.len() >= length.trim().parse()? {
            return status.context("a status")?.parse().context("a status");
        }
    }
}

/// Returns the `part`th of a hundred of `numbers`.
pub(crate) fn percentile(numbers: &mut [u64], part: usize) -> u64 {
    numbers.sort_unstable();
    let at = (numbers.len() * part / 100).min(numbers.len().saturating_sub(1));
    numbers.get(at).copied().unwrap_or(0)
}

/// Returns the resident memory of a process.
pub(crate) fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Returns the microseconds since an instant.
pub(crate) fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
