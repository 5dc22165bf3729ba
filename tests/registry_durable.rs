//! What the registry acknowledged is there after a kill at any moment, and the seal is that of the log, merged afresh.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::dir::Dir;
use support::sigils::{QUIET, merged_afresh, seal, upload, urls};
use support::{Broker, PATIENCE, count_at, eventually};

/// Kills, when `GLINTCAST_KILL_ROUNDS` says nothing else.
const ROUNDS: usize = 20;
const UPLOADERS: usize = 8;

impl Dir {
    fn silent_broker(&self) -> Broker {
        Broker::with(&[("data.dir", self.text()), ("breath.tick_ms", "60000")])
    }
}

/// A URL of its own, and one with a chain of others, whose members bring links along: the order of such uploads matters.
fn records(name: &str, number: usize) -> [String; 2] {
    // {"pulse":10}, {"pulse":20}
    let plain = format!("https://peer.example/s/{name}-{number}?p=eyJwdWxzZSI6MTB9");
    let shared = number % 7;
    let chained = format!(
        "https://peer.example/s/{name}-{number}-L?p=eyJwdWxzZSI6MjB9#add=https%3A%2F%2Fpeer.example%2Fs%2FA{number}%3Fp%3DeyJwdWxzZSI6MTB9&add=https%3A%2F%2Fpeer.example%2Fs%2FB{shared}%3Fp%3DeyJwdWxzZSI6MjB9"
    );
    [plain, chained]
}

/// Uploads; tells whether it was acknowledged.
fn try_upload(broker: &Broker, document: &str) -> Option<()> {
    let mut stream = TcpStream::connect(broker.address()).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = document.len();
    let head = format!(
        "POST {QUIET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{document}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    if answer.is_empty() {
        return None;
    }
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Some(())
}

fn upload_on(broker: &Broker, name: &str, acked: &AtomicUsize) -> Vec<String> {
    let mut kept = Vec::new();
    for number in 0.. {
        let urls = records(name, number);
        let document = format!("[{:?},{:?}]", urls[0], urls[1]);
        if try_upload(broker, &document).is_none() {
            break;
        }
        kept.extend(urls);
        acked.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

#[test]
fn every_acknowledged_url_is_there_after_any_kill() {
    let rounds = std::env::var("GLINTCAST_KILL_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    let dir = Dir::new("registry-kill");
    let mut kept: Vec<String> = Vec::new();
    // Any spread of moments will do, as long as it is the same in each run.
    let mut moment = 7_usize;
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let mut broker = dir.silent_broker();
        let acked = AtomicUsize::new(0);
        moment = (moment * 31 + 11) % 41;
        let acks = thread::scope(|scope| {
            let (broker, acked) = (&broker, &acked);
            let uploader = |nth: usize| {
                scope.spawn(move || upload_on(broker, &format!("{round}-{nth}"), acked))
            };
            let uploaders: Vec<_> = (0..UPLOADERS).map(uploader).collect();
            eventually("uploads are acknowledged", || {
                acked.load(Ordering::Relaxed) > moment
            });
            broker.signal("KILL");
            uploaders
                .into_iter()
                .flat_map(|uploader| uploader.join().unwrap())
                .collect::<Vec<_>>()
        });
        broker.wait();
        kept.extend(acks);
        let broker = dir.silent_broker();
        let there: HashSet<String> = urls(&broker.get("/sigils/urls?limit=200000"))
            .into_iter()
            .collect();
        let missing = kept.iter().find(|url| !there.contains(*url));
        assert_eq!(missing, None, "round {round}");
        assert_eq!(
            merged_afresh(&dir.0, |_| {}).snapshot().seal().to_string(),
            seal(&broker),
            "round {round}"
        );
    }
    assert!(kept.len() > ROUNDS, "{} URLs were acknowledged", kept.len());
}

#[test]
fn a_stop_in_good_order_leaves_the_state_in_the_vault() {
    let dir = Dir::new("registry-stop");
    let mut broker = dir.silent_broker();
    let document = |number: usize| format!("{:?}", records("x", number));
    for number in 0..20 {
        upload(&broker, QUIET, &[&document(number)]);
    }
    let before = seal(&broker);
    broker.signal("TERM");
    assert!(broker.wait().success());
    // With nothing of the log left the vault has it all.
    fs::remove_dir_all(dir.0.join("log")).unwrap();
    let broker = dir.silent_broker();
    assert_eq!(seal(&broker), before);
    // And what comes then is kept like anything else.
    upload(&broker, QUIET, &[&document(100)]);
    let after = seal(&broker);
    broker.signal("KILL");
    drop(broker);
    assert_eq!(seal(&dir.silent_broker()), after);
}

#[test]
fn the_log_alone_is_enough() {
    let dir = Dir::new("registry-log");
    let mut broker = dir.silent_broker();
    upload(&broker, QUIET, &[&format!("{:?}", records("x", 1))]);
    let before = seal(&broker);
    broker.signal("TERM");
    broker.wait();
    fs::remove_file(dir.0.join("vault.redb")).unwrap();
    assert_eq!(seal(&dir.silent_broker()), before);
}

#[test]
fn a_switch_to_closure_merges_all_again_and_stays() {
    let dir = Dir::new("registry-closure");
    let broker = dir.silent_broker();
    // The second record's member names a parent that only closure reads.
    let named = "https://peer.example/s/L2?p=eyJwdWxzZSI6NTF9#add=https%3A%2F%2Fpeer.example%2Fs%2FA2%3Fp%3DeyJwdWxzZSI6MiwicGFyZW50VXJsIjoiaHR0cHM6Ly9wZWVyLmV4YW1wbGUvcy9QP3A9ZXlKd2RXeHpaU0k2T1gwIn0&add=https%3A%2F%2Fpeer.example%2Fs%2FB%3Fp%3DeyJwdWxzZSI6MjB9";
    let first = "https://peer.example/s/L1?p=eyJwdWxzZSI6NTB9#add=https%3A%2F%2Fpeer.example%2Fs%2FA1%3Fp%3DeyJwdWxzZSI6MX0&add=https%3A%2F%2Fpeer.example%2Fs%2FB%3Fp%3DeyJwdWxzZSI6MjB9";
    let told = upload(&broker, QUIET, &[&format!("[{first:?},{named:?}]")]);
    assert_eq!(count_at(&told.json(), &["registry_urls"]), 5);
    drop(broker);
    let closed = || Broker::with(&[("data.dir", dir.text()), ("registry.mode", "closure")]);
    let broker = closed();
    assert_eq!(urls(&broker.get("/sigils/urls")).len(), 6);
    let before = seal(&broker);
    drop(broker);
    assert_eq!(seal(&closed()), before);
}
