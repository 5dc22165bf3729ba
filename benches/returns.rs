//! A reconnect storm: many SSE clients drop and come back with `Last-Event-ID`, while glints flow. Is anything missing,
//! is anything there twice, and do those who stayed notice?
//!
//! ```sh
//! RETURN_CLIENTS=10000 cargo bench --bench returns
//! ```
//!
//! Each returning client listens to one of `RETURN_SOURCES` sources and checks that their numbers follow each other, over
//! the reconnect too. `RETURN_STEADY` clients listen to everything and measure the time from the publisher to them. All
//! are on loopback, in one process beside the broker's, so both share the machine. With a log (`RETURN_DATA=1`, the
//! default) every glint is synced first.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod crowd;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use crowd::{Events, Publisher, number, percentile, setting};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The time within which all drop and are back.
const STORM: Duration = Duration::from_secs(5);
/// Time before and after it, for those who stay.
const CALM: Duration = Duration::from_secs(10);
/// Connections opened at once, before anything is measured.
const OPENING: usize = 64;

fn main() -> anyhow::Result<()> {
    if !crowd::is_asked_for() {
        return Ok(());
    }
    crowd::run(LocalSet::new().run_until(run()))
}

/// What all clients found.
#[derive(Debug, Default)]
struct Found {
    received: Cell<u64>,
    missing: Cell<u64>,
    doubled: Cell<u64>,
    gaps: Cell<u64>,
    returned: Cell<u64>,
    /// Connects that were refused or broke off, and were tried again.
    again: Cell<u64>,
    /// The longest time from a drop to the first byte of the greeting.
    slowest: Cell<Duration>,
}

fn add(cell: &Cell<u64>, count: u64) {
    cell.set(cell.get() + count);
}

async fn run() -> anyhow::Result<()> {
    let clients = setting("RETURN_CLIENTS", 500);
    let steady = setting("RETURN_STEADY", 100);
    let sources = setting("RETURN_SOURCES", 100);
    let rate = setting("RETURN_RATE", 100);
    let dir = std::env::temp_dir().join(format!("glintcast-returns-{}", std::process::id()));
    let data = dir.to_string_lossy().into_owned();
    let log = [("data.dir", data.as_str())];
    let is_logged = setting("RETURN_DATA", 1) == 1;
    let (mut broker, address) = crowd::start(if is_logged { &log } else { &[] }).await?;
    println!(
        "{clients} clients that return, {steady} that stay, {rate} glints/s of {sources} sources, log: {is_logged}"
    );

    let began = Instant::now();
    let found = Rc::new(Found::default());
    let mut opened = Vec::new();
    for from in (0..clients).step_by(OPENING) {
        let opening = (from..clients.min(from + OPENING))
            .map(|nth| Client::open(&address, nth, sources, found.clone()));
        opened.extend(futures_util::future::try_join_all(opening).await?);
    }
    let latencies: Rc<RefCell<Vec<(Duration, u64)>>> = Rc::default();
    for nth in 0..steady {
        let events = Events::open(&address, "/stream?topics=glints", None, clients + nth).await?;
        spawn_local(stay(events, began, latencies.clone()));
    }

    let storm = Instant::now() + CALM;
    let count = rate * (CALM * 2 + STORM).as_secs() as usize;
    let last = |source: usize| (count - source).div_ceil(sources) as u64;
    let mut tasks = JoinSet::new();
    for (nth, client) in opened.into_iter().enumerate() {
        // Drops are spread over the first half, returns over the second: all are gone for a moment.
        let part = |salt: u64| (nth as u64 * 7919 + salt) % 1000;
        let drop_at = storm + STORM / 2 * part(0) as u32 / 1000;
        let back_at = storm + STORM / 2 + STORM / 2 * part(331) as u32 / 1000;
        let last = last(nth % sources);
        tasks.spawn_local(client.live(address.clone(), drop_at, back_at, last));
    }
    let acked = AtomicU64::new(0);
    let publisher = Publisher {
        address: &address,
        sources,
        rate,
        began,
        acked: &acked,
    };
    publisher.publish(count).await?;
    let mut unfinished = 0;
    let ended = timeout(Duration::from_secs(30), async {
        while let Some(ended) = tasks.join_next().await {
            unfinished += u64::from(!matches!(ended, Ok(Ok(()))));
        }
    });
    if ended.await.is_err() {
        unfinished += tasks.len() as u64;
    }

    let (calm, stormy, after) = phases(&latencies.borrow(), storm - began);
    println!(
        "acknowledged {}, received {}, returned {}, connects tried again {}, slowest return {:.0} ms",
        acked.load(Ordering::Relaxed),
        found.received.get(),
        found.returned.get(),
        found.again.get(),
        found.slowest.get().as_secs_f64() * 1e3
    );
    println!(
        "missing {}, doubled {}, gaps told {}, clients that did not get everything {unfinished}",
        found.missing.get(),
        found.doubled.get(),
        found.gaps.get()
    );
    println!(
        "p99 of those who stayed: {:.2} ms before, {:.2} ms in the storm ({:.2} times), {:.2} ms after",
        calm as f64 / 1e3,
        stormy as f64 / 1e3,
        stormy as f64 / calm.max(1) as f64,
        after as f64 / 1e3
    );
    broker.kill().await?;
    let _ = std::fs::remove_dir_all(&dir);
    let lost = found.missing.get() + found.doubled.get() + found.gaps.get() + unfinished;
    ensure!(
        lost == 0,
        "a client that came back did not get everything once"
    );
    Ok(())
}

