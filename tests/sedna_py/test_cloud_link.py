from __future__ import annotations

import asyncio
import json
import threading

import numpy as np
import pytest

from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.cloud_client import CloudReply
from sedna_py.cloud_link import CloudLink, LinkOptions, encode
from sedna_py.errors import CloudUnavailable, MalformedBody
from sedna_py.estimator import is_frame
from sedna_py.protocol import npy
from sedna_py.protocol.causes import OffloadCause

IMAGE = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


class FakeCloud:
    """Gives its reply, or raises it if it is an exception."""

    def __init__(self, reply=("cloud",)):
        self.reply = reply
        self.breaker_state = BreakerState.CLOSED
        self.sleeps = False
        self.bodies = []
        self.asked = threading.Semaphore(0)
        self.closed = False

    async def predict(self, body, media_type, *, frame_id="", deadline_s=None):
        self.bodies.append((body, media_type, deadline_s))
        self.asked.release()
        if self.reply is None:
            await asyncio.Event().wait()
        if isinstance(self.reply, Exception):
            raise self.reply
        return CloudReply(list(self.reply), 0.001, {}, len(body))

    def asleep(self):
        return self.sleeps

    async def aclose(self):
        self.closed = True


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def loop():
    loop = BackgroundLoop("test-cloud-link")
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("data", "post_process", "extra", "options", "expected"),
    [
        (IMAGE, None, {}, LinkOptions(), {"data": IMAGE.tolist(), "post_process": None}),
        (["question"], None, {}, LinkOptions(), {"data": ["question"], "post_process": None}),
        ([1], "named", {"k": 2}, LinkOptions(), {"data": [1], "k": 2, "post_process": "named"}),
        ([1], "f", {}, LinkOptions(send_callback=True), {"data": [1], "post_process": "f", "callback": "f"}),
        ([1], None, {}, LinkOptions(send_callback=True), {"data": [1], "post_process": None}),
        (np.ones(2, np.float32), None, {}, LinkOptions(as_npy=True), {"data": [1.0, 1.0], "post_process": None}),
        (IMAGE, None, {"k": 2}, LinkOptions(as_npy=True), {"data": IMAGE.tolist(), "k": 2, "post_process": None}),
    ],
)
def test_json_bodies(data, post_process, extra, options, expected):
    body, media_type = encode(data, post_process, extra, options)
    assert (json.loads(body), media_type) == (expected, "application/json")


def test_npy_body():
    body, media_type = encode(IMAGE, "named", {}, LinkOptions(as_npy=True))
    assert media_type == "application/x-npy"
    assert np.array_equal(npy.decode(body, max_bytes=100), IMAGE)


@pytest.mark.parametrize("data", ["text", 3, None, {"a": 1}, [object()], [float("nan")]])
def test_what_cannot_be_sent(data, loop):
    with pytest.raises(MalformedBody):
        encode(data, None, {}, LinkOptions())
    cloud = FakeCloud()
    assert CloudLink(cloud, loop, LinkOptions()).ask(data, None, {}).cause is OffloadCause.ENCODE_FAILED
    assert cloud.bodies == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (IMAGE, True),
        (IMAGE.tolist(), False),
        (IMAGE.astype(float), False),
        (IMAGE[0], False),
        (np.zeros((2, 2, 4), np.uint8), False),
    ],
)
def test_images(data, expected):
    assert is_frame(data) is expected


def test_an_answer(loop):
    answer = CloudLink(FakeCloud(), loop, LinkOptions()).ask([1], None, {})
    assert (answer.result, answer.cause) == (["cloud"], None)


def test_an_empty_answer_is_an_answer(loop):
    assert CloudLink(FakeCloud(()), loop, LinkOptions()).ask([1], None, {}).result == []


def test_a_failure_has_its_cause(loop):
    cloud = FakeCloud(CloudUnavailable(OffloadCause.OVERLOADED, "429"))
    answer = CloudLink(cloud, loop, LinkOptions()).ask([1], None, {})
    assert (answer.result, answer.cause, answer.detail) == (None, OffloadCause.OVERLOADED, "429")


def test_whatever_else_the_data_does_is_not_raised(loop):
    class Hostile(list):
        def __iter__(self):
            raise RuntimeError("no")

    assert CloudLink(FakeCloud(), loop, LinkOptions()).ask(Hostile(), None, {}).cause is OffloadCause.ENCODE_FAILED


def test_a_client_that_forgets_the_deadline_is_left(loop):
    answer = CloudLink(FakeCloud(None), loop, LinkOptions(deadline_s=0.01)).ask([1], None, {})
    assert answer.cause is OffloadCause.DEADLINE_EXCEEDED


def test_a_failing_cloud_is_probed_once_a_second_and_never_waited_for(loop):
    cloud, clock = FakeCloud(None), Clock()
    cloud.breaker_state = BreakerState.OPEN
    link = CloudLink(cloud, loop, LinkOptions(deadline_s=60), clock)
    causes = {link.ask([1], None, {}).cause for _ in range(5)}
    assert cloud.asked.acquire(timeout=5)
    clock.now += 0.9
    causes.add(link.ask([1], None, {}).cause)
    assert len(cloud.bodies) == 1
    clock.now += 0.2
    causes.add(link.ask([1], None, {}).cause)
    assert cloud.asked.acquire(timeout=5)
    assert len(cloud.bodies) == 2
    assert causes == {OffloadCause.CIRCUIT_OPEN}


def test_one_that_sleeps_is_said_to_sleep_while_it_is_not_asked(loop):
    cloud = FakeCloud(None)
    cloud.breaker_state, cloud.sleeps = BreakerState.OPEN, True
    link = CloudLink(cloud, loop, LinkOptions(), Clock())
    assert {link.ask([1], None, {}).cause for _ in range(3)} == {OffloadCause.CLOUD_ASLEEP}


def test_a_cloud_that_came_back_is_asked_at_once(loop):
    cloud, clock = FakeCloud(), Clock()
    cloud.breaker_state = BreakerState.OPEN
    link = CloudLink(cloud, loop, LinkOptions(), clock)
    assert link.ask([1], None, {}).cause is OffloadCause.CIRCUIT_OPEN
    cloud.breaker_state = BreakerState.CLOSED
    assert link.ask([1], None, {}).result == ["cloud"]


def test_closed_twice_and_asked_after(loop):
    cloud = FakeCloud()
    link = CloudLink(cloud, loop, LinkOptions())
    link.close()
    link.close()
    assert cloud.closed
    assert link.ask([1], None, {}).cause is OffloadCause.SHUTDOWN
