"""requests: the line clients of the existing glint stream.

None of them reads SSE. They take lines that begin with `data: `, with the space, for JSON on one line, and ignore the
rest, names of events included. They are the reason for most of what is odd about the default dialect.
"""

import json
import time

import pytest
import requests

from glints import GLINTS, POSTED, URL, WIRE, post, publish

# How the existing clients come in, and what a newer one may ask for. A line client must see the same in both.
STREAMS = ["/stream", "/stream?dialect=bilingual"]


def lines(path, timeout=30, **how):
    """Lines as the existing clients read them: with the reader's default of 512 bytes at a time."""
    answer = requests.get(URL + path, stream=True, timeout=timeout)
    assert answer.status_code == 200
    with answer:
        for line in answer.iter_lines(**how):
            yield line if isinstance(line, str) else line.decode("utf-8")


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("how", [{}, {"decode_unicode": True}], ids=["bytes", "text"])
def test_line_counter_sees_each_glint_once(path, how):
    """Prints and counts what it gets. With decoded text every Unicode line break would end a line."""
    seen = []
    for line in lines(path, **how):
        if not line.startswith("data: "):
            continue
        data = json.loads(line[6:])
        if not seen:
            publish()
        seen.append(line[6:])
        if "state" in data and WIRE[-1] in seen:
            break
    assert [text for text in seen if text in WIRE] == WIRE
    # A glint that came in a changed form would be no member of WIRE, but still carry its mark.
    assert sum('"c-0' in text for text in seen) == sum('"c-0' in text for text in WIRE)
    assert [glint for glint in map(json.loads, seen) if glint in GLINTS] == GLINTS


@pytest.mark.parametrize("path", STREAMS + ["/stream?dialect=envelope", "/api/dashboard/stream"])
def test_impatient_client_finds_data_in_the_first_line(path):
    """Binds its result in one branch only, so that another first line ends it with an unbound variable."""
    for line in lines(path):
        if line.startswith("data: "):
            state = json.loads(line[6:])
        print(state)
        break
    if "dashboard" not in path:
        assert {"phase", "progress", "usage", "climate", "timestamp"} <= state.keys()


@pytest.mark.parametrize("path", STREAMS)
def test_scheduler_acts_on_the_event_member_only(path):
    """Knows events by a member of the JSON, compares each heartbeat with the last, and acts on changes."""
    last, transitions, glints, announced = None, [], [], []
    previous = ""
    for line in lines(path):
        if previous == "event: phase_update" and last is not None:
            announced.append(json.loads(line.removeprefix("data: "))["phase"])
        previous = line
        if not line.startswith("data: "):
            continue
        data = json.loads(line[6:])
        event, inner = data.get("event"), data.get("data", {})
        if event == "heartbeat":
            phase = inner["state"]["phase"]
            if last is None:
                publish()
            elif phase != last:
                transitions.append(phase)
            last = phase
            if len(transitions) == 2 and glints:
                break
        elif event == "phase_update":
            transitions.append(inner["phase"])
        elif event == "glint_emission":
            glints.append(inner.get("glint", {}).get("id"))
    assert transitions == announced, "each change counts once"
    # The one that was posted as an envelope, and the one that called itself a heartbeat and must not pass for one.
    assert glints == ["c-01", None]


def test_silence_is_shorter_than_the_read_timeout():
    """Gives up after 30 s without a byte; the broker promises 15 s. Here both are 15 times shorter."""
    seen = []
    started = time.monotonic()
    for line in lines("/stream?topics=glints", timeout=2):
        seen.append(line)
        if line == "event: keepalive" and time.monotonic() - started > 3:
            break
    assert seen.count("event: keepalive") >= 2


def test_orchestrator_posts_within_two_seconds():
    """Opens a connection per glint, waits 2 s at most, and only looks whether the status is 200."""
    for body in POSTED[:3]:
        answer = requests.post(URL + "/stream/glint", json=json.loads(body), timeout=2)
        assert answer.status_code == 200
        assert answer.json()["status"] == "glint_broadcast"
    assert answer.json()["id"] is None, "this one was flat, and only an envelope's id is echoed"
    assert requests.post(URL + "/stream/glint", json={}, timeout=2).json() == {"error": "No glint data provided"}
    post(POSTED[0])