/// The 99th percentiles before, in and after the storm.
fn phases(latencies: &[(Duration, u64)], storm: Duration) -> (u64, u64, u64) {
    let of = |from: Duration, to: Duration| {
        let mut part: Vec<u64> = latencies
            .iter()
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(_, micros)| *micros)
            .collect();
        percentile(&mut part, 99)
    };
    let warm = storm.saturating_sub(CALM - Duration::from_secs(1));
    (
        of(warm, storm),
        of(storm, storm + STORM),
        of(storm + STORM, Duration::MAX),
    )
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

/// A client that drops and returns.
struct Client {
    nth: usize,
    path: String,
    events: Events,
    last_id: Option<String>,
    next: u64,
    found: Rc<Found>,
}

impl Client {
    async fn open(
        address: &str,
        nth: usize,
        sources: usize,
        found: Rc<Found>,
    ) -> anyhow::Result<Client> {
        let path = format!("/stream?topics=glints&module=s{}", nth % sources);
        let events = Events::open(address, &path, None, nth).await?;
        Ok(Client {
            nth,
            path,
            events,
            last_id: None,
            next: 0,
            found,
        })
    }

    /// Listens until it has `count` glints, with a pause in between.
    async fn live(
        mut self,
        address: String,
        drop_at: Instant,
        back_at: Instant,
        count: u64,
    ) -> anyhow::Result<()> {
        tokio::select! {
            ended = self.listen(u64::MAX) => ended?,
            () = sleep_until(drop_at) => {}
        }
        let last_id = self.last_id.clone().context("a place to come back to")?;
        drop(self.events);
        sleep_until(back_at).await;
        let tried = Instant::now();
        self.events = loop {
            match Events::open(&address, &self.path, Some(&last_id), self.nth).await {
                Ok(events) => break events,
                Err(_) => {
                    add(&self.found.again, 1);
                    sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let took = tried.elapsed();
        self.found.slowest.set(self.found.slowest.get().max(took));
        add(&self.found.returned, 1);
        self.listen(count).await
    }

    /// Listens until the glint before number `count` has come.
    async fn listen(&mut self, count: u64) -> anyhow::Result<()> {
        while self.next < count {
            let event = self.events.next().await?;
            if event.name == "gap" || event.data.contains("\"recovered\": false") {
                add(&self.found.gaps, 1);
            }
            if let Some(number) = number(&event.data, "n") {
                add(&self.found.received, 1);
                add(&self.found.missing, number.saturating_sub(self.next));
                add(&self.found.doubled, u64::from(number < self.next));
                self.next = self.next.max(number + 1);
            }
            self.last_id = event.id.or(self.last_id.take());
        }
        Ok(())
    }
}
