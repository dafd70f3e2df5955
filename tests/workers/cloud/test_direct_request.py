"""The short way of a frame past ASGI: every form of HTTP that it has to bear, and the same answer on the long way."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sedna_py.protocol.headers import FRAME_ID
from workers.cloud.exchange import Exchange
from workers.direct_request import reply_bytes

BODY = b'{"data": [1]}'
ANSWER = b'{"result":[1]}'
LONG_DATA = list(range(60_000))  # some 350 kB of JSON: more than a connection takes before somebody reads it


class Echo:
    """Answers with what it was asked."""

    def load(self, model_url: str = "") -> None:
        """Nothing to load."""

    def predict(self, data: Any, **kwargs: Any) -> Any:
        return data


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a request came by which way."""
    seen = {"direct": 0, "asgi": 0}
    answer, asgi = Exchange.answer, Exchange.__call__

    async def note_answer(self: Exchange, request: Any) -> None:
        seen["direct"] += type(request).__name__ == "DirectRequest"
        await answer(self, request)

    async def note_asgi(self: Exchange, *asked: Any) -> None:
        seen["asgi"] += 1
        await asgi(self, *asked)

    monkeypatch.setattr(Exchange, "answer", note_answer)
    monkeypatch.setattr(Exchange, "__call__", note_asgi)
    return seen


