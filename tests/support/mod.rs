//! What the promise tests share: the real binary on a free port, and clients that speak to it over real sockets.
//!
//! Nothing waits for a time to pass. Readers wait for bytes, [`eventually`] for a condition, and both give up after
//! [`PATIENCE`], which is far above what anything takes: a test that runs into it has failed, whatever the machine.
//!
//! Layout:
//! - this file: the broker.
//! - `http`: one request, one answer; the body of a stream.
//! - `sse`: server-sent events as the WHATWG has them read.
//! - `ndjson`: JSON lines.
//! - `ws`: WebSockets.
//! - `sigils`: the sigil registry.
//! - `gs1`: GS1 frames out of either.
//! - `traces`: signed traces.
//! - `signed`: signed traces.
//! - `postgres`: a database of a test's own.
//! - `rituals`: rules and runs.
//! - `fixtures`: recorded glints, when there are any.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are in the time of the machine"
)]
#![allow(clippy::print_stderr, reason = "the log of a broker that failed")]

pub mod dir;
pub mod fixtures;
pub mod glints;
pub mod gs1;
pub mod http;
pub mod ndjson;
pub mod postgres;
pub mod rituals;
pub mod sigils;
pub mod signed;
pub mod sse;
pub mod traces;
pub mod ws;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use glint::json::{self, Value};

/// How long anything may take before the test has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(5);

/// A running broker; it is killed when dropped.
pub struct Broker {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    logger: Option<JoinHandle<()>>,
}

impl Broker {
    /// Starts a broker with default settings on a free port.
    pub fn start() -> Broker {
        Broker::with(&[])
    }

    /// Starts a broker with settings such as `("tail.events", "10")`.
    pub fn with(settings: &[(&str, &str)]) -> Broker {
        Broker::started_by(Command::new(env!("CARGO_BIN_EXE_glintcast")), settings)
    }

    /// Starts a broker in a shell, after `words` such as `ulimit -n 100`.
    pub fn after(words: &str, settings: &[(&str, &str)]) -> Broker {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{words}; exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_glintcast"));
        Broker::started_by(command, settings)
    }

    fn started_by(mut command: Command, settings: &[(&str, &str)]) -> Broker {
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GLINTCAST__") {
                command.env_remove(name);
            }
        }
        // The whole suite is run both ways.
        if let Ok(way) = std::env::var("GLINTCAST_TEST_HANDOFF") {
            command.env("GLINTCAST__EDGE__HANDOFF", way);
        }
        for (key, value) in settings {
            let key = key.replace('.', "__").to_uppercase();
            command.env(format!("GLINTCAST__{key}"), value);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let logger = keep_log(child.stderr.take().unwrap(), log.clone());
        let mut first = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut first).unwrap();
        let address = first
            .trim_end()
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok());
        let mut broker = Broker {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            logger: Some(logger),
        };
        // Only now, so that the log is shown when the first line is another.
        broker.address = address.unwrap_or_else(|| panic!("the first line is {first:?}"));
        broker
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients call it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Opens a connection that fails instead of waiting for ever.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "kill -s {name} {pid}");
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the broker ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Tells whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Runs the program against this broker.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_glintcast"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Waits until the breath has begun: from then on the phase is known and was announced.
    pub fn breathing(self) -> Broker {
        eventually("the first heartbeat", || {
            self.get("/stream/status").json().get("stream_running") == Some(&Value::Bool(true))
        });
        self
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(logger) = self.logger.take() {
            let _ = logger.join();
        }
        if thread::panicking() {
            eprintln!("--- log of the broker ---\n{}---", self.log());
        }
    }
}

fn keep_log(stderr: ChildStderr, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Waits until `holds`, looking again and again.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(GLANCE);
    }
}

/// Reads JSON that lives as long as the test.
pub fn parse(text: &str) -> Value<'static> {
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    // Deeper than the deepest glint, which comes in an envelope.
    json::parse_to_depth(text, 128).unwrap_or_else(|err| panic!("{err}: {text}"))
}

/// The text at a path of members.
pub fn text_at<'v>(value: &'v Value<'_>, path: &[&str]) -> &'v str {
    value
        .at(path)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {path:?} in {}", value.to_ascii()))
}

/// The whole number at a path of members.
pub fn count_at(value: &Value<'_>, path: &[&str]) -> u64 {
    match value.at(path) {
        Some(Value::Number(lexeme)) => lexeme.parse().unwrap(),
        other => panic!("no count at {path:?}: {other:?} in {}", value.to_ascii()),
    }
}

/// The names of the members of an object, in order.
pub fn keys<'v>(value: &'v Value<'_>) -> Vec<&'v str> {
    let members = value.as_object().expect("an object");
    members.iter().map(|(key, _)| key.as_ref()).collect()
}

/// Tells whether two values are the same to a reader that takes numbers for doubles and objects for maps.
pub fn same_in_doubles(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same_in_doubles(one, other))
        }
        (Value::Object(one), Value::Object(members)) => {
            one.len() == members.len()
                && one.iter().all(|(key, value)| {
                    other
                        .get(key)
                        .is_some_and(|other| same_in_doubles(value, other))
                })
        }
        _ => one == other,
    }
}

/// Shows bytes so that a difference can be seen.
pub fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes.escape_ascii() {
        let _ = write!(out, "{}", char::from(byte));
    }
    out
}

/// Reads to the end; what was cut off counts as an end.
pub fn drained(input: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = input.read_to_end(&mut bytes);
    bytes
}
