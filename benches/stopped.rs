//! A part of the subscribers is stopped with SIGSTOP. Do the others notice, and does memory stay flat?
//!
//! ```sh
//! STOPPED_CLIENTS=1000 cargo bench --bench stopped
//! ```
//!
//! A tenth of the clients lives in a process of its own, which is stopped and let go on in turns of `STOPPED_SECONDS`.
//! The others measure the time from the publisher to them. What they see in the turns with everybody running is compared
//! with what they see in those where a tenth does not read. At the end all must have everything.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod crowd;

use std::cell::RefCell;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use crowd::{Events, Publisher, number, percentile, resident_kib, setting};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

/// Turns with everybody running, and as many with some stopped.
const ROUNDS: u32 = 4;
/// Names the child and tells it what to do: an address, how many clients, how many glints.
const CHILD: &str = "STOPPED_CHILD";
const PATH: &str = "/stream?topics=glints";

fn main() -> anyhow::Result<()> {
    if let Ok(task) = std::env::var(CHILD) {
        return crowd::run(LocalSet::new().run_until(stand_by(task)));
    }
    if !crowd::is_asked_for() {
        return Ok(());
    }
    crowd::run(LocalSet::new().run_until(run()))
}

/// What the child does: connects, says so, and listens until everybody in it has everything.
async fn stand_by(task: String) -> anyhow::Result<()> {
    let words: Vec<&str> = task.split(' ').collect();
    let [address, clients, glints] = words[..] else {
        anyhow::bail!("an address, how many clients, how many glints");
    };
    let glints: u64 = glints.parse()?;
    let mut listening = JoinSet::new();
    for nth in 0..clients.parse()? {
        let events = Events::open(address, PATH, None, nth).await?;
        listening.spawn_local(hear(events, glints));
    }
    println!("connected");
    let (mut whole, mut broken) = (0, 0);
    while let Some(heard) = listening.join_next().await {
        match heard? {
            Ok(()) => whole += 1,
            Err(_) => broken += 1,
        }
    }
    println!("{whole} got everything in order, {broken} did not");
    Ok(())
}

async fn hear(mut events: Events, glints: u64) -> anyhow::Result<()> {
    let mut next = 0;
    while next < glints {
        if let Some(number) = number(&events.next().await?.data, "n") {
            ensure!(number == next, "{number} after {next}");
            next += 1;
        }
    }
    Ok(())
}

async fn run() -> anyhow::Result<()> {
    let clients = setting("STOPPED_CLIENTS", 100);
    let (rate, seconds) = (setting("STOPPED_RATE", 20), setting("STOPPED_SECONDS", 2));
    let turn = Duration::from_secs(seconds as u64);
    let (mut broker, address) = crowd::start(&[]).await?;
    let pid = broker.id().context("the broker runs")?;
    let stopped = clients / 10;
    // A second before and after, which is not looked at.
    let total = turn * ROUNDS * 2 + Duration::from_secs(2);
    let glints = rate * total.as_secs() as usize;
    let (child, mut said) = others(&address, stopped, glints).await?;
    let child_pid = child.id().context("the others run")?;
    println!(
        "{} clients that read, {stopped} that are stopped every other {seconds} s, {rate} glints/s",
        clients - stopped
    );

    let began = Instant::now();
    let latencies: Rc<RefCell<Vec<(Duration, u64)>>> = Rc::default();
    for nth in 0..clients - stopped {
        let events = Events::open(&address, PATH, None, nth).await?;
        spawn_local(stay(events, began, latencies.clone()));
    }
    let acked = AtomicU64::new(0);
    let publisher = Publisher {
        address: &address,
        sources: 1,
        rate,
        began,
        acked: &acked,
    };
    let first = Instant::now() + Duration::from_secs(1);
    let turns = async {
        let mut resident = Vec::new();
        for nth in 0..ROUNDS * 2 {
            sleep_until(first + turn * nth).await;
            resident.push(resident_kib(pid)?);
            signal(child_pid, if nth % 2 == 0 { "CONT" } else { "STOP" }).await?;
        }
        sleep_until(first + turn * ROUNDS * 2).await;
        resident.push(resident_kib(pid)?);
        signal(child_pid, "CONT").await?;
        anyhow::Ok(resident)
    };
    let (published, resident) = tokio::join!(publisher.publish(glints), turns);
    published?;
    report(&latencies.borrow(), first - began, turn, &resident?);
    let mut rest = String::new();
    timeout(Duration::from_secs(60), said.read_to_string(&mut rest))
        .await
        .context("the stopped ones do not come to an end")??;
    print!("of the stopped ones {rest}");
    broker.kill().await?;
    drop(child);
    ensure!(
        rest.contains(" 0 did not"),
        "somebody did not get everything"
    );
    Ok(())
}

/// Starts the process that is going to be stopped, and waits until its clients are connected.
async fn others(
    address: &str,
    clients: usize,
    glints: usize,
) -> anyhow::Result<(Child, BufReader<ChildStdout>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, format!("{address} {clients} {glints}"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut line = String::new();
    said.read_line(&mut line).await?;
    ensure!(line.trim() == "connected", "the others did not connect");
    Ok((child, said))
}

async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .await?;
    ensure!(status.success(), "no signal");
    Ok(())
}

fn report(latencies: &[(Duration, u64)], first: Duration, turn: Duration, resident: &[u64]) {
    // What a turn begins with belongs to the one before: those who go on have much to read.
    let margin = turn / 4;
    let of_turn = |nth: u32| -> Vec<u64> {
        let (from, to) = (first + turn * nth + margin, first + turn * (nth + 1));
        latencies
            .iter()
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(_, micros)| *micros)
            .collect()
    };
    let p99 = |stopped: u32| {
        let mut turns: Vec<u64> = (0..ROUNDS)
            .map(|round| percentile(&mut of_turn(round * 2 + stopped), 99))
            .collect();
        (percentile(&mut turns, 50), turns)
    };
    let ((running, all), (halted, some)) = (p99(0), p99(1));
    println!("p99 of each turn with everybody running: {all:?} us, with some stopped: {some:?} us");
    println!(
        "median of them: {running} us and {halted} us, {:+.1} %",
        (halted as f64 / running.max(1) as f64 - 1.0) * 100.0
    );
    println!("resident at the beginning of each turn and at the end: {resident:?} KiB");
}

/// Reads for ever, and notes when each glint came and how long it took.
async fn stay(mut events: Events, began: Instant, latencies: Rc<RefCell<Vec<(Duration, u64)>>>) {
    while let Ok(event) = events.next().await {
        if let Some(sent) = number(&event.data, "at") {
            let now = began.elapsed();
            let took = (now.as_micros() as u64).saturating_sub(sent);
            latencies.borrow_mut().push((now, took));
        }
    }
}
