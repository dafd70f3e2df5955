"""The end of a cloud worker: who asks during it is answered, who asks after it is refused, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from sedna_py.local.ports import free_port
from tests.workers.inference.tiny_models import save_colour_detector
from workers.cloud.drain import ClosingReplies, lame_duck_left

ROOT = Path(__file__).resolve().parents[3]
BODY = {"data": [[[255, 0, 0]] * 6] * 6}


@pytest.mark.parametrize(
    ("now", "last_asked", "left"),
    [
        pytest.param(100, 0, 2, id="never asked: the quiet time from the signal on"),
        pytest.param(101.5, 99, 0.5, id="asked before the signal"),
        pytest.param(102, 101, 1, id="asked since"),
        pytest.param(104, 104, 1, id="asked all the time: the longest time"),
        pytest.param(105, 105, 0, id="over, though asked"),
        pytest.param(103, 100.5, -0.5, id="over, quiet"),
    ],
)
def test_how_long_it_goes_on_accepting(now: float, last_asked: float, left: float) -> None:
    assert lame_duck_left(now, began=100, last_asked=last_asked, longest_s=5) == left


@pytest.mark.parametrize(
    ("draining", "own", "headers"),
    [
        pytest.param(False, [(b"a", b"1")], [(b"a", b"1")], id="not draining"),
        pytest.param(True, [(b"a", b"1")], [(b"a", b"1"), (b"connection", b"close")], id="draining"),
        pytest.param(True, [(b"Connection", b"close")], [(b"connection", b"close")], id="closed anyway"),
    ],
)
def test_replies_close_their_connection_while_draining(draining: bool, own: Any, headers: Any) -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"x"})

    async def keep(message: Any) -> None:
        sent.append(message)

    asyncio.run(ClosingReplies(app, lambda: draining)({}, None, keep))  # type: ignore[arg-type]
    assert sent[0]["headers"] == headers
    assert sent[1]["body"] == b"x"


def test_a_draining_worker_says_so_and_still_answers(serve: Callable[..., Any], model_path: str) -> None:
    from workers.inference.predictor import create_predictor

    worker = serve(create_predictor(model_path))
    assert worker.client.get("/sedna").status_code == 200
    worker.model.drain()
    for path in ("/sedna", "/readyz"):
        answer = worker.client.get(path)
        assert (answer.status_code, answer.json()["cause"]) == (503, "not_ready")
        assert (answer.headers["Retry-After"], answer.headers["Connection"]) == ("1", "close")
    for _ in range(3):
        answer = worker.predict(json=BODY)
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
    worker.wait_for(lambda: not worker.server.server_state.connections)


def test_a_request_on_a_connection_accepted_last_is_answered(serve: Callable[..., Any], model_path: str) -> None:
    from workers.inference.predictor import create_predictor

    worker = serve(create_predictor(model_path))
    with socket.create_connection(("127.0.0.1", worker.port), timeout=20) as accepted:
        asyncio.run_coroutine_threadsafe(worker.server.stop_listening(worker.listener), worker.loop).result(10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", worker.port), timeout=5)
        accepted.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert accepted.makefile("rb").read().startswith(b"HTTP/1.1 200")


# --- the whole program


class Program:
    """`python -m workers.cloud` with a small model."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        minimal = {
            "PATH": os.environ["PATH"],
            "MODEL_URL": str(save_colour_detector(folder)),
            "BIG_MODEL_BIND_IP": "127.0.0.1",
            "BIG_MODEL_BIND_PORT": str(self.port),
            **environment,
        }
        command = [sys.executable, "-m", "workers.cloud"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=minimal, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        # Made beforehand, as that takes a while, and without a connection that it would keep.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.url, timeout=5, limits=limits, trust_env=False)

    def until(self, path: str, status: int, timeout_s: float = 40.0) -> None:
        """Wait until `path` answers that status; 0 where nothing listens."""
        deadline = time.monotonic() + timeout_s
        while self.get(path) != status:
            assert time.monotonic() < deadline, f"{path} did not answer {status}"
            time.sleep(0.02)

    def get(self, path: str) -> int:
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return 0

    def signal(self, number: signal.Signals) -> float:
        """Send a signal; return the time."""
        self.process.send_signal(number)
        return time.monotonic()


@contextmanager
def program(folder: Path, **environment: str) -> Iterator[Program]:
    running = Program(folder, **environment)
    try:
        running.until("/readyz", 200)
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.process.kill()
        running.process.wait(10)
        running.client.close()


def hammer(url: str, ended: threading.Event) -> tuple[list[int], list[str]]:
    """Ask without a pause until refused; return the statuses, and what failed in any other way."""
    statuses: list[int] = []
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        while not ended.is_set():
            try:
                statuses.append(client.post("/sedna/predict", json=BODY).status_code)
            except httpx.ConnectError:
                return statuses, []
            except httpx.HTTPError as error:
                return statuses, [repr(error)]
    return statuses, []


@contextmanager
def hammering(worker: Program, clients: int) -> Iterator[list[Future[tuple[list[int], list[str]]]]]:
    """Keep that many clients asking."""
    ended = threading.Event()
    with ThreadPoolExecutor(clients) as threads:
        try:
            yield [threads.submit(hammer, worker.url, ended) for _ in range(clients)]
        finally:
            ended.set()


@pytest.mark.processes
def test_nobody_who_asks_during_the_drain_fails(tmp_path: Path) -> None:
    """Until it listens no more, every request is answered; it stops while they still come, after LAME_DUCK_S."""
    with program(tmp_path, LAME_DUCK_S="6") as worker, hammering(worker, 4) as clients:
        begun = worker.signal(signal.SIGTERM)
        worker.until("/readyz", 503)
        assert worker.get("/sedna") == 503
        found = [client.result(40) for client in clients]
        assert worker.process.wait(40) == 0
        assert time.monotonic() - begun > 5.9
    failed = [failure for _, failures in found for failure in failures]
    # One may connect between the last look at who waits and the end of listening, a few microseconds that a busy machine makes
    # longer: the kernel resets it, and no server can do anything about that.
    assert all("Connection reset" in failure for failure in failed)
    assert len(failed) <= 1
    assert {status for statuses, _ in found for status in statuses} == {200}
    assert sum(len(statuses) for statuses, _ in found) > 20


@pytest.mark.processes
def test_it_ends_early_when_nobody_asks_and_closes_idle_connections(tmp_path: Path) -> None:
    with program(tmp_path, LAME_DUCK_S="300") as worker:
        head = (
            b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", worker.port), timeout=30) as idle:
            idle.sendall(head + b'{"data": [[[255, 0, 0]]]}')
            assert idle.recv(65536).startswith(b"HTTP/1.1 200")
            begun = worker.signal(signal.SIGTERM)
            while idle.recv(65536):  # the rest of the answer, then the end, though nobody asked again
                pass
        assert worker.process.wait(30) == 0
        assert time.monotonic() - begun > 1.9


@pytest.mark.processes
@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["SIGINT", "SIGTERM twice"]
)
def test_who_is_in_a_hurry_does_not_wait(tmp_path: Path, signals: list[signal.Signals]) -> None:
    with program(tmp_path, LAME_DUCK_S="300") as worker, hammering(worker, 1) as clients:
        worker.signal(signals[0])
        if len(signals) > 1:
            worker.until("/readyz", 503)  # else the kernel might make one of the two
            worker.signal(signals[1])
        # As above; or it asked on the connection that it had when that was closed, as every idle one is.
        excused = ("Connection reset", "Server disconnected without sending a response")
        assert all(any(text in failure for text in excused) for failure in clients[0].result(30)[1])
        assert worker.process.wait(30) == 0
