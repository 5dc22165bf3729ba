//! What coherence costs the way in: processor time of the whole process for as many glints, with it and without.
//!
//! ```sh
//! INGEST_GLINTS=400000 INGEST_SOURCES=1000 cargo bench --bench ingest
//! ```
//!
//! Each round starts a broker, posts the same glints one by one over a few kept connections, and reads its processor time
//! before and after. Rounds with and without coherence take turns, so that what else the machine does falls on both.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Connections that post at once.
const CONNECTIONS: usize = 8;

fn main() -> Result<()> {
    // Only `cargo bench` says so; `cargo test` has it started to see that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let (glints, sources, rounds) = (
        setting("INGEST_GLINTS", 100_000),
        setting("INGEST_SOURCES", 1_000),
        setting("INGEST_ROUNDS", 5),
    );
    println!(
        "{glints} glints of {sources} sources, {CONNECTIONS} connections, {rounds} rounds each"
    );
    let mut spent = [Vec::new(), Vec::new()];
    for round in 0..rounds * 2 {
        let on = round % 2 == 1;
        let seconds = measure(on, glints, sources)?;
        println!(
            "coherence {}: {seconds:.2} s of processor time",
            if on { "on" } else { "off" }
        );
        spent[usize::from(on)].push(seconds);
    }
    let [off, on] = spent.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    let (each_off, each_on) = (off / glints as f64 * 1e6, on / glints as f64 * 1e6);
    println!(
        "medians: off {each_off:.2} µs a glint, on {each_on:.2} µs, {:+.1} %",
        (on / off - 1.0) * 100.0
    );
    Ok(())
}

/// Processor seconds of a broker that takes `glints`.
fn measure(on: bool, glints: usize, sources: usize) -> Result<f64> {
    let mut broker = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("GLINTCAST__LOG__LEVEL", "warn")
        .env("GLINTCAST__COHERENCE__ENABLED", on.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let measured = drive(&mut broker, glints, sources);
    broker.kill()?;
    broker.wait()?;
    measured
}

fn drive(broker: &mut Child, glints: usize, sources: usize) -> Result<f64> {
    let stdout = broker.stdout.take().context("a pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .context("the first line")?
        .to_owned();
    let pid = broker.id();
    let before = processor_seconds(pid)?;
    let posting: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let address = address.clone();
            std::thread::spawn(move || post(&address, connection, glints / CONNECTIONS, sources))
        })
        .collect();
    for thread in posting {
        let ended = thread.join();
        ensure!(
            matches!(ended, Ok(Ok(()))),
            "a connection failed: {ended:?}"
        );
    }
    wait_until_measured(&address)?;
    Ok(processor_seconds(pid)? - before)
}

fn post(address: &str, connection: usize, glints: usize, sources: usize) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = [0_u8; 4096];
    for nth in 0..glints {
        let source = (nth * CONNECTIONS + connection) % sources;
        let body = format!(
            "{{\"source\": \"agent.{source}\", \"phase\": \"hold\", \"content\": \"a glint of usual length, number {nth}\", \"intensity\": 0.75}}"
        );
        let request = format!(
            "POST /glints HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let count = stream.read(&mut answer)?;
        ensure!(answer[..count].starts_with(b"HTTP/1.1 200"), "refused");
    }
    Ok(())
}

/// Waits until nothing is left to be measured, so that the work behind the acknowledgements counts, too.
fn wait_until_measured(address: &str) -> Result<()> {
    for _ in 0..10_000 {
        if metric(address, "glintcast_coherence_lag_events")? == 0.0 {
            return Ok(());
        }
    }
    anyhow::bail!("coherence does not keep up")
}

/// User and system time of a process in seconds, from the kernel: a hundred ticks a second, of all its threads.
fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in parentheses")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}

fn metric(address: &str, name: &str) -> Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.context("no such metric")?
        .trim()
        .parse()
        .context("no number")
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
