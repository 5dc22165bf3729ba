"""sseclient-py: a plain SSE parser over a requests response.

Stands for Python programs that read SSE properly, by the names of events.
"""

import requests
import sseclient

from glints import URL, WIRE, Watch, post, POSTED


def events(path, **headers):
    answer = requests.get(URL + path, stream=True, timeout=30, headers={"Accept": "text/event-stream", **headers})
    assert answer.status_code == 200
    with answer:
        yield from sseclient.SSEClient(answer).events()


def test_named_events():
    watch = Watch()
    for event in events("/stream"):
        if watch.is_done(event.event, event.data):
            break
    watch.check()


def test_shadows_are_unnamed_in_the_bilingual_dialect():
    """A parser sees the shadows, but as events of another name: who goes by names counts nothing twice."""
    watch = Watch()
    for event in events("/stream?dialect=bilingual"):
        if watch.is_done(event.event, event.data):
            break
    watch.check()
    shadows = [text for text in watch.texts("message") if '"event": "glint_emission"' in text]
    assert len(shadows) == len(WIRE)


def test_resumes_by_hand_without_gap_or_duplicate():
    """Comes back with the id of the last event, after each end of a stream that ends after three."""
    glints, last, rounds = [], None, 0
    while not glints or '"c-end"' not in glints[-1]:
        rounds += 1
        headers = {"Last-Event-ID": last} if last else {}
        for event in events("/stream?topics=glints,state&limit=3", **headers):
            if last is None:
                for body in POSTED:
                    post(body)
            last = event.id or last
            if event.event == "glint_emission":
                glints.append(event.data)
            assert event.event != "gap"
    assert glints == WIRE
    assert rounds >= len(WIRE) // 3
