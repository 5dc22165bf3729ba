"""httpx-sse: SSE for httpx, as used by newer Python services.

Checks the content type, splits lines by the letter of the standard, and comes in a blocking and an async form.
"""

import asyncio

import gs1
import httpx
from httpx_sse import aconnect_sse, connect_sse

from glints import URL, Watch, publish


def test_named_events():
    watch = Watch()
    with httpx.Client(timeout=30) as client, connect_sse(client, "GET", URL + "/stream") as source:
        for event in source.iter_sse():
            if watch.is_done(event.event, event.data):
                break
    watch.check()


def test_async_client():
    async def run(watch):
        async with httpx.AsyncClient(timeout=30) as client:
            async with aconnect_sse(client, "GET", URL + "/stream") as source:
                async for event in source.aiter_sse():
                    if watch.is_done(event.event, event.data):
                        break

    watch = Watch()
    asyncio.run(run(watch))
    watch.check()


def test_gs1_frames_as_events():
    """Each event is one whole frame, to the byte: length and checksum hold, and nothing is missing in between."""
    reader = gs1.Reader(publish)
    with httpx.Client(timeout=30) as client, connect_sse(client, "GET", URL + "/stream?framing=gs1") as source:
        for event in source.iter_sse():
            assert event.event == "message"
            if reader.is_done(*gs1.read_text(event.data.encode())):
                break
    reader.check()


def test_each_event_has_data():
    """Every blank line makes an event here once there was an id, so there must be none beyond those that end one.

    Neither a sign of life nor the end of a stream may come as an event without data: programs parse each as JSON.
    """
    for framing in ["json", "gs1"]:
        with httpx.Client(timeout=30) as client:
            # Silent until its time is over.
            query = f"/stream?topics=glints&timeout=3&framing={framing}"
            with connect_sse(client, "GET", URL + query) as source:
                events = list(source.iter_sse())
        assert events, framing
        assert [event for event in events if not event.data] == [], framing
