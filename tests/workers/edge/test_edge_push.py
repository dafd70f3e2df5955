"""Pictures that are sent to the worker: its address, what it refuses, and where a picture goes."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import httpx
import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import PATIENCE_S, number_of, picture, until
from workers.edge import push_routes as routes
from workers.edge.frames import BufferPolicy, FrameBuffer, LaneRule, SourceFrame
from workers.edge.http import HealthServer
from workers.edge.metrics import EdgeMetrics
from workers.edge.push_routes import PushLimits, push_routes
from workers.edge.reader import SourceReaders
from workers.edge.sources import PushSource, open_source, open_sources

LIMITS = PushLimits(body_bytes=20_000, pixels=10_000)
PNG = {"Content-Type": "image/png"}


def png(number: int = 1, shape: tuple[int, int, int] = (8, 12, 3)) -> bytes:
    return cv2.imencode(".png", picture(number, shape))[1].tobytes()


class Worker:
    """The part of a worker between the network and the buffer."""

    def __init__(self, *names: str, policy: BufferPolicy = BufferPolicy.DROP_OLDEST, capacity: int = 4) -> None:
        self.sources = [PushSource(name) for name in names]
        lanes = {name: LaneRule(policy) for name in names} or None
        self.buffer = FrameBuffer(capacity, policy, 100, lanes)
        self.readers = SourceReaders(self.sources, self.buffer)
        self.server = HealthServer(0, EdgeMetrics(), lambda: None, push_routes(self.sources, LIMITS))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.server.port}", trust_env=False, timeout=PATIENCE_S)

    def post(self, body: object = None, path: str = "/frames", **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=png() if body is None else body, headers={**PNG, **given})

    def get(self) -> SourceFrame:
        frame = self.buffer.get(PATIENCE_S)
        assert frame is not None
        self.buffer.done()
        return frame


@contextmanager
def worker_of(*names: str, started: bool = True, **options: object) -> Iterator[Worker]:
    worker = Worker(*names, **options)
    if started and names:
        worker.readers.start()
        until(lambda: all(source._reading for source in worker.sources), "the readers")
    try:
        yield worker
    finally:
        if started:
            worker.readers.stop()
            worker.readers.join(PATIENCE_S)
        worker.client.close()
        worker.server.close()


@pytest.fixture
def worker():
    with worker_of("push") as made:
        yield made


def test_a_picture_becomes_a_frame_with_the_number_that_was_told(worker):
    for number in (1, 2, 3):
        answer = worker.post(png(number))
        assert (answer.status_code, answer.json()) == (202, {"source": "push", "frame": number})
    jpeg = cv2.imencode(".jpg", picture(200, (16, 16, 3)))[1].tobytes()
    assert worker.post(jpeg, Content_Type="image/jpeg; q=1").json()["frame"] == 4
    frames = [worker.get() for _ in range(4)]
    assert [(frame.number, frame.source) for frame in frames] == [(n, "push") for n in (1, 2, 3, 4)]
    assert [number_of(frame.picture) for frame in frames] == [1, 2, 3, pytest.approx(200, abs=3)]
    assert frames[3].picture.shape == (16, 16, 3)


def test_the_time_of_capture_may_be_said(worker):
    moment = time.time() - 30
    worker.post(X_Captured_At=f"{moment:.3f}")
    worker.post()
    worker.post(X_Captured_At=f"{time.time() + 60:.3f}")  # that machine's clock is ahead of ours
    said, unsaid, ahead = worker.get(), worker.get(), worker.get()
    assert said.captured_at == pytest.approx(moment, abs=0.01)
    assert time.monotonic() - said.captured == pytest.approx(30, abs=5)
    for frame in (unsaid, ahead):
        assert time.time() - frame.captured_at < 20
        assert time.monotonic() - frame.captured < 20


@pytest.mark.parametrize("value", ["yesterday", "nan", "-1", "1e9", "1796030400000"])
def test_a_time_that_is_none(worker, value):
    answer = worker.post(X_Captured_At=value)
    assert (answer.status_code, answer.json()["cause"]) == (422, "malformed_body")
    assert "write seconds since 1970" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "cause"),
    [
        (b"", "image/png", 422, "malformed_body"),
        (b"no picture", "image/jpeg", 422, "malformed_body"),
        (png()[:-8], "image/png", 422, "malformed_body"),
        (png(), "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"[[0]]", "", 415, "unsupported_media_type"),
        (b"x" * 20_001, "image/png", 413, "body_too_large"),
        (png(shape=(101, 100, 3)), "image/png", 413, "body_too_large"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_cause(worker, body, media_type, status, cause):
    answer = worker.post(body, Content_Type=media_type)
    assert (answer.status_code, answer.json()["cause"]) == (status, cause)
    assert "\n" not in answer.json()["detail"]
    assert worker.post().json()["frame"] == 1  # it took none of those
    assert worker.sources[0].broken == (cause == "malformed_body")


def test_several_sources_have_an_address_each():
    with worker_of("door", "yard") as worker:
        for name in ("yard", "door", "yard"):
            assert worker.post(path=f"/frames/{name}").status_code == 202
        assert sorted((frame.source, frame.number) for frame in (worker.get() for _ in range(3))) == [
            ("door", 1),
            ("yard", 1),
            ("yard", 2),
        ]
        for path in ("/frames", "/frames/attic"):
            answer = worker.post(path=path)
            assert (answer.status_code, answer.json()["cause"]) == (404, "unknown_source")
            assert "send it to /frames/door or /frames/yard" in answer.json()["detail"]
        assert worker.client.get("/frames/door").status_code == 405


def test_a_worker_without_such_a_source_says_what_to_write():
    with worker_of(started=False) as worker:
        answer = worker.post()
        assert (answer.status_code, answer.json()["cause"]) == (404, "unknown_source")
        assert "write push:// into the worker's video_url" in answer.json()["detail"]


def test_when_the_buffer_is_full_the_oldest_goes(worker):
    for number in range(1, 10):
        assert worker.post(png(number)).status_code == 202
    until(lambda: worker.buffer.taken_in == 9, "all to be in the buffer")
    assert (len(worker.buffer), worker.buffer.dropped) == (4, 5)
    assert worker.get().number == 6


def test_a_source_that_waits_is_full(monkeypatch):
    monkeypatch.setattr(routes, "OFFER_S", PATIENCE_S)
    with worker_of("push", policy=BufferPolicy.WAIT, capacity=1) as worker:
        answers = [worker.post() for _ in range(3)]  # in the buffer, in the reader's hand, on its way to it
        monkeypatch.setattr(routes, "OFFER_S", 0.01)
        full = worker.post()
        assert [answer.status_code for answer in answers] == [202, 202, 202]
        assert (full.status_code, full.json()["detail"], full.headers["Retry-After"]) == (
            503,
            "the worker is full",
            "1",
        )
        assert [worker.get().number for _ in range(3)] == [1, 2, 3]


def test_before_the_start_and_after_the_end_none_is_taken():
    with worker_of("push", started=False) as worker:
        answer = worker.post()
        assert (answer.status_code, answer.json()["detail"]) == (503, "the worker is starting")
        worker.readers.start()
        until(lambda: worker.post().status_code == 202, "the reader")
        worker.readers.stop()
        worker.readers.join(PATIENCE_S)
        answer = worker.post()
        assert (answer.status_code, answer.json()["detail"]) == (503, "the source 'push' has ended")


def test_a_picture_that_does_not_come_whole_is_given_up(worker, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(routes, "BODY_S", 0.05)
        send_a_part(worker)
    assert worker.post().json()["frame"] == 1


def send_a_part(worker: Worker) -> None:
    """Send the beginning of a picture, and see that it is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.server.port, timeout=PATIENCE_S)
    connection.putrequest("POST", "/frames")
    for name, value in {**PNG, "Content-Length": "100"}.items():
        connection.putheader(name, value)
    connection.endheaders(png()[:10])
    assert connection.getresponse().status == 408
    connection.close()


def test_more_at_once_than_are_taken_are_told_to_come_again(worker, monkeypatch):
    monkeypatch.setattr(routes, "AT_ONCE", 0)
    answer = worker.post()
    assert (answer.status_code, answer.json()["cause"], answer.headers["Retry-After"]) == (429, "overloaded", "1")


def test_many_senders_each_get_a_number_of_their_own():
    with worker_of("push", capacity=1000) as worker, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: worker.post(png(n % 250)), range(80)))
        numbers = [answer.json()["frame"] for answer in answers]
        shown = {frame.number: number_of(frame.picture) for frame in (worker.get() for _ in range(80))}
    assert sorted(numbers) == list(range(1, 81))
    assert shown == {number: n % 250 for n, number in enumerate(numbers)}


@pytest.mark.parametrize("address", ["push://a b", "push://a/b", "push://-x"])
def test_a_name_that_is_none(address):
    with pytest.raises(SourceError, match="no name for pictures that are sent; write push:// or push://name"):
        open_source(address)


def test_names_of_push_sources():
    assert [source.name for source in open_sources("push://,push://door,gate=push://x")] == ["push", "door", "gate"]
