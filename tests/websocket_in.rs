//! WebSockets carry both ways: what a client says is answered, and what it says wrongly ends it with the right code.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use glint::json::Value;
use support::gs1::{Cursors, Frame};
use support::ws::{GS1_BINARY, GS1_TEXT, JSON, Socket, handshake};
use support::{Broker, text_at};
use tungstenite::protocol::Message;
use tungstenite::protocol::frame::Frame as Raw;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use wire::gs1::{self, Kind};

fn text_bytes(kind: Kind, payload: &str) -> String {
    let mut bytes = Vec::new();
    let frame = gs1::Frame {
        kind,
        seq: 1,
        payload: payload.as_bytes(),
        ..gs1::Frame::default()
    };
    gs1::encode_text(&frame, true, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn binary_bytes(kind: Kind, payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = gs1::Frame {
        kind,
        seq: 1,
        payload: payload.as_bytes(),
        ..gs1::Frame::default()
    };
    gs1::encode_binary(&frame, true, &mut bytes).unwrap();
    bytes
}

fn say(socket: &mut Socket, kind: Kind, payload: &str) {
    match socket.protocol.as_deref() {
        Some(GS1_BINARY) => socket.send(Message::binary(binary_bytes(kind, payload))),
        _ => socket.say(&text_bytes(kind, payload)),
    }
}

/// Opens a socket that hears no glint but those of `nobody`, and reads its greeting.
fn open_gs1(broker: &Broker, protocol: &str) -> Socket {
    let mut socket = broker.socket("?module=nobody", &[protocol]);
    assert_eq!(text_at(&socket.next_frame().value(), &["event"]), "hello");
    socket
}

fn open_json(broker: &Broker) -> Socket {
    let mut socket = broker.socket("?module=nobody", &[JSON]);
    assert_eq!(text_at(&socket.next_json(), &["event"]), "hello");
    socket
}

fn receipt(frame: &Frame) -> Value<'static> {
    assert_eq!((frame.sid, frame.kind), (0, Kind::Doc), "{frame:?}");
    let receipt = frame.value();
    assert_eq!(text_at(&receipt, &["event"]), "receipt");
    receipt
}

#[test]
fn the_first_subprotocol_that_both_speak_is_spoken() {
    let broker = Broker::start();
    for (query, offered, chosen) in [
        ("", &[GS1_TEXT][..], Some(GS1_TEXT)),
        ("", &[GS1_BINARY, GS1_TEXT], Some(GS1_BINARY)),
        ("", &["chat", JSON, GS1_TEXT], Some(JSON)),
        ("?framing=gs1", &[JSON], Some(JSON)),
        ("", &[], None),
        ("?framing=json", &[], None),
        ("?framing=gs1b", &[], None),
    ] {
        let mut socket = broker.socket(query, offered);
        assert_eq!(socket.protocol.as_deref(), chosen, "{query} {offered:?}");
        let hello = socket.next();
        match (chosen, query) {
            (Some(GS1_BINARY), _) | (None, "?framing=gs1b") => assert!(hello.is_binary()),
            (Some(JSON), _) | (None, "?framing=json") => {
                assert!(
                    hello
                        .to_text()
                        .unwrap()
                        .starts_with("{\"event\": \"hello\"")
                );
            }
            _ => assert!(
                hello
                    .to_text()
                    .unwrap()
                    .starts_with("@frame{v=1 sid=0 seq=1 kind=doc ")
            ),
        }
    }
}

#[test]
fn a_bad_handshake_is_refused_in_words() {
    let broker = Broker::start();
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
    ];
    let answer = broker.send("GET", "/stream", &headers, b"");
    assert_eq!(answer.status(), 400);
    assert_eq!(text_at(&answer.json(), &["code"]), "handshake_malformed");
    let request = handshake(&broker, "?framing=xml", &[]);
    let refused = tungstenite::client(request, broker.connect());
    assert!(refused.is_err());
    support::eventually("a refused handshake leaves no stream behind", || {
        support::count_at(
            &broker.get("/stream/status").json(),
            &["active_connections"],
        ) == 0
    });
}

