//! The subscribers and publishers: one thread that reads from all, and does as little as it can with what it reads.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::process::Server;

/// Stands in every event, before its number, and nowhere else in a stream.
const MARK: &str = "fanout-mark-";
const DIGITS: usize = 8;
/// Bytes of a usual event.
const EVENT_BYTES: usize = 200;
/// Connections over which events are published; each has one event on its way at most.
const PUBLISHERS: usize = 64;
/// Subscribers that connect at once.
const CONNECTING: usize = 100;
/// Clients of one loopback address: fewer than it has ports.
const CLIENTS_PER_ADDRESS: usize = 1_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What carries the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Server-sent events, named, in JSON.
    Sse,
    /// GS1-T frames over WebSocket.
    WebSocket,
}

/// Where a server is asked for what.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    pub(crate) subscribe: String,
    pub(crate) publish: String,
}

/// How events are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// So many events on their way at most: the next one when the oldest is everywhere.
    Window(u64),
    /// So many events a second.
    Rate(u64),
}

impl Load {
    /// Reads `window:64` or `rate:10`.
    pub(crate) fn read(text: &str) -> anyhow::Result<Load> {
        let (kind, count) = text.split_once(':').unwrap_or((text, ""));
        let count = count.parse().ok().filter(|count| *count > 0);
        match (kind, count) {
            ("window", Some(count)) => Ok(Load::Window(count)),
            ("rate", Some(count)) => Ok(Load::Rate(count)),
            _ => anyhow::bail!("a load is window:COUNT or rate:COUNT, not {text:?}"),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Window(1) => f.write_str("one at a time"),
            Load::Window(count) => write!(f, "{count} on their way"),
            Load::Rate(rate) => write!(f, "{rate}/s"),
        }
    }
}

/// What a phase brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Processor time of the server for one delivery.
    pub(crate) cpu_micros: f64,
    pub(crate) deliveries_per_second: f64,
    /// From the publication, or the time for it, to an arrival.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

struct Subscriber {
    stream: TcpStream,
    /// The end of what was read, in case a mark goes on in the next read.
    carry: Vec<u8>,
}

/// Everybody on the client's side.
pub(crate) struct Crowd {
    address: SocketAddr,
    routes: Routes,
    poll: Poll,
    events: Events,
    mark: Finder<'static>,
    subscribers: Vec<Subscriber>,
    publishers: Vec<TcpStream>,
    free: Vec<usize>,
    /// Which of them wait for an answer.
    is_waiting: Vec<bool>,
    /// When each event of the phase was due, and to how many it has still to come.
    published: Vec<(Instant, usize)>,
    /// The number of the first event of the phase, and of the oldest that is not everywhere.
    first: u64,
    oldest: u64,
    latencies: Vec<Duration>,
    room: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

impl Crowd {
    pub(crate) fn new(address: SocketAddr, routes: Routes) -> anyhow::Result<Crowd> {
        let mut crowd = Crowd {
            address,
            routes,
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            mark: Finder::new(MARK),
            subscribers: Vec::new(),
            publishers: Vec::new(),
            free: (0..PUBLISHERS).rev().collect(),
            is_waiting: vec![false; PUBLISHERS],
            published: Vec::new(),
            first: 0,
            oldest: 0,
            latencies: Vec::new(),
            room: vec![0; 256 * 1024],
        };
        for nth in 0..PUBLISHERS {
            let stream = crowd.open(std::net::TcpStream::connect(address)?, token(nth, true))?;
            crowd.publishers.push(stream);
        }
        Ok(crowd)
    }

    fn open(&self, stream: std::net::TcpStream, token: Token) -> anyhow::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        Ok(stream)
    }

    /// Adds subscribers, and waits until each has had the first bytes of its stream.
    pub(crate) fn subscribe(&mut self, wire: Wire, count: usize) -> anyhow::Result<()> {
        let headers = match wire {
            // As browsers say it; some servers serve nobody else.
            Wire::Sse => "accept: text/event-stream\r\n",
            Wire::WebSocket => {
                "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: gs1-t.v1\r\n"
            }
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: a\r\n{headers}\r\n",
            self.routes.subscribe
        );
        let until = self.subscribers.len() + count;
        while self.subscribers.len() < until {
            let begin = self.subscribers.len();
            let mut opening = Vec::new();
            for nth in begin..until.min(begin + CONNECTING) {
                let mut stream = connect(self.address, nth)?;
                stream.write_all(request.as_bytes())?;
                opening.push(stream);
            }
            for mut stream in opening {
                stream.set_read_timeout(Some(PATIENCE))?;
                let read = stream.read(&mut self.room)?;
                let head = &self.room[..read];
                ensure!(
                    head.starts_with(b"HTTP/1.1 200") || head.starts_with(b"HTTP/1.1 101"),
                    "a subscriber was answered {:?}",
                    String::from_utf8_lossy(head)
                );
                let stream = self.open(stream, token(self.subscribers.len(), false))?;
                self.subscribers.push(Subscriber {
                    stream,
                    carry: Vec::new(),
                });
            }
        }
        // The rest of the greetings.
        let settled = now() + Duration::from_millis(300);
        while now() < settled {
            self.look(Some(Duration::from_millis(10)))?;
        }
        Ok(())
    }

