"""A small reader of GS1 frames; their payloads are read by glyph-py, a third-party package."""

import json
import re
import struct
import zlib
from collections import namedtuple

import glyph

from glints import GLINTS, publish

Frame = namedtuple("Frame", "sid seq kind payload")
_HEAD = re.compile(rb"@frame\{v=1 sid=(\d+) seq=(\d+) kind=(\w+) len=(\d+)(?: crc=([0-9a-f]{8}))?\}\n")
_KINDS = ["doc", "patch", "row", "ui", "ack", "err", "ping", "pong"]


def read_text(data):
    """Reads one GS1-T frame that must be all of `data`."""
    head = _HEAD.match(data)
    assert head, data[:80]
    sid, seq, kind, length, crc = head.groups()
    payload = data[head.end() : -1]
    assert data.endswith(b"\n") and len(payload) == int(length)
    assert zlib.crc32(payload) == int(crc or b"0", 16)
    return Frame(int(sid), int(seq), kind.decode(), payload)


def read_binary(data):
    """Reads one GS1-B frame that must be all of `data`."""
    magic, version, flags, kind, sid, seq, length = struct.unpack_from(">3sBBBQQI", data)
    assert (magic, version) == (b"GS1", 1) and flags & ~1 == 0
    payload = data[26 + 4 * (flags & 1) :]
    assert len(payload) == length
    assert not flags & 1 or struct.unpack_from(">I", data, 26) == (zlib.crc32(payload),)
    return Frame(sid, seq, _KINDS[kind], payload)


def write_text(payload, kind="doc"):
    payload = payload.encode()
    head = f"@frame{{v=1 sid=1 seq=1 kind={kind} len={len(payload)} crc={zlib.crc32(payload):08x}}}\n"
    return (head.encode() + payload + b"\n").decode()


def write_binary(payload, kind="doc"):
    payload = payload.encode()
    head = struct.pack(">3sBBBQQI", b"GS1", 1, 1, _KINDS.index(kind), 1, 1, len(payload))
    return head + struct.pack(">I", zlib.crc32(payload)) + payload


def value(payload):
    return glyph.to_json_loose(glyph.parse_loose(payload.decode()))


def as_doubles(value):
    """What is left of a JSON value where every number is a double, as in GLYPH."""
    return json.loads(json.dumps(value), parse_int=lambda digits: float(digits))


class Reader:
    """Follows the streams of a connection as a strict cursor does: each sid counts up by one, without exception."""

    def __init__(self, publish=publish):
        self._publish = publish
        self._seqs = {}
        self._topics = {}
        self.controls = []
        self.glints = []
        self.names = []

    def is_done(self, sid, seq, kind, payload):
        assert self._seqs.get(sid, seq - 1) == seq - 1, "no frame is missing, none comes twice"
        self._seqs[sid] = seq
        if sid == 0:
            return self._control(kind, payload)
        event = value(payload)
        assert kind == ("ui" if event["event"] == "ritual_status_update" else "doc")
        assert event["topic"] in self._topics[sid]
        self.names.append(event["event"])
        if event["event"] == "glint_emission":
            self.glints.append(event["data"])
        ended = self.glints and self.glints[-1].get("id") == "c-end"
        return bool(ended) and event["event"] == "heartbeat"

    def _control(self, kind, payload):
        assert kind == "doc", payload
        event = value(payload)
        for stream in event.get("streams", []):
            self._topics[stream["sid"]] = stream["topics"]
        self.controls.append(event)
        if len(self.controls) == 1:
            assert event["event"] == "hello" and event["recovered"] is True
            self._publish()
        return False

    def check(self):
        assert as_doubles(self.glints) == as_doubles(GLINTS)
        assert self.names.count("test_event") == 1
