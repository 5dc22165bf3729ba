//! The floor: one thread that knows nothing but sockets. It frames an event once, and writes to each subscriber what that
//! has not had, with one call. Whatever a broker does besides comes on top.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
/// Subscribers written to between two looks at the publishers.
const SLICE: usize = 64;
/// Bytes of the log that are kept.
const LOG_BYTES: usize = 64 << 20;

const SSE_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    transfer-encoding: chunked\r\n\r\n";
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A connection.
struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
    /// For a subscriber: the place in the log up to which it has everything.
    place: Option<usize>,
    is_full: bool,
}

struct Floor {
    poll: Poll,
    listener: mio::net::TcpListener,
    peers: Vec<Option<Peer>>,
    subscribers: Vec<usize>,
    is_websocket: bool,
    log: Vec<u8>,
    /// Where the round of writing stands, and whether another has to follow.
    at: usize,
    is_dirty: bool,
}

/// Serves until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    super::process::raise_open_files();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor {
        poll,
        listener,
        peers: Vec::new(),
        subscribers: Vec::new(),
        is_websocket: false,
        log: Vec::with_capacity(LOG_BYTES),
        at: 0,
        is_dirty: false,
    };
    println!("listening on http://{address}");
    let mut events = Events::with_capacity(1024);
    loop {
        let is_busy = floor.is_dirty || floor.at > 0;
        floor
            .poll
            .poll(&mut events, is_busy.then_some(Duration::ZERO))?;
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(id) => floor.happened(id, event.is_readable(), event.is_writable())?,
            }
        }
        floor.write_on();
    }
}

impl Floor {
    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err.into()),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.peers.len());
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, token, both)?;
            self.peers.push(Some(Peer {
                stream,
                unread: Vec::new(),
                place: None,
                is_full: false,
            }));
        }
    }

    fn happened(&mut self, id: usize, readable: bool, writable: bool) -> anyhow::Result<()> {
        if writable && let Some(peer) = self.peers[id].as_mut() {
            let was_full = std::mem::take(&mut peer.is_full);
            if was_full {
                self.write(id);
            }
        }
        if readable {
            self.read(id)?;
        }
        Ok(())
    }

    fn read(&mut self, id: usize) -> anyhow::Result<()> {
        let mut room = [0; 16 * 1024];
        while let Some(peer) = self.peers[id].as_mut() {
            match peer.stream.read(&mut room) {
                Ok(len) if len > 0 => peer.unread.extend_from_slice(&room[..len]),
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                _ => {
                    self.peers[id] = None;
                    self.subscribers.retain(|subscriber| *subscriber != id);
                }
            }
        }
        while self.answer(id)? {}
        Ok(())
    }

    /// Answers one whole request, and tells whether there was one.
    fn answer(&mut self, id: usize) -> anyhow::Result<bool> {
        let Some(peer) = self.peers[id].as_mut().filter(|peer| peer.place.is_none()) else {
            return Ok(false);
        };
        let Some(end) = memmem::find(&peer.unread, b"\r\n\r\n") else {
            return Ok(false);
        };
        let head = String::from_utf8_lossy(&peer.unread[..end]).to_string();
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let length: usize = header("content-length").unwrap_or("0").parse()?;
        let Some(body) = peer.unread.get(end + 4..end + 4 + length) else {
            return Ok(false);
        };
        if head.starts_with("POST ") {
            frame(self.is_websocket, body, &mut self.log);
            self.is_dirty = true;
            peer.stream.write_all(TAKEN)?;
        } else {
            peer.place = Some(self.log.len());
            self.subscribers.push(id);
            match header("sec-websocket-key") {
                Some(key) => {
                    self.is_websocket = true;
                    let accept = actix_http::ws::hash_key(key.as_bytes());
                    let accept = String::from_utf8_lossy(&accept);
                    write!(
                        peer.stream,
                        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                         sec-websocket-accept: {accept}\r\n\r\n"
                    )?;
                }
                None => peer.stream.write_all(SSE_HEAD)?,
            }
        }
        peer.unread.drain(..end + 4 + length);
        Ok(true)
    }

    /// Writes to the next subscribers.
    fn write_on(&mut self) {
        if self.at == 0 && std::mem::take(&mut self.is_dirty) {
            self.at = self.subscribers.len();
        }
        for _ in 0..SLICE.min(self.at) {
            self.at -= 1;
            if let Some(&id) = self.subscribers.get(self.at) {
                self.write(id);
            }
        }
        let is_idle = self.at == 0 && !self.is_dirty;
        if is_idle && self.log.len() > LOG_BYTES / 2 {
            self.forget();
        }
    }

    fn write(&mut self, id: usize) {
        let Some(peer) = self.peers[id].as_mut().filter(|peer| !peer.is_full) else {
            return;
        };
        let Some(place) = &mut peer.place else { return };
        let missing = &self.log[*place..];
        if missing.is_empty() {
            return;
        }
        let written = peer.stream.write(missing).unwrap_or(0);
        *place += written;
        peer.is_full = written < missing.len();
    }

    /// Drops what everybody has.
    fn forget(&mut self) {
        let places = self.peers.iter().flatten().filter_map(|peer| peer.place);
        let Some(least) = places.min() else { return };
        self.log.drain(..least);
        for peer in self.peers.iter_mut().flatten() {
            peer.place = peer.place.map(|place| place - least);
        }
    }
}

fn frame(is_websocket: bool, body: &[u8], out: &mut Vec<u8>) {
    if is_websocket {
        return wire::ws::push_frame(wire::ws::Opcode::Text, body, out);
    }
    wire::chunk::push_chunk(out, |out| {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\n\n");
    });
}
