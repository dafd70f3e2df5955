"""Live streams: a real MJPEG server on loopback, and captures that break off."""

from __future__ import annotations

import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import cv2
import pytest

from sedna_py.errors import SednaError
from tests.workers.edge.fakes import PATIENCE_S, number_of, picture, until
from workers.edge.frames import BufferPolicy, FrameBuffer
from workers.edge.reader import FrameReader
from workers.edge.sources import LiveStream, open_source
from workers.edge.sources.capture import open_capture


class Mjpeg(http.server.BaseHTTPRequestHandler):
    """Sends frames until the server stops."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        body = cv2.imencode(".jpg", picture(self.server.number, (48, 64, 3)))[1].tobytes()
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(body), body)
        while not self.server.ending.wait(0.005):
            try:
                self.wfile.write(part)
            except OSError:
                return

    def log_message(self, *_: object) -> None: ...


class Camera(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, number: int, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Mjpeg)
        self.number = number
        self.ending = threading.Event()


@contextmanager
def camera(number: int, port: int = 0) -> Iterator[Camera]:
    """Serve frames that show `number`."""
    server = Camera(number, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


@contextmanager
def reading(url: str) -> Iterator[list[int]]:
    """Read the stream in a thread; the list grows by what the frames show."""
    source = open_source(url)
    assert source.live
    reader = FrameReader(source, FrameBuffer(4, BufferPolicy.DROP_OLDEST, most_out=1))
    seen: list[int] = []

    def take() -> None:
        while (frame := reader.buffer.get(PATIENCE_S)) is not None:
            seen.append(number_of(frame.picture))
            reader.buffer.done()

    taker = threading.Thread(target=take, daemon=True)
    reader.start()
    taker.start()
    try:
        yield seen
    finally:
        reader.stop()
        reader.join(PATIENCE_S)
        taker.join(PATIENCE_S)
        assert not reader.is_alive()


def test_reading_resumes_when_the_server_comes_back(caplog):
    caplog.set_level("INFO")
    with camera(40) as first:
        port = first.server_port
        address = f"http://viewer:s3cret@127.0.0.1:{port}/cam.mjpg"
        with reading(address) as seen:
            until(lambda: len(seen) >= 5, "frames of the first server")
            first.ending.set()
            first.shutdown()
            first.server_close()
            until(lambda: "gives no frames" in caplog.text, "the loss to be noticed")
            with camera(200, port):
                until(lambda: seen[-1] > 150, "frames of the second server")
                until(lambda: "gives frames again" in caplog.text, "the return to be said")
    assert "s3cret" not in caplog.text


def test_frames_come_without_delay(tmp_path):
    """An MPEG-4 stream, frame by frame: when frame n has been sent, frame n - 2 or a newer one has come out."""
    path, count = tmp_path / "clip.avi", 60
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), 25, (64, 64))
    for number in range(count):
        writer.write(picture(4 * number, (64, 64, 3)))
    writer.release()
    data = path.read_bytes()
    starts = [found.start() for found in re.finditer(b"00dc", data)][:count]
    sent = []

    class Stream(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data[: starts[0]])
            for begin, end in pairwise(starts):
                sent.append(begin)
                with suppress(OSError):
                    self.wfile.write(data[begin:end])
                time.sleep(0.02)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        capture = open_capture(f"http://127.0.0.1:{server.server_port}/clip.avi")
        late = []
        while len(late) < 50 and capture.read()[0]:
            late.append(len(sent) - len(late) - 1)
        capture.release()
    finally:
        server.shutdown()
        server.server_close()
        serving.join(PATIENCE_S)
    assert sorted(late)[25] <= 2, late


class Captures:
    """Stands in for OpenCV: every opening takes the next capture of a plan; a capture is a number of frames, None refuses."""

    def __init__(self, *plan: int | None) -> None:
        self._plan = list(plan)
        self.opened = 0
        self.released = 0

    def __call__(self, _: object) -> Captures | None:
        self.opened += 1
        self._left = self._plan.pop(0) if self._plan else 0
        return None if self._left is None else self

    def read(self) -> tuple[bool, object]:
        self._left -= 1
        return (True, picture(self.opened)) if self._left >= 0 else (False, None)

    def get(self, _: int) -> float:
        return 0.0

    def release(self) -> None:
        self.released += 1


def stream_of(monkeypatch, *plan):
    """Return a stream over planned captures, and the pauses that it made."""
    captures = Captures(*plan)
    monkeypatch.setattr("workers.edge.sources.capture.open_capture", captures)
    stream = LiveStream("rtsp://host/x")
    pauses: list[float] = []
    monkeypatch.setattr(stream._closed, "wait", lambda pause: pauses.append(pause) or False)
    return stream, captures, pauses


def test_pauses_between_attempts_grow_and_start_again_after_a_frame(monkeypatch):
    stream, _, pauses = stream_of(monkeypatch, 1, None, 0, None, None, None, 2, 1)
    shown = iter(stream)
    assert [number_of(next(shown)) for _ in range(4)] == [1, 7, 7, 8]
    assert stream.outages == 2
    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 0.2]


def test_every_capture_is_released(monkeypatch):
    stream, captures, _ = stream_of(monkeypatch, 1, 1, 1)
    shown = iter(stream)
    assert [number_of(next(shown)) for _ in range(3)] == [1, 2, 3]
    stream.close()
    assert list(shown) == []
    assert captures.released == captures.opened == 3


def test_close_ends_a_pause(monkeypatch):
    monkeypatch.setattr("workers.edge.sources.capture.open_capture", Captures(1))
    stream = LiveStream("rtsp://host/x")
    shown = iter(stream)
    next(shown)
    closing = threading.Timer(0.01, stream.close)
    closing.start()
    assert list(shown) == []
    closing.join()


def test_an_address_that_refuses_at_the_start_is_an_error(monkeypatch):
    monkeypatch.setattr("workers.edge.sources.capture.open_capture", Captures(None))
    with pytest.raises(SednaError, match=r"rtsp://\*\*\*@host/x cannot be opened"):
        LiveStream("rtsp://me:s3cret@host/x")
