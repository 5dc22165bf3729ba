"""websockets: the most used WebSocket library of Python.

Speaks each of the three subprotocols, in both directions, and is strict about handshakes, UTF-8 and close codes.
"""

import json

import gs1
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from glints import GLINTS, POSTED, URL, WIRE, Watch

WS = URL.replace("http", "ws", 1)
GS1 = [("gs1-t.v1", gs1.read_text, gs1.write_text), ("gs1-b.v1", gs1.read_binary, gs1.write_binary)]


def open_as(protocol, path="/stream"):
    socket = connect(WS + path, subprotocols=[protocol] if protocol else None, open_timeout=5, close_timeout=5)
    assert socket.subprotocol == protocol
    return socket


def as_bytes(message):
    return message.encode() if isinstance(message, str) else message


def next_but_keepalive(socket):
    while True:
        message = socket.recv(timeout=5)
        if '"event": "keepalive"' not in message:
            return message


@pytest.mark.parametrize("protocol,read,write", GS1, ids=[name for name, *_ in GS1])
def test_frames_in_sequence(protocol, read, write):
    reader = gs1.Reader()
    with open_as(protocol) as socket:
        for message in socket:
            assert isinstance(message, str) == (protocol == "gs1-t.v1")
            if reader.is_done(*read(as_bytes(message))):
                break
    reader.check()


def test_json_events():
    watch = Watch()
    with open_as("glintcast.json.v1") as socket:
        for message in socket:
            event = json.loads(message)
            data = message.partition('"data": ')[2].removesuffix("}")
            name = event["event"]
            if watch.is_done(name, message if name == "hello" else data):
                break
    watch.check()


def test_without_a_subprotocol_gs1_text_is_spoken():
    with open_as(None) as socket:
        assert b"hello" in gs1.read_text(as_bytes(socket.recv(timeout=5))).payload


@pytest.mark.parametrize("protocol,read,write", GS1, ids=[name for name, *_ in GS1])
def test_publishes_frames_and_sees_the_receipts(protocol, read, write):
    with open_as(protocol, "/stream?topics=glints") as socket:
        read(as_bytes(socket.recv(timeout=5)))
        # JSON text is a payload; so is GLYPH.
        payloads = [body.decode() for body in POSTED] + ['{id="by hand" module=clients content="Zürich ☕ 😀"}']
        for payload in payloads:
            socket.send(write(payload))
        glints, receipts = [], []
        while len(glints) < len(payloads) or len(receipts) < len(payloads):
            frame = read(as_bytes(socket.recv(timeout=5)))
            event = gs1.value(frame.payload)
            (receipts if frame.sid == 0 else glints).append(event)
    assert gs1.as_doubles([glint["data"] for glint in glints[:-1]]) == gs1.as_doubles(GLINTS)
    assert glints[-1]["data"]["content"] == "Zürich ☕ 😀"
    assert [receipt["event"] for receipt in receipts] == ["receipt"] * len(payloads)
    assert [receipt["cursor"] for receipt in receipts] == [glint["cursor"] for glint in glints]
    assert [receipt["id"] for receipt in receipts] == [glint["id"] for glint in glints]


def test_publishes_json_and_sees_the_receipts():
    with open_as("glintcast.json.v1", "/stream?topics=glints") as socket:
        socket.recv(timeout=5)
        for body in POSTED:
            socket.send('{"op": "publish", "glint": ' + body.decode() + "}")
        glints, receipts = [], []
        while len(glints) < len(POSTED) or len(receipts) < len(POSTED):
            message = next_but_keepalive(socket)
            (receipts if json.loads(message)["event"] == "receipt" else glints).append(message)
        socket.send('{"op": "ping"}')
        assert json.loads(next_but_keepalive(socket)) == {"event": "pong"}
    assert [message.partition('"data": ')[2].removesuffix("}") for message in glints] == WIRE
    cursors = [json.loads(message)["cursor"] for message in glints]
    assert [json.loads(message)["cursor"] for message in receipts] == cursors


@pytest.mark.parametrize("protocol,read,write", GS1, ids=[name for name, *_ in GS1])
def test_pings(protocol, read, write):
    with open_as(protocol, "/stream?topics=glints") as socket:
        socket.recv(timeout=5)
        assert socket.ping().wait(timeout=5), "the ping of WebSockets"
        socket.send(write("", kind="ping"))
        frame = read(as_bytes(socket.recv(timeout=5)))
        assert (frame.sid, frame.kind, frame.payload) == (0, "pong", b"")


CLOSES = [
    ("gs1-t.v1", "no frame", 1007),
    ("gs1-t.v1", b"GS1", 1003),
    ("gs1-b.v1", "@frame{}", 1003),
    ("gs1-b.v1", b"GS1\x02" + bytes(22), 1007),
    ("glintcast.json.v1", "{", 1007),
    ("glintcast.json.v1", '{"op": "publish", "glint": {"x": "' + "x" * 70_000 + '"}}', 1009),
]


@pytest.mark.parametrize("protocol,message,code", CLOSES, ids=[f"{one[0]}-{one[2]}" for one in CLOSES])
def test_a_bad_message_closes_with_a_code(protocol, message, code):
    with open_as(protocol, "/stream?topics=glints") as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=5)
    assert closed.value.rcvd.code == code


def test_a_limit_closes_normally():
    with open_as("glintcast.json.v1", "/stream?limit=2&from=earliest") as socket:
        events = [json.loads(message) for message in socket]
    assert [event["event"] for event in events][0] == "hello"
    assert events[-1]["event"] == "farewell" and events[-1]["reason"] == "limit"
    assert len(events) == 4
    assert socket.close_code == 1000


def test_resumes_without_gap_or_duplicate():
    glints, last = [], None
    while not glints or '"c-end"' not in glints[-1]:
        path = "/stream?topics=glints,state&limit=3" + (f"&last_event_id={last}" if last else "")
        with open_as("glintcast.json.v1", path) as socket:
            for message in socket:
                event = json.loads(message)
                assert event["event"] != "gap"
                if event["event"] == "hello" and last is None:
                    Watch().is_done("hello", "")
                last = event.get("cursor", last)
                if event["event"] == "glint_emission":
                    glints.append(message.partition('"data": ')[2].removesuffix("}"))
    assert glints == WIRE
