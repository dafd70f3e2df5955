"""Connections over many requests: kept while they are used, closed when they idle, and each reply in one piece."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

KEEP_ALIVE_S = 2  # longer than a busy machine holds up somebody who asks all the time
ASK = b'POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"data": [1]}'


class Echo:
    """Answers at once with what it was asked."""

    def load(self, model_url: str = "") -> None:
        """Nothing to load."""

    def predict(self, data: Any, **kwargs: Any) -> Any:
        return data


@pytest.fixture
def short_keep_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.cloud.server.KEEP_ALIVE_S", KEEP_ALIVE_S)


def connect(worker: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", worker.port), timeout=20)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(ASK)
    return connection.recv(65536)


@pytest.mark.usefixtures("short_keep_alive")
def test_a_connection_that_idles_is_closed_and_one_that_is_used_is_not(serve: Callable[..., Any]) -> None:
    worker = serve(Echo())
    with connect(worker) as idle, connect(worker) as used:
        begun = time.monotonic()
        assert ask(idle).startswith(b"HTTP/1.1 200")
        answered = time.monotonic()
        while time.monotonic() - begun < 2.5 * KEEP_ALIVE_S:
            assert ask(used).startswith(b"HTTP/1.1 200")
        assert idle.recv(1) == b""  # closed by the server
        assert time.monotonic() - answered >= KEEP_ALIVE_S
        last = time.monotonic()  # the server counts from its reply, which is here a moment later
        assert ask(used).startswith(b"HTTP/1.1 200")
        assert used.recv(1) == b""
        assert KEEP_ALIVE_S <= time.monotonic() - last < 20


@pytest.mark.usefixtures("short_keep_alive")
def test_a_connection_whose_request_takes_longer_than_it_may_idle_is_kept(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    gate.opened.set()
    with connect(worker) as connection, ThreadPoolExecutor(1) as opener:
        assert ask(connection).startswith(b"HTTP/1.1 200")
        gate.opened.clear()
        connection.sendall(ASK)
        opening = opener.submit(lambda: (time.sleep(3 * KEEP_ALIVE_S), gate.opened.set()))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        opening.result(20)


@pytest.mark.usefixtures("short_keep_alive")
def test_a_connection_idles_after_the_rest_of_a_request_that_was_refused_by_its_head(
    serve: Callable[..., Any], gate: Any
) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    with connect(worker) as busy, connect(worker) as refused:
        busy.sendall(ASK)
        worker.wait_for(lambda: worker.model.admission.in_flight == 1)
        refused.sendall(ASK[:-5])
        assert refused.recv(65536).startswith(b"HTTP/1.1 429")
        refused.sendall(ASK[-5:])
        assert refused.recv(1) == b""
        gate.opened.set()
        assert busy.recv(65536).startswith(b"HTTP/1.1 200")


def test_head_and_body_of_a_reply_come_in_one_piece(serve: Callable[..., Any]) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        for _ in range(30):
            assert ask(connection).endswith(b'\r\n\r\n{"result":[1]}')


def test_requests_that_come_before_the_last_reply_are_answered_in_turn(serve: Callable[..., Any]) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(ASK * 5)
        replies = b""
        while replies.count(b'{"result":[1]}') < 5:
            more = connection.recv(65536)
            assert more, replies
            replies += more
    assert replies.count(b"HTTP/1.1 200") == 5
