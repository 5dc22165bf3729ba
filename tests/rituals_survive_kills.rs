//! A kill at any moment: calls come at least once and repeat only under the same key, glints of rituals come once.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use glint::json::Value;
use support::dir::Dir;
use support::{Broker, count_at, eventually, parse, text_at};

const ROUNDS: usize = 20;

/// A listener that notes the key of each call and the cursor of what caused it; it answers every second one only once it
/// was told to, so that kills meet runs in the middle.
struct Listener {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    fn start() -> Listener {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = calls.clone();
        thread::spawn(move || {
            for stream in socket.incoming() {
                let Ok(mut stream) = stream else { continue };
                let noted = noted.clone();
                thread::spawn(move || {
                    let mut input = BufReader::new(stream.try_clone().unwrap());
                    let (mut key, mut length) = (String::new(), 0);
                    loop {
                        let mut line = String::new();
                        if input.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        let line = line.trim_end().to_lowercase();
                        if line.is_empty() {
                            break;
                        }
                        if let Some(value) = line.strip_prefix("idempotency-key: ") {
                            key = value.to_owned();
                        }
                        if let Some(value) = line.strip_prefix("content-length: ") {
                            length = value.parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    if input.read_exact(&mut body).is_err() {
                        return;
                    }
                    let body = parse(&String::from_utf8(body).unwrap());
                    let cursor = text_at(&body, &["context", "cursor"]).to_owned();
                    noted.lock().unwrap().push((key, cursor));
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                });
            }
        });
        Listener { address, calls }
    }

    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[test]
fn effects_survive_kills_calls_at_least_once_and_glints_exactly_once() {
    let listener = Listener::start();
    let dir = Dir::new("ritual-kills");
    let rules = dir.0.join("rules.toml");
    let url = format!("http://{}/", listener.address);
    let text = format!(
        "[[rule]]\nname = \"call\"\non = {{ glint = {{ module = \"agent\" }} }}\ncooldown_seconds = 0\nconcurrency = 4\nretries = 20\nbackoff_seconds = 0.05\n\
         action = [{{ do = \"webhook\", url = \"{url}\" }}, {{ do = \"emit\", source = \"echo\", content = \"{{glint.content}}\" }}]\n"
    );
    fs::write(&rules, text).unwrap();
    let settings = [
        ("data.dir", dir.text()),
        ("rituals.file", rules.to_str().unwrap()),
        ("rituals.webhook_private", "true"),
        ("breath.tick_ms", "60000"),
        ("admin.open_on_loopback", "true"),
    ];
    let mut published: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut broker = Broker::with(&settings).breathing();
        let before = listener.count();
        for nth in 0..5 {
            let content = format!("{round}-{nth}");
            let cursor =
                broker.publish(&format!(r#"{{"source": "agent", "content": "{content}"}}"#));
            published.insert(cursor, content);
        }
        // Somewhere between the first call and the last word of a run, another place each round.
        eventually("some of it is under way", || {
            listener.count() > before + round % 5
        });
        broker.signal("KILL");
        broker.wait();
    }
    let broker = Broker::with(&settings).breathing();
    let echoes = || echoes(&broker);
    eventually("every run has ended", || echoes().len() >= published.len());
    eventually("nothing goes on", || {
        count_at(&broker.get("/api/ritual/stats").json(), &["active_rituals"]) == 0
    });
    let mut found = echoes();
    found.sort();
    let mut expected: Vec<String> = published.values().cloned().collect();
    expected.sort();
    assert_eq!(found, expected, "each glint has one echo");
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, cursor) in listener.calls.lock().unwrap().iter() {
        keys.entry(cursor.clone()).or_default().insert(key.clone());
    }
    let called: Vec<&String> = keys.keys().collect();
    let caused: Vec<&String> = published.keys().collect();
    assert_eq!(called, caused, "each glint was called for");
    assert!(
        keys.values().all(|keys| keys.len() == 1),
        "one key an effect: {keys:?}"
    );
    let distinct: BTreeSet<&String> = keys.values().flatten().collect();
    assert_eq!(
        distinct.len(),
        published.len(),
        "each effect has a key of its own"
    );
}

/// The contents of what rituals posted, over the whole log.
fn echoes(broker: &Broker) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = "earliest".to_owned();
    loop {
        let page = broker
            .get(&format!("/glints?module=echo&limit=1000&from={from}"))
            .json();
        let Some(Value::Array(items)) = page.get("items") else {
            panic!("no items in {}", page.to_ascii());
        };
        found.extend(
            items
                .iter()
                .map(|item| text_at(item, &["data", "content"]).to_owned()),
        );
        if page.get("more") != Some(&Value::Bool(true)) {
            return found;
        }
        from = text_at(&page, &["next"]).to_owned();
    }
}