def head(target: str = "/sedna/predict", version: str = "1.1", length: int = len(BODY), **fields: str) -> bytes:
    lines = [f"POST {target} HTTP/{version}", "Host: x", "Content-Type: application/json", f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def connect(worker: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", worker.port), timeout=20)


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def read_until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        more = connection.recv(65536)
        assert more, found
        found += more
    return found


@pytest.mark.parametrize(
    ("target", "way"),
    [
        ("/sedna/predict", "direct"),
        ("/sedna/predict?camera=1", "direct"),
        ("/sedna/pre%64ict", "asgi"),
        ("http://x/sedna/predict", "asgi"),
    ],
)
def test_every_spelling_of_the_address_is_answered(
    serve: Callable[..., Any], calls: dict[str, int], target: str, way: str
) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(head(target, X_Frame_Id="cam-7") + BODY)
        reply = read_until(connection, ANSWER).lower()
    assert reply.startswith(b"http/1.1 200 ok\r\n")
    assert b"x-frame-id: cam-7\r\n" in reply
    assert b"date: " in reply
    assert b"content-length: 14\r\n" in reply
    assert calls == {"direct": 0, "asgi": 0, way: 1}


@pytest.mark.parametrize("target", ["/sedna/predict?token=secret", "/sedna/pre%64ict?token=secret"])
def test_a_query_is_not_told_to_who_writes_logs(serve: Callable[..., Any], target: str) -> None:
    told: list[str] = []
    worker = serve(Echo(), observers=[lambda handled: told.append(handled.path)])
    with connect(worker) as connection:
        connection.sendall(head(target) + BODY)
        read_until(connection, ANSWER)
    worker.wait_for(lambda: bool(told))
    assert told == ["/sedna/predict"]


def test_a_client_that_waits_to_be_told_to_go_on_is_told(serve: Callable[..., Any], calls: dict[str, int]) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(head(Expect="100-continue"))
        assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert read_until(connection, ANSWER).startswith(b"HTTP/1.1 200")
    assert calls["direct"] == 1


def test_a_client_that_would_wait_to_be_told_to_go_on_is_refused_first(serve: Callable[..., Any]) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(head(Expect="100-continue", Content_Encoding="gzip"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 415")


@pytest.mark.parametrize(
    ("version", "fields"), [("1.0", {}), ("1.1", {"Connection": "close"})], ids=["HTTP 1.0", "close"]
)
def test_a_client_that_sends_one_request_hears_that_the_connection_ends(
    serve: Callable[..., Any], calls: dict[str, int], version: str, fields: dict[str, str]
) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(head(version=version, **fields) + BODY)
        reply = read_to_end(connection)
    assert reply.count(b"connection: close\r\n") == 1
    assert reply.endswith(ANSWER)
    assert calls["direct"] == 1


def test_a_body_in_many_pieces_is_put_together(serve: Callable[..., Any], calls: dict[str, int]) -> None:
    worker = serve(Echo())
    body = ('{"data": ' + str(LONG_DATA) + "}").encode()
    with connect(worker) as connection:
        connection.sendall(head(length=len(body)))
        for begin in range(0, len(body), 9_999):
            connection.sendall(body[begin : begin + 9_999])
        reply = read_until(connection, b",59999]}")
        connection.sendall(head() + BODY)  # and the connection reads on
        assert read_until(connection, ANSWER).startswith(b"HTTP/1.1 200")
    assert reply.endswith(('{"result":' + str(LONG_DATA).replace(" ", "") + "}").encode())
    assert calls == {"direct": 2, "asgi": 0}


def test_a_chunked_body_is_read(serve: Callable[..., Any], calls: dict[str, int]) -> None:
    worker = serve(Echo())
    begun = head().replace(b"Content-Length: 13", b"Transfer-Encoding: chunked")
    with connect(worker) as connection:
        connection.sendall(begun + b"5\r\n" + BODY[:5] + b"\r\n")
        connection.sendall(b"8\r\n" + BODY[5:] + b"\r\n0\r\n\r\n")
        assert read_until(connection, ANSWER).startswith(b"HTTP/1.1 200")
    assert calls["direct"] == 1


def test_who_leaves_in_the_middle_of_a_body_is_counted_and_holds_nothing(serve: Callable[..., Any]) -> None:
    worker = serve(Echo())
    with connect(worker) as connection:
        connection.sendall(head(length=1000) + b"x" * 10)
        worker.wait_for(lambda: len(worker.server.server_state.tasks) == 1)
    worker.wait_for(lambda: not worker.server.server_state.tasks)
    assert worker.metric("sedna_cloud_requests_total", outcome="client_disconnected") == 1


def test_an_error_that_nobody_expected_is_a_500_and_the_end_of_the_connection(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = serve(Echo())

    async def broken(self: Exchange, request: Any) -> None:
        raise ZeroDivisionError("a defect of the worker")

    monkeypatch.setattr(Exchange, "answer", broken)
    with connect(worker) as connection, caplog.at_level(logging.ERROR):
        connection.sendall(head() + BODY)
        reply = read_to_end(connection)
    assert reply.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close\r\n" in reply
    assert "a defect of the worker" in caplog.text


def test_a_stop_ends_kept_connections_after_their_reply(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    with connect(worker) as connection:
        connection.sendall(head() + BODY)
        worker.wait_for(lambda: worker.model.admission.in_flight == 1)
        worker.server.should_exit = True
        worker.wait_for(lambda: not worker.server.servers[0].is_serving())
        gate.opened.set()
        reply = read_to_end(connection)
    assert reply.startswith(b"HTTP/1.1 200")


def test_other_methods_and_addresses_go_the_long_way(serve: Callable[..., Any], calls: dict[str, int]) -> None:
    worker = serve(Echo())
    assert worker.client.get("/sedna/predict").status_code == 405
    assert worker.client.post("/other").status_code == 404
    assert worker.client.get("/sedna").status_code == 200
    assert calls == {"direct": 0, "asgi": 0}


def test_the_application_answers_without_the_workers_connections(serve: Callable[..., Any]) -> None:
    """As under another server, which knows of ASGI alone."""
    worker = serve(Echo())
    app: Any = worker.server.config.app

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/sedna/predict", json={"data": [1]}, headers={FRAME_ID: "a"})

    reply = asyncio.run_coroutine_threadsafe(ask(), worker.loop).result(20)
    assert (reply.status_code, reply.content, reply.headers["x-frame-id"]) == (200, ANSWER, "a")


def test_a_reply_as_it_is_written() -> None:
    fields = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    assert reply_bytes(429, fields, b"{}") == (
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
