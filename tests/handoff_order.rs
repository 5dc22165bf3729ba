//! A stream that takes the socket of its connection over never says a word before the head of its response has left.
//!
//! This rests on the order in which actix-http calls its transport, which no document promises. So it is held here, with
//! buffers so small that heads wait behind answers that the client has not read.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use support::{Broker, PATIENCE, count_at, eventually};

const ROUNDS: usize = 10_000;
const CLIENTS: usize = 8;
/// What a client's system holds for it; the system takes the least it can instead.
const TINY_BYTES: usize = 1;
/// Answers before the one that streams, in one round of so many: more than the system of the broker holds.
const QUEUED: usize = 12;
const QUEUED_EVERY: usize = 25;

fn connect(broker: &Broker) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(TINY_BYTES).unwrap();
    socket.connect(&broker.address().into()).unwrap();
    // The port is free again at once.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads the head of an answer, and returns its status and headers in lower case.
fn head(input: &mut BufReader<TcpStream>) -> (String, Vec<String>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        match line.strip_suffix("\r\n") {
            Some("") => break,
            Some(line) => lines.push(line.to_lowercase()),
            None => panic!("no line of a head: {line:?}"),
        }
    }
    (lines.remove(0), lines)
}

fn pass_over_answer(input: &mut BufReader<TcpStream>) {
    let (status, headers) = head(input);
    assert_eq!(status, "http/1.1 200 ok");
    let length = headers
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    input.read_exact(&mut body).unwrap();
    assert!(!body.starts_with(b"HTTP/"));
}

/// Reads the first bytes that a stream says in chunks.
fn first_words(input: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    let length = usize::from_str_radix(line.trim_end(), 16)
        .unwrap_or_else(|_| panic!("no chunk begins with {line:?}"));
    let mut words = vec![0; length];
    input.read_exact(&mut words).unwrap();
    let mut end = [0; 2];
    input.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"\r\n");
    String::from_utf8(words).unwrap()
}

fn round(broker: &Broker, nth: usize) {
    let mut requests = String::new();
    let queued = match nth.is_multiple_of(QUEUED_EVERY) {
        true => QUEUED,
        false => nth % 2,
    };
    for _ in 0..queued {
        requests.push_str("GET /assets/app.js HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    let kind = nth % 3;
    let wish = match kind {
        0 => "accept: text/event-stream\r\n",
        1 => "accept: application/x-ndjson\r\n",
        _ => {
            "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: glintcast.json.v1\r\n"
        }
    };
    // There is something to say from the first moment on.
    write!(
        requests,
        "GET /stream?topics=glints&from=-2 HTTP/1.1\r\nhost: a\r\n{wish}\r\n"
    )
    .unwrap();
    let mut client = connect(broker);
    client.write_all(requests.as_bytes()).unwrap();
    let mut input = BufReader::with_capacity(512, client);
    for _ in 0..queued {
        pass_over_answer(&mut input);
    }
    let (status, _) = head(&mut input);
    match kind {
        2 => {
            assert_eq!(status, "http/1.1 101 switching protocols");
            // A frame of text with a length in two bytes (RFC 6455, section 5.2).
            let mut start = [0; 4];
            input.read_exact(&mut start).unwrap();
            assert_eq!(start[..2], [0x81, 126], "{start:?}");
            let mut frame = vec![0; usize::from(u16::from_be_bytes([start[2], start[3]]))];
            input.read_exact(&mut frame).unwrap();
            assert!(frame.starts_with(b"{\"event\": \"hello\""), "{frame:?}");
        }
        _ => {
            assert_eq!(status, "http/1.1 200 ok");
            let words = first_words(&mut input);
            let hello = ["data: {", "{\"event\": \"hello\""][kind];
            assert!(
                words.starts_with(hello) && words.contains("keepalive_ms"),
                "{words:?}"
            );
        }
    }
}

#[test]
fn the_head_of_a_response_always_precedes_the_first_frame() {
    let broker = Broker::start();
    for number in 0..4 {
        broker.publish(&format!("{{\"n\": {number}}}"));
    }
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let broker = &broker;
            scope.spawn(move || {
                for nth in (client..ROUNDS).step_by(CLIENTS) {
                    round(broker, nth);
                }
            });
        }
    });
    eventually("all of them are gone", || {
        count_at(
            &broker.get("/stream/status").json(),
            &["active_connections"],
        ) == 0
    });
}

fn sockets(broker: &Broker) -> String {
    let metrics = broker.get("/metrics");
    metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("glintcast_edge_sockets "))
        .expect("the gauge")
        .to_owned()
}

#[test]
fn streams_have_their_sockets_for_themselves_unless_it_is_switched_off() {
    for (way, number) in [("auto", "3"), ("off", "0")] {
        let broker = Broker::with(&[("edge.handoff", way)]);
        let mut events = broker.listen("?topics=glints");
        let mut lines = broker.lines("?topics=glints");
        let mut socket = broker.socket("?topics=glints", &[support::ws::JSON]);
        lines.next();
        socket.next();
        broker.publish(r#"{"n": 1}"#);
        events.next();
        assert_eq!(sockets(&broker), number, "{way}");
        drop((events, lines, socket));
        eventually("they are gone", || sockets(&broker) == "0");
    }
}

#[test]
fn a_client_of_the_old_protocol_gets_a_stream_without_chunks() {
    let broker = Broker::start();
    let mut client = broker.connect();
    client
        .write_all(b"GET /stream?topics=glints HTTP/1.0\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut input = BufReader::new(client);
    let (status, headers) = head(&mut input);
    assert!(status.ends_with("200 ok"), "{status}");
    assert!(
        !headers
            .iter()
            .any(|line| line.starts_with("transfer-encoding"))
    );
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    assert!(
        !line
            .trim_end()
            .chars()
            .all(|digit| digit.is_ascii_hexdigit()),
        "{line:?}"
    );
    assert_eq!(sockets(&broker), "0");
}
