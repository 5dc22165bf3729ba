//! Fan-out: what does it cost to hand one event to many subscribers? This broker beside the floor, in one run.
//!
//! ```sh
//! FANOUT_SUBSCRIBERS=100,1000,5000 FANOUT_ROUNDS=5 cargo bench --bench fanout
//! ```
//!
//! Servers are visited in turns, every second round the other way round: the broker as it is built, the floor, a loop that
//! does nothing but write, and others that are asked for. The server has one core and the client another.
//! `benches/README.md` says what the figures mean, and how to measure other servers beside these.
//!
//! Layout:
//! - this file: the rounds.
//! - `report`: the tables.
//! - `crowd`: the subscribers and publishers.
//! - `floor`: the least a server can do.
//! - `naive`: what one writes in an hour.
//! - `guest`: somebody who wants something else meanwhile.
//! - `process`: a server's processor time and memory.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod crowd;
mod floor;
mod guest;
mod naive;
mod process;
mod report;

use std::time::Duration;

use anyhow::{Context as _, bail};

use crowd::{Crowd, Figures, Load, Routes, Wire};
use guest::Guest;
use process::Server;

/// The floor and the naive server are this program again, with these arguments.
const FLOOR: &str = "--floor";
const NAIVE: &str = "--naive";
/// Subscribers that bring with them what all of them share.
const FIRST: usize = 10;
/// A burst of so many bytes to everybody, in so many events.
const BURST: (usize, usize) = (1 << 20, 64);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Floor,
    Naive,
    Broker,
    /// A server that runs already.
    Other,
}

/// What one visit to a server brought.
struct Visit {
    contestant: Contestant,
    subscribers: usize,
    figures: Vec<Figures>,
    idle_kib: f64,
    after_burst_kib: f64,
    /// What 99 of 100 requests for something else took at most, in milliseconds.
    guest_ms: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let is_said = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if is_said(FLOOR) {
        return floor::serve();
    }
    if is_said(NAIVE) {
        return naive::serve();
    }
    // Only `cargo bench` says so; `cargo test` has it started to see that it starts.
    if !is_said("--bench") {
        return Ok(());
    }
    let wire = match setting("FANOUT_WIRE", "sse").as_str() {
        "sse" => Wire::Sse,
        "ws" => Wire::WebSocket,
        other => bail!("FANOUT_WIRE is sse or ws, not {other}"),
    };
    let contestants = contestants()?;
    let subscribers = numbers("FANOUT_SUBSCRIBERS", "100,1000")?;
    let loads = setting("FANOUT_LOADS", "window:1,rate:10,rate:100,window:64");
    let loads: Vec<Load> = loads
        .split(',')
        .map(|word| Load::read(word.trim()))
        .collect::<Result<_, _>>()?;
    let rounds = numbers("FANOUT_ROUNDS", "3")?[0];
    let phase = Duration::from_secs(numbers("FANOUT_SECONDS", "2")?[0] as u64);
    process::raise_open_files();
    let mut visits = Vec::new();
    for round in 0..rounds {
        for &subscribers in &subscribers {
            let mut order = contestants.clone();
            if round % 2 == 1 {
                order.reverse();
            }
            for contestant in order {
                visits.push(visit(
                    contestant,
                    wire,
                    subscribers.max(FIRST + 1),
                    &loads,
                    phase,
                )?);
            }
        }
    }
    report::print(&visits, &contestants, &loads, rounds);
    Ok(())
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.into())
}

fn numbers(name: &str, default: &str) -> anyhow::Result<Vec<usize>> {
    let text = setting(name, default);
    let numbers = text.split(',').map(|word| word.trim().parse());
    numbers
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{name} takes numbers, not {text:?}"))
}

fn contestants() -> anyhow::Result<Vec<Contestant>> {
    let text = setting("FANOUT_SERVERS", "floor,broker");
    let each = text.split(',').map(|word| match word.trim() {
        "floor" => Ok(Contestant::Floor),
        "naive" => Ok(Contestant::Naive),
        "broker" => Ok(Contestant::Broker),
        "other" => Ok(Contestant::Other),
        word => bail!("FANOUT_SERVERS are of floor, naive, broker and other, not {word}"),
    });
    each.collect()
}

fn start(contestant: Contestant) -> anyhow::Result<Server> {
    let broker = env!("CARGO_BIN_EXE_glintcast");
    match contestant {
        Contestant::Floor => Server::start(&std::env::current_exe()?, &[FLOOR]),
        Contestant::Naive => Server::start(&std::env::current_exe()?, &[NAIVE]),
        Contestant::Broker => Server::start(broker.as_ref(), &["serve", "--listen", "127.0.0.1:0"]),
        Contestant::Other => {
            let address = setting("FANOUT_OTHER", "").parse();
            let address = address.context("FANOUT_OTHER is its address, such as 127.0.0.1:8080")?;
            let pids = numbers("FANOUT_OTHER_PIDS", "")?;
            Ok(Server::running(address, pids))
        }
    }
}

fn visit(
    contestant: Contestant,
    wire: Wire,
    subscribers: usize,
    loads: &[Load],
    phase: Duration,
) -> anyhow::Result<Visit> {
    let server = start(contestant)?;
    let routes = match contestant {
        Contestant::Other => Routes {
            subscribe: setting("FANOUT_OTHER_SUBSCRIBE", "/events"),
            publish: setting("FANOUT_OTHER_PUBLISH", "/publish"),
        },
        _ => Routes {
            subscribe: "/stream?topics=glints".into(),
            publish: "/glints".into(),
        },
    };
    let mut crowd = Crowd::new(server.address(), routes)?;
    crowd.subscribe(wire, FIRST)?;
    crowd.run(&server, Load::Window(1), Duration::from_millis(100))?;
    let before = server.memory_kib()?;
    crowd.subscribe(wire, subscribers - FIRST)?;
    let per_connection =
        |kib: u64| kib.saturating_sub(before) as f64 / (subscribers - FIRST) as f64;
    let idle_kib = per_connection(server.memory_kib()?);
    // Before the loads: what they leave in the broker's history is no memory of a connection.
    crowd.burst(BURST.0 / BURST.1, BURST.1)?;
    let after_burst_kib = per_connection(server.memory_kib()?);
    let mut figures = Vec::new();
    for &load in loads {
        figures.push(crowd.run(&server, load, phase)?);
    }
    let guest_ms = match contestant {
        Contestant::Broker => {
            let guest = Guest::of(server.address());
            crowd.run(&server, Load::Rate(5), phase)?;
            guest.leave()?
        }
        _ => f64::NAN,
    };
    Ok(Visit {
        contestant,
        subscribers,
        figures,
        idle_kib,
        after_burst_kib,
        guest_ms,
    })
}