    /// Publishes for `duration`, and waits until everybody has everything.
    pub(crate) fn run(
        &mut self,
        server: &Server,
        load: Load,
        duration: Duration,
    ) -> anyhow::Result<Figures> {
        self.begin();
        let (cpu, began) = (server.cpu_nanos()?, now());
        while now() < began + duration {
            let next = self.first + self.published.len() as u64;
            let due = match load {
                Load::Window(window) => (next - self.oldest < window).then(now),
                Load::Rate(rate) => {
                    let due = began
                        + Duration::from_secs(1).mul_f64((next - self.first) as f64 / rate as f64);
                    (due <= now()).then_some(due)
                }
            };
            if let Some(due) = due
                && let Some(publisher) = self.free.pop()
            {
                self.publish(publisher, due, EVENT_BYTES)?;
            }
            self.look(Some(Duration::ZERO))?;
        }
        self.settle()?;
        let (cpu, wall) = (server.cpu_nanos()? - cpu, began.elapsed());
        let deliveries = self.latencies.len().max(1) as f64;
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let nth = (self.latencies.len() as f64 * share) as usize;
            let latency = self.latencies.get(nth.min(self.latencies.len() - 1));
            latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
        };
        Ok(Figures {
            cpu_micros: cpu as f64 / 1000.0 / deliveries,
            deliveries_per_second: deliveries / wall.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        })
    }

    /// Publishes `count` events of `bytes` each, and waits until everybody has all of them. By one publisher, each when the
    /// one before is acknowledged: what a server holds for publishers is not what it holds for subscribers.
    pub(crate) fn burst(&mut self, bytes: usize, count: usize) -> anyhow::Result<()> {
        self.begin();
        let publisher = *self.free.last().context("a free publisher")?;
        for _ in 0..count {
            self.free.retain(|free| *free != publisher);
            self.publish(publisher, now(), bytes)?;
            while self.is_waiting[publisher] {
                self.look(Some(Duration::ZERO))?;
            }
        }
        self.settle()
    }

    fn begin(&mut self) {
        self.first += self.published.len() as u64;
        self.oldest = self.first;
        self.published.clear();
        self.latencies.clear();
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        let deadline = now() + PATIENCE;
        let end = self.first + self.published.len() as u64;
        while self.oldest < end || self.free.len() < PUBLISHERS {
            ensure!(now() < deadline, "an event did not come to everybody");
            self.look(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn publish(&mut self, publisher: usize, due: Instant, bytes: usize) -> anyhow::Result<()> {
        let number = self.first + self.published.len() as u64;
        let start = format!("{{\"mark\": \"{MARK}{number:0DIGITS$}\", \"text\": \"");
        let padding = "x".repeat(bytes.saturating_sub(start.len() + 2));
        let length = start.len() + padding.len() + 2;
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{start}{padding}\"}}",
            self.routes.publish
        );
        self.is_waiting[publisher] = true;
        self.published.push((due, self.subscribers.len()));
        let stream = &mut self.publishers[publisher];
        // Far smaller than what a socket takes at once.
        stream.write_all(request.as_bytes()).context("publishing")
    }

    /// Takes in what has come.
    fn look(&mut self, patience: Option<Duration>) -> anyhow::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        self.poll.poll(&mut events, patience)?;
        for event in &events {
            let Token(token) = event.token();
            match token % 2 {
                1 => self.hear_publisher(token / 2)?,
                _ => self.hear_subscriber(token / 2)?,
            }
        }
        self.events = events;
        Ok(())
    }

    fn hear_publisher(&mut self, nth: usize) -> anyhow::Result<()> {
        match self.publishers[nth].read(&mut self.room) {
            Ok(read) => {
                let answer = &self.room[..read];
                // An answer may come in pieces.
                if std::mem::take(&mut self.is_waiting[nth]) {
                    ensure!(answer.starts_with(b"HTTP/1.1 2"), "an event was refused");
                    self.free.push(nth);
                }
                Ok(())
            }
            Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    fn hear_subscriber(&mut self, nth: usize) -> anyhow::Result<()> {
        loop {
            let subscriber = &mut self.subscribers[nth];
            let carried = subscriber.carry.len();
            self.room[..carried].copy_from_slice(&subscriber.carry);
            let read = match subscriber.stream.read(&mut self.room[carried..]) {
                Ok(0) => anyhow::bail!("a stream ended"),
                Ok(read) => read,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err.into()),
            };
            let bytes = &self.room[..carried + read];
            let arrived = now();
            let mut rest = 0;
            for at in self.mark.find_iter(bytes) {
                let digits = at + MARK.len();
                let Some(digits) = bytes.get(digits..digits + DIGITS) else {
                    rest = at;
                    break;
                };
                rest = at + MARK.len() + DIGITS;
                let number: u64 = std::str::from_utf8(digits)?.parse()?;
                let nth = (number - self.first) as usize;
                let (due, left) = &mut self.published[nth];
                self.latencies.push(arrived.saturating_duration_since(*due));
                *left -= 1;
            }
            let keep = bytes
                .len()
                .saturating_sub(MARK.len() + DIGITS - 1)
                .max(rest);
            subscriber.carry.clear();
            subscriber.carry.extend_from_slice(&bytes[keep..]);
            let is_everywhere = |oldest: u64| {
                let event = self.published.get((oldest - self.first) as usize);
                event.is_some_and(|(_, left)| *left == 0)
            };
            while is_everywhere(self.oldest) {
                self.oldest += 1;
            }
            // A short read has emptied the socket.
            if carried + read < self.room.len() {
                return Ok(());
            }
        }
    }
}

fn token(nth: usize, is_publisher: bool) -> Token {
    Token(nth * 2 + usize::from(is_publisher))
}

/// Connects from one of several loopback addresses, as one has too few ports.
fn connect(address: SocketAddr, nth: usize) -> anyhow::Result<std::net::TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    let source = [127, 0, 0, 1 + (nth / CLIENTS_PER_ADDRESS) as u8];
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}