#[test]
fn a_glint_in_a_frame_is_taken_heard_and_receipted() {
    // The same glint comes in each framing.
    let broker = Broker::with(&[("publish.repeat_seconds", "0")]);
    let mut listener = broker.lines("?topics=glints");
    listener.next();
    for protocol in [GS1_TEXT, GS1_BINARY] {
        let mut socket = open_gs1(&broker, protocol);
        for (kind, payload, heard) in [
            (
                Kind::Doc,
                "{id=a module=m n=1.5 none=∅}",
                r#"{"id": "a", "module": "m", "n": 1.5, "none": null}"#,
            ),
            (
                Kind::Row,
                r#"{"id":"b","text":"one\ntwo"}"#,
                r#"{"id": "b", "text": "one\ntwo"}"#,
            ),
        ] {
            say(&mut socket, kind, payload);
            let receipt = receipt(&socket.next_frame());
            let line = listener.next();
            assert_eq!(line.get("data").unwrap().to_ascii(), heard, "{protocol}");
            assert_eq!(text_at(&receipt, &["id"]), text_at(&line, &["id"]));
            assert_eq!(text_at(&receipt, &["cursor"]), text_at(&line, &["cursor"]));
            assert_eq!(text_at(&receipt, &["durability"]), "memory");
        }
    }
    let mut socket = open_json(&broker);
    socket.say(r#"{"op":"publish","glint":{"id":"c","n":1.50}}"#);
    let receipt = socket.next_json();
    let line = listener.next();
    assert_eq!(
        line.get("data").unwrap().to_ascii(),
        r#"{"id": "c", "n": 1.50}"#
    );
    assert_eq!(text_at(&receipt, &["event"]), "receipt");
    assert_eq!(text_at(&receipt, &["cursor"]), text_at(&line, &["cursor"]));
}

#[test]
fn a_publisher_hears_its_own_glint_like_everybody_else() {
    let broker = Broker::start();
    let mut socket = broker.socket("?topics=glints", &[JSON]);
    socket.next_json();
    socket.say(r#"{"op":"publish","glint":{"id":"mine"}}"#);
    let mut heard = [socket.next_json(), socket.next_json()]
        .map(|event| text_at(&event, &["event"]).to_owned());
    heard.sort_unstable();
    assert_eq!(heard, ["glint_emission", "receipt"]);
}

#[test]
fn several_frames_in_one_message_are_answered_one_by_one() {
    let broker = Broker::start();
    let mut socket = open_gs1(&broker, GS1_TEXT);
    socket.say(
        &(text_bytes(Kind::Doc, "{id=a}")
            + &text_bytes(Kind::Ping, "")
            + &text_bytes(Kind::Doc, "{id=b}")),
    );
    assert_eq!(text_at(&receipt(&socket.next_frame()), &["id"]), "a");
    assert_eq!(socket.next_frame().kind, Kind::Pong);
    assert_eq!(text_at(&receipt(&socket.next_frame()), &["id"]), "b");
}

#[test]
fn a_message_in_fragments_is_one_message() {
    let broker = Broker::start();
    let mut socket = open_json(&broker);
    let parts = [r#"{"op":"publish","#, r#""glint":{"id":""#, r#"pieces"}}"#];
    for (nth, part) in parts.iter().enumerate() {
        let code = if nth == 0 { Data::Text } else { Data::Continue };
        let frame = Raw::message(
            part.as_bytes().to_vec(),
            OpCode::Data(code),
            nth + 1 == parts.len(),
        );
        socket.send(Message::Frame(frame));
        if nth == 0 {
            socket.send(Message::Ping(b"between".to_vec().into()));
        }
    }
    assert_eq!(text_at(&socket.next_json(), &["id"]), "pieces");
}

#[test]
fn pings_are_answered_on_each_level() {
    let broker = Broker::start();
    for protocol in [GS1_TEXT, GS1_BINARY, JSON] {
        let mut socket = broker.socket("?module=nobody", &[protocol]);
        socket.next();
        socket.send(Message::Ping(b"are you there".to_vec().into()));
        assert_eq!(
            socket.message(),
            Message::Pong(b"are you there".to_vec().into())
        );
        if protocol == JSON {
            socket.say(r#"{"op":"ping"}"#);
            assert_eq!(socket.next_json().to_ascii(), r#"{"event": "pong"}"#);
        } else {
            say(&mut socket, Kind::Ping, "");
            let pong = socket.next_frame();
            assert_eq!(
                (pong.sid, pong.kind, pong.payload.as_str()),
                (0, Kind::Pong, "")
            );
        }
    }
}

#[test]
fn acks_are_taken_in_silence_and_a_resync_is_answered_with_the_directory() {
    let broker = Broker::start();
    for protocol in [GS1_TEXT, GS1_BINARY] {
        let mut socket = broker.socket("?topics=glints", &[protocol]);
        let mut cursors = Cursors::default();
        let hello = socket.next_frame();
        cursors.take(&hello);
        say(&mut socket, Kind::Ack, "");
        say(&mut socket, Kind::Ui, "Progress{pct=0.5}");
        say(&mut socket, Kind::Ui, "ResyncRequest{reason=lost}");
        let directory = socket.next_frame();
        cursors.take(&directory);
        assert_eq!(text_at(&directory.value(), &["event"]), "directory");
        assert_eq!(
            directory.value().get("streams"),
            hello.value().get("streams")
        );
    }
    let mut socket = open_json(&broker);
    socket.say(r#"{"op":"ack","cursor":"1-1"}"#);
    socket.say(r#"{"op":"resync"}"#);
    socket.say(r#"{"op":"ping"}"#);
    assert_eq!(
        text_at(&socket.next_json(), &["event"]),
        "pong",
        "nothing to say to the others"
    );
}

#[test]
fn a_refused_glint_is_answered_and_the_connection_stays() {
    // The same glint comes in each framing.
    let broker = Broker::with(&[("publish.repeat_seconds", "0")]);
    let mut listener = broker.lines("?topics=glints");
    listener.next();
    for protocol in [GS1_TEXT, GS1_BINARY] {
        let mut socket = open_gs1(&broker, protocol);
        for (kind, payload, code) in [
            (Kind::Doc, "[1 2]", "glint_not_object"),
            (Kind::Doc, "{a=", "glyph_malformed"),
            (Kind::Patch, "@patch\n= [\"x\"] 5\n@end", "KIND_UNSUPPORTED"),
            (Kind::Unknown(9), "x", "KIND_UNSUPPORTED"),
        ] {
            say(&mut socket, kind, payload);
            let error = socket.next_frame();
            assert_eq!((error.sid, error.kind), (0, Kind::Err));
            assert!(
                error
                    .payload
                    .starts_with(&format!("Error{{code={code} msg=")),
                "{error:?}"
            );
        }
        say(&mut socket, Kind::Doc, "{id=good}");
        receipt(&socket.next_frame());
        assert_eq!(
            text_at(&listener.next(), &["id"]),
            "good",
            "and nothing before it"
        );
    }
    let mut socket = open_json(&broker);
    for (message, code) in [
        (r#"{"op":"publish","glint":[1]}"#, "glint_not_object"),
        (r#"{"op":"publish"}"#, "glint_missing"),
        (r#"{"op":"sing"}"#, "op_unknown"),
        ("[1]", "op_unknown"),
    ] {
        socket.say(message);
        let error = socket.next_json();
        assert_eq!(
            (text_at(&error, &["event"]), text_at(&error, &["code"])),
            ("error", code),
            "{message}"
        );
    }
    socket.say(r#"{"op":"publish","glint":{"id":"good"}}"#);
    assert_eq!(text_at(&socket.next_json(), &["event"]), "receipt");
}

#[test]
fn a_frame_that_cannot_be_read_is_answered_and_ends_the_connection() {
    let broker = Broker::with(&[("edge.glint_limit_bytes", "1024")]);
    let corrupt = text_bytes(Kind::Doc, "{id=a}").replace("{id=a}", "{id=b}");
    let large = "x".repeat(3000);
    let cases = [
        (GS1_TEXT, Message::text("hello"), "FRAME_INVALID", 1007),
        (
            GS1_TEXT,
            Message::text("@frame{v=1 sid=0 seq=1 kind=doc}\n\n"),
            "FRAME_INVALID",
            1007,
        ),
        (
            GS1_TEXT,
            Message::text("@frame{v=2 sid=0 seq=1 kind=doc len=0}\n\n"),
            "VERSION_UNSUPPORTED",
            1007,
        ),
        (
            GS1_TEXT,
            Message::text("@frame{v=1 sid=0 seq=1 kind=doc len=5}\nabc"),
            "FRAME_INVALID",
            1007,
        ),
        (GS1_TEXT, Message::text(corrupt), "CRC_MISMATCH", 1007),
        (
            GS1_TEXT,
            Message::text("@frame{v=1 sid=0 seq=1 kind=doc len=3000}\n"),
            "PAYLOAD_TOO_LARGE",
            1009,
        ),
        (
            GS1_TEXT,
            Message::text(large.clone()),
            "PAYLOAD_TOO_LARGE",
            1009,
        ),
        (
            GS1_TEXT,
            Message::binary(binary_bytes(Kind::Ping, "")),
            "FRAME_INVALID",
            1003,
        ),
        (
            GS1_BINARY,
            Message::binary(b"GS2\x01".to_vec()),
            "FRAME_INVALID",
            1007,
        ),
        (
            GS1_BINARY,
            Message::text(text_bytes(Kind::Ping, "")),
            "FRAME_INVALID",
            1003,
        ),
        (
            GS1_BINARY,
            Message::binary(large.clone().into_bytes()),
            "PAYLOAD_TOO_LARGE",
            1009,
        ),
        (JSON, Message::text("{\"op\":"), "json_syntax", 1007),
        (JSON, Message::binary(b"{}".to_vec()), "FRAME_INVALID", 1003),
        (JSON, Message::text(large), "PAYLOAD_TOO_LARGE", 1009),
    ];
    // All at once: the broker lingers a moment after each close.
    let sent = cases.map(|(protocol, message, code, close_code)| {
        let mut socket = broker.socket("?module=nobody", &[protocol]);
        socket.next();
        socket.send(message.clone());
        (socket, message, code, close_code)
    });
    for (mut socket, message, code, close_code) in sent {
        let error = socket.next().into_data();
        let error = String::from_utf8_lossy(&error).into_owned();
        assert!(error.contains(code), "{message:?}: {error}");
        let close = socket.close();
        let said = (u16::from(close.code), close.reason.as_str());
        assert_eq!(said, (close_code, "bad_frame"), "{message:?}");
    }
}

#[test]
fn text_that_is_no_text_ends_the_connection() {
    let broker = Broker::start();
    let mut socket = open_json(&broker);
    let frame = Raw::message(
        b"{\"op\":\"\xff\"}".to_vec(),
        OpCode::Data(Data::Text),
        true,
    );
    socket.send(Message::Frame(frame));
    assert_eq!(u16::from(socket.close().code), 1007);
}

#[test]
fn what_is_no_frame_ends_the_connection_as_the_protocol_has_it() {
    let broker = Broker::start();
    let odd = [
        Raw::message("x", OpCode::Data(Data::Reserved(3)), true),
        Raw::message("x", OpCode::Data(Data::Continue), true),
    ];
    for frame in odd {
        let mut socket = open_json(&broker);
        socket.send(Message::Frame(frame.clone()));
        assert_eq!(u16::from(socket.close().code), 1002, "{frame}");
    }
}

#[test]
fn a_client_that_says_goodbye_is_let_go_and_no_longer_counted() {
    let broker = Broker::start();
    let mut socket = open_json(&broker);
    socket.inner.close(None).unwrap();
    assert_eq!(u16::from(socket.close().code), 1000);
    support::eventually("it is gone", || {
        support::count_at(
            &broker.get("/stream/status").json(),
            &["active_connections"],
        ) == 0
    });
}

#[test]
fn the_largest_glint_fits_into_each_kind_of_message() {
    let broker = Broker::with(&[("edge.glint_limit_bytes", "1024")]);
    let glint = format!("{{\"a\": \"{}\"}}", "x".repeat(1024 - 9));
    assert_eq!(
        broker.post("/glints", "application/json", &glint).status(),
        200
    );
    for protocol in [GS1_TEXT, GS1_BINARY] {
        let mut socket = open_gs1(&broker, protocol);
        say(&mut socket, Kind::Doc, &glint);
        receipt(&socket.next_frame());
    }
    let mut socket = open_json(&broker);
    socket.say(&format!(r#"{{"op": "publish", "glint": {glint}}}"#));
    assert_eq!(text_at(&socket.next_json(), &["event"]), "receipt");
}
