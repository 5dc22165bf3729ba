"""What every client here is sent, and what it must have seen of it afterwards."""

import json
import os
import pathlib
import urllib.request

URL = os.environ["GLINTCAST_URL"]
_DIR = pathlib.Path(__file__).parent.parent / "glints"
#: The bodies, as agents post them.
POSTED = (_DIR / "posted.jsonl").read_bytes().split(b"\n")[:-1]
#: The same glints as each client must receive them, byte for byte.
WIRE = (_DIR / "wire.jsonl").read_text("ascii").split("\n")[:-1]
GLINTS = [json.loads(line) for line in WIRE]


def get(path):
    with urllib.request.urlopen(URL + path, timeout=5) as answer:
        return answer.read()


def post(body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(URL + "/stream/glint", body, headers)
    with urllib.request.urlopen(request, timeout=2) as answer:
        assert json.load(answer)["status"] == "glint_broadcast"


def publish():
    """Posts the sequence, with an event of another name in the midst of it."""
    for body in POSTED[:6]:
        post(body)
    get("/stream/test")
    for body in POSTED[6:]:
        post(body)


class Watch:
    """Keeps (name, text) of all that a client saw, publishes at the first of it, and knows when to stop.

    That is at a heartbeat after the last glint, and after a change of phase: by then a glint that came twice is seen.
    """

    def __init__(self, publish=publish):
        self._publish = publish
        self.seen = []

    def is_done(self, name, text):
        self.seen.append((name, text))
        if len(self.seen) == 1:
            self._publish()
        names = [name for name, _ in self.seen]
        ended = any('"c-end"' in text for _, text in self.seen)
        return ended and name == "heartbeat" and "phase_update" in names

    def texts(self, name):
        return [text for seen, text in self.seen if seen == name]

    def check(self):
        """Each glint exactly once, in order, to the byte; the others where they belong."""
        assert self.texts("glint_emission") == WIRE
        assert len(self.texts("test_event")) == 1
        names = [name for name, _ in self.seen if name in ("glint_emission", "test_event")]
        assert names.index("test_event") == 6
        # The gap notice would say that something is missing.
        assert self.texts("gap") == []
        assert json.loads(self.seen[0][1])["recovered"] is True
