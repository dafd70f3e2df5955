"""The client against servers on loopback, most of them bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import time

import httpx
import pytest

from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.cloud_client import CloudClient, CloudReply
from sedna_py.client.route import Route
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable, SettingsError
from sedna_py.protocol import media_types, sedna_json
from sedna_py.protocol.asleep import asleep_body
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.headers import RequestHeaders

BOXES = b'{"result": [[10, 20, 30, 40, 0.9, 1]]}'
SETTINGS = ClientSettings(deadline_s=5.0, failure_threshold=2, max_reply_bytes=100_000)


def _run(handler, loopback, scenario, settings=SETTINGS, **options):
    """Run `scenario(client)` against a server made of `handler`."""

    async def main():
        async with loopback.serve(handler) as port:
            client = CloudClient(f"http://127.0.0.1:{port}", settings=settings, **options)
            try:
                return await scenario(client)
            finally:
                await client.aclose()

    return asyncio.run(main())


async def _cause(client, **options) -> OffloadCause:
    with pytest.raises(CloudUnavailable) as caught:
        await client.predict(b"frame", media_types.JPEG, **options)
    assert str(caught.value)
    return caught.value.cause


def _always(answer, loopback, seen=None):
    async def handler(reader, writer):
        while True:
            request = await loopback.read(reader)
            if seen is not None:
                seen.append(request)
            writer.write(answer)
            await writer.drain()

    return handler


def test_an_answer_and_what_the_server_was_told(loopback):
    seen = []
    answer = loopback.answer(200, BOXES, Server_Timing="decode;dur=1.2, infer;dur=8")

    async def scenario(client):
        return await client.predict(b"frame", media_types.JPEG, frame_id="cam0-17", deadline_s=0.9)

    reply = _run(_always(answer, loopback, seen), loopback, scenario)
    assert isinstance(reply, CloudReply)
    assert reply.result == [[10, 20, 30, 40, 0.9, 1]]
    assert reply.server_timing == {"decode": 1.2, "infer": 8.0}
    assert reply.bytes_sent == 5
    assert 0 < reply.latency_s < 0.9
    (request,) = seen
    assert request.line == "POST /sedna/predict HTTP/1.1"
    assert request.body == b"frame"
    assert request.headers["content-type"] == "image/jpeg"
    assert request.headers["x-frame-id"] == "cam0-17"
    assert len(request.headers["x-request-id"]) == 32
    assert 0 < int(request.headers["x-deadline-ms"]) <= 900
    assert request.headers["accept-encoding"] == "identity"


def test_what_is_not_urgent_says_so(loopback):
    seen = []

    async def scenario(client):
        await client.predict(b"frame", media_types.JPEG)
        await client.predict(b"stored", media_types.JPEG, frame_id="cam0-17", urgent=False)

    _run(_always(loopback.answer(200, BOXES), loopback, seen), loopback, scenario)
    assert [RequestHeaders.parse(request.headers).urgent for request in seen] == [True, False]
    assert seen[1].headers["x-frame-id"] == "cam0-17"


def test_upstreams_json_body_and_reply(loopback):
    seen = []
    frame = [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]]

    async def scenario(client):
        return await client.predict(sedna_json.encode_request(frame, post_process=None), media_types.JSON)

    reply = _run(_always(loopback.answer(200, b'{"result": ["answer text"]}'), loopback, seen), loopback, scenario)
    assert reply.result == ["answer text"]
    assert json.loads(seen[0].body) == {"data": frame, "post_process": None}
    assert seen[0].headers["content-type"] == "application/json"


def test_connections_are_kept_and_ids_differ(loopback):
    ports, seen = set(), []

    async def handler(reader, writer):
        ports.add(writer.get_extra_info("peername")[1])
        await _always(loopback.answer(), loopback, seen)(reader, writer)

    async def scenario(client):
        for _ in range(5):
            await client.predict(b"frame", media_types.JPEG)

    _run(handler, loopback, scenario)
    assert len(ports) == 1
    assert len({request.headers["x-request-id"] for request in seen}) == 5


@pytest.mark.parametrize(
    ("status", "body", "cause", "state"),
    [
        (429, b"", OffloadCause.OVERLOADED, BreakerState.CLOSED),
        (503, b"", OffloadCause.OVERLOADED, BreakerState.OPEN),
        (500, b"Internal Server Error", OffloadCause.SERVER_ERROR, BreakerState.OPEN),
        (404, b'{"detail":"Not Found"}', OffloadCause.REJECTED, BreakerState.CLOSED),
        (422, b'{"detail":[]}', OffloadCause.REJECTED, BreakerState.CLOSED),
        (204, b"", OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (302, b"", OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (200, b"<html>log in</html>", OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (200, b'{"result": "text"}', OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (200, b'{"result": [NaN]}', OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (200, b"", OffloadCause.INVALID_REPLY, BreakerState.OPEN),
        (200, b'{"result": ["' + b"x" * 200_000 + b'"]}', OffloadCause.INVALID_REPLY, BreakerState.OPEN),
    ],
)
def test_bad_answers(loopback, status, body, cause, state):
    async def scenario(client):
        causes = [await _cause(client), await _cause(client)]
        return causes, client.breaker_state

    assert _run(_always(loopback.answer(status, body), loopback), loopback, scenario) == ([cause, cause], state)


def test_the_reason_of_a_rejection_is_in_the_message(loopback):
    async def scenario(client):
        with pytest.raises(CloudUnavailable, match=r"404.*no such service"):
            await client.predict(b"frame", media_types.JPEG)

    _run(_always(loopback.answer(404, b'{"detail": "no such service"}'), loopback), loopback, scenario)


def test_a_compressed_reply_is_not_unpacked(loopback):
    bomb = gzip.compress(b" " * 10_000_000)

    async def scenario(client):
        return await _cause(client)

    answer = loopback.answer(200, bomb, Content_Encoding="gzip")
    assert _run(_always(answer, loopback), loopback, scenario) is OffloadCause.INVALID_REPLY


async def _silent(reader, _writer):
    await reader.read(-1)


async def _dripping(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("handler", [_silent, _dripping])
def test_no_server_holds_a_frame_longer_than_its_deadline(loopback, handler):
    async def scenario(client):
        started = time.monotonic()
        cause = await _cause(client, deadline_s=0.15)
        return cause, time.monotonic() - started

    cause, elapsed = _run(handler, loopback, scenario)
    assert cause is OffloadCause.DEADLINE_EXCEEDED
    assert 0.1 < elapsed < 2.0


def test_an_endless_reply_is_cut_off(loopback):
    async def endless(reader, writer):
        await loopback.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            await writer.drain()

    async def scenario(client):
        return await _cause(client)

    assert _run(endless, loopback, scenario) is OffloadCause.INVALID_REPLY


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b"\x00\xff nonsense\r\n\r\n"]
)
def test_a_reply_that_breaks_off(loopback, begun):
    requests = []

    async def handler(reader, writer):
        requests.append(await loopback.read(reader))
        writer.write(begun)
        await writer.drain()

    async def scenario(client):
        return await _cause(client)

    assert _run(handler, loopback, scenario) is OffloadCause.CONNECTION_LOST
    assert len(requests) == 1


def test_refused_connections_open_the_circuit_which_then_costs_nothing():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"

        async def main():
            client = CloudClient(address, settings=SETTINGS)
            causes = [await _cause(client) for _ in range(3)]
            await client.aclose()
            return causes

        assert asyncio.run(main()) == [
            OffloadCause.CONNECT_FAILED,
            OffloadCause.CONNECT_FAILED,
            OffloadCause.CIRCUIT_OPEN,
        ]


class _Scripted(httpx.AsyncBaseTransport):
    """Answer 200 or raise, as told; count the requests."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.error:
            raise self.error
        return httpx.Response(200, content=BOXES)


def test_the_circuit_follows_the_cloud_down_and_up():
    now = [100.0]
    transport = _Scripted()

    async def main():
        client = CloudClient("http://cloud:5000", settings=SETTINGS, transport=transport, clock=lambda: now[0])
        transport.error = httpx.ConnectError("no route to host")
        assert [await _cause(client), await _cause(client)] == [OffloadCause.CONNECT_FAILED] * 2
        assert client.breaker_state is BreakerState.OPEN
        assert await _cause(client) is OffloadCause.CIRCUIT_OPEN
        assert transport.requests == 2
        now[0] += 1.0
        assert await _cause(client) is OffloadCause.CONNECT_FAILED
        assert await _cause(client) is OffloadCause.CIRCUIT_OPEN
        transport.error = None
        now[0] += 2.0
        await client.predict(b"frame", media_types.JPEG)
        assert client.breaker_state is BreakerState.CLOSED
        assert transport.requests == 4
        await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "error", [OSError("odd"), RuntimeError("odd"), UnicodeError("odd"), httpx.DecodingError("odd")]
)
def test_whatever_a_transport_raises_has_a_cause(error):
    transport = _Scripted()
    transport.error = error

    async def main():
        client = CloudClient("http://cloud:5000", settings=SETTINGS, transport=transport)
        with pytest.raises(CloudUnavailable) as caught:
            await client.predict(b"frame", media_types.JPEG)
        await client.aclose()
        return caught.value

    unavailable = asyncio.run(main())
    assert unavailable.cause in OffloadCause
    assert unavailable.__cause__ is error


@pytest.mark.parametrize("moment", ["before_answering", "after_reading"])
def test_a_pod_that_restarted_between_two_requests_costs_nothing(loopback, moment):
    """`after_reading` is the race: the old process takes the request from the kept connection and dies."""
    connections = []

    async def handler(reader, writer):
        connections.append(writer)
        old = len(connections) == 1
        await loopback.read(reader)
        writer.write(loopback.answer(200, BOXES))
        await writer.drain()
        if old and moment == "before_answering":
            return
        await loopback.read(reader)
        if not old:
            writer.write(loopback.answer(200, BOXES))
            await writer.drain()

    async def scenario(client):
        first = await client.predict(b"frame", media_types.JPEG)
        second = await client.predict(b"frame", media_types.JPEG)
        return first, second, client.breaker_state

    first, second, state = _run(handler, loopback, scenario)
    assert first.result == second.result
    assert state is BreakerState.CLOSED
    assert len(connections) == 2
    assert second.bytes_sent == (10 if moment == "after_reading" else 5)


def test_a_server_restarted_on_the_same_port_is_found_again(loopback):
    async def main():
        answer = _always(loopback.answer(200, BOXES), loopback)
        async with loopback.serve(answer) as port:
            client = CloudClient(f"http://127.0.0.1:{port}", settings=SETTINGS)
            await client.predict(b"frame", media_types.JPEG)
        async with loopback.serve(answer, port):
            reply = await client.predict(b"frame", media_types.JPEG)
        await client.aclose()
        return reply

    assert asyncio.run(main()).result


def test_a_request_is_repeated_once_at_most(loopback):
    requests = []

    async def handler(reader, writer):
        requests.append(await loopback.read(reader))
        if len(requests) == 1:
            writer.write(loopback.answer())
            await writer.drain()
            requests.append(await loopback.read(reader))

    async def scenario(client):
        await client.predict(b"frame", media_types.JPEG)
        return await _cause(client)

    assert _run(handler, loopback, scenario) is OffloadCause.CONNECTION_LOST
    assert len(requests) == 3


def test_a_reply_that_began_is_not_asked_for_again(loopback):
    requests = []

    async def handler(reader, writer):
        for answer in (loopback.answer(), b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"):
            requests.append(await loopback.read(reader))
            writer.write(answer)
            await writer.drain()

    async def scenario(client):
        await client.predict(b"frame", media_types.JPEG)
        return await _cause(client)

    assert _run(handler, loopback, scenario) is OffloadCause.CONNECTION_LOST
    assert len(requests) == 2


def test_waiting_for_a_connection_is_not_held_against_the_cloud(loopback):
    settings = SETTINGS.model_copy(update={"max_connections": 1, "failure_threshold": 2})

    async def scenario(client):
        calls = [_cause(client, deadline_s=seconds) for seconds in (0.6, 0.3, 0.3, 0.3)]
        causes = await asyncio.gather(*calls)
        return causes, client.breaker_state

    causes, state = _run(_silent, loopback, scenario, settings)
    assert causes == [OffloadCause.DEADLINE_EXCEEDED, *[OffloadCause.QUEUE_FULL] * 3]
    assert state is BreakerState.CLOSED


def test_a_process_that_stood_still_while_it_waited_for_a_place_does_not_blame_the_cloud(loopback):
    settings = SETTINGS.model_copy(update={"max_connections": 1, "failure_threshold": 1})
    arrived = asyncio.Event()

    async def handler(reader, _writer):
        await loopback.read(reader)
        arrived.set()
        await reader.read(-1)

    async def scenario(client):
        first = asyncio.create_task(client.predict(b"frame", media_types.JPEG, deadline_s=60.0))
        await arrived.wait()
        waiting = asyncio.create_task(_cause(client, deadline_s=0.05))
        await asyncio.sleep(0)  # it waits now
        time.sleep(0.1)  # noqa: ASYNC251 - the event loop hears of both of its time-outs at once
        cause = await waiting
        first.cancel()
        await asyncio.wait({first})
        return cause, client.breaker_state

    assert _run(handler, loopback, scenario, settings) == (OffloadCause.QUEUE_FULL, BreakerState.CLOSED)


def test_cancelled_calls_leave_the_circuit_as_it_was(loopback):
    arrived = asyncio.Event()

    async def handler(reader, writer):
        await loopback.read(reader)
        arrived.set()
        await reader.read(-1)

    async def cancelled(client):
        arrived.clear()
        call = asyncio.create_task(client.predict(b"frame", media_types.JPEG))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    async def scenario(client):
        for _ in range(3):
            await cancelled(client)
        return client.breaker_state

    assert _run(handler, loopback, scenario) is BreakerState.CLOSED


def test_a_cancelled_probe_lets_the_next_one_go():
    now = [100.0]
    started = asyncio.Event()
    transport = _Scripted()
    transport.error = httpx.ConnectError("no")

    async def hang(_request):
        started.set()
        await asyncio.Event().wait()

    async def main():
        client = CloudClient("http://cloud:5000", settings=SETTINGS, transport=transport, clock=lambda: now[0])
        await _cause(client)
        await _cause(client)
        now[0] += 1.0
        answer, transport.handle_async_request = transport.handle_async_request, hang
        probe = asyncio.create_task(client.predict(b"frame", media_types.JPEG))
        await started.wait()
        assert client.breaker_state is BreakerState.HALF_OPEN
        assert await _cause(client) is OffloadCause.CIRCUIT_OPEN
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        transport.handle_async_request, transport.error = answer, None
        await client.predict(b"frame", media_types.JPEG)
        assert client.breaker_state is BreakerState.CLOSED
        await client.aclose()

    asyncio.run(main())


def test_a_repeat_does_not_meet_a_second_dead_connection(loopback):
    """Two connections are kept; each dies with the next request that it is given."""
    connections = []
    both = asyncio.Event()

    async def handler(reader, writer):
        connections.append(writer)
        old = len(connections) <= 2
        if len(connections) == 2:
            both.set()
        await both.wait()
        await loopback.read(reader)
        writer.write(loopback.answer(200, BOXES))
        await writer.drain()
        if old:
            await loopback.read(reader)

    async def scenario(client):
        await asyncio.gather(*(client.predict(b"frame", media_types.JPEG) for _ in range(2)))
        return await client.predict(b"frame", media_types.JPEG)

    assert _run(handler, loopback, scenario).bytes_sent == 10
    assert len(connections) == 3


def test_a_probe_does_not_meet_a_dead_kept_connection(loopback):
    """Two connections are kept, then both go dead; one opens the circuit, and the probe must not be lost on the other."""
    now = [100.0]
    connections = []
    both = asyncio.Event()

    async def handler(reader, writer):
        connections.append(writer)
        old = len(connections) <= 2
        if len(connections) == 2:
            both.set()
        await both.wait()
        await loopback.read(reader)
        writer.write(loopback.answer())
        await writer.drain()
        if old:
            await reader.read(-1)

    async def scenario(client):
        await asyncio.gather(*(client.predict(b"frame", media_types.JPEG) for _ in range(2)))
        assert await _cause(client, deadline_s=0.1) is OffloadCause.DEADLINE_EXCEEDED
        assert client.breaker_state is BreakerState.OPEN
        now[0] += 1.0
        await client.predict(b"frame", media_types.JPEG, deadline_s=0.9)
        return client.breaker_state

    settings = SETTINGS.model_copy(update={"failure_threshold": 1})
    assert _run(handler, loopback, scenario, settings, clock=lambda: now[0]) is BreakerState.CLOSED
    assert len(connections) == 3


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan")])
def test_a_deadline_that_has_passed_asks_nobody(deadline_s):
    transport = _Scripted()

    async def main():
        client = CloudClient("http://cloud:5000", settings=SETTINGS, transport=transport)
        cause = await _cause(client, deadline_s=deadline_s)
        await client.aclose()
        return cause

    assert asyncio.run(main()) is OffloadCause.DEADLINE_EXCEEDED
    assert transport.requests == 0


def test_closing_ends_requests_on_their_way_and_refuses_later_ones(loopback):
    arrived = asyncio.Event()

    async def handler(reader, _writer):
        await loopback.read(reader)
        arrived.set()
        await reader.read(-1)

    async def scenario(client):
        call = asyncio.create_task(_cause(client))
        await arrived.wait()
        await client.aclose()
        return await call, await _cause(client), client.breaker_state

    assert _run(handler, loopback, scenario) == (OffloadCause.SHUTDOWN, OffloadCause.SHUTDOWN, BreakerState.CLOSED)


def test_fetch_infos(loopback):
    seen = []
    infos = sedna_json.service_infos("sedna")

    async def scenario(client):
        return await client.fetch_infos()

    answer = loopback.answer(200, json.dumps(infos).encode())
    assert _run(_always(answer, loopback, seen), loopback, scenario) == infos
    assert seen[0].line == "GET /sedna HTTP/1.1"


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 50_000])
def test_fetch_infos_of_something_else(loopback, body):
    async def scenario(client):
        with pytest.raises(CloudUnavailable) as caught:
            await client.fetch_infos()
        return caught.value.cause

    answer = loopback.answer(200, body)
    assert _run(_always(answer, loopback), loopback, scenario) is OffloadCause.INVALID_REPLY


def test_the_environments_proxies_are_not_used(loopback, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def scenario(client):
        return await client.predict(b"frame", media_types.JPEG)

    assert _run(_always(loopback.answer(200, BOXES), loopback), loopback, scenario).result


@pytest.mark.parametrize("address", ["", "cloud:5000", "ftp://cloud", "http://", "http://[::1", "http://cloud:port"])
def test_unusable_addresses_say_what_to_write(address):
    with pytest.raises(SettingsError, match="write http://host:port"):
        CloudClient(address)


@pytest.mark.parametrize("address", ["http://cloud:5000/", "http://[::1]:5000", "https://cloud"])
def test_prefix_and_address_make_the_path(address):
    paths = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append(str(request.url))
        return httpx.Response(200, content=BOXES)

    async def main():
        client = CloudClient(address, "/my-job/", transport=httpx.MockTransport(handle))
        await client.predict(b"frame", media_types.JPEG)
        await client.aclose()

    asyncio.run(main())
    assert paths == [address.rstrip("/") + "/my-job/predict"]


@pytest.mark.parametrize("options", [{}, {"model": "big"}], ids=["sedna", "open inference"])
def test_a_cloud_that_sleeps_is_asked_once_a_second_and_used_as_soon_as_it_wakes(loopback, options, caplog):
    """Twenty frames of a live video while it wakes: one request, no retry, and no circuit that has to cool down."""
    caplog.set_level("INFO")
    now, times = [1000.0], []
    asleep = loopback.answer(503, json.dumps(asleep_body("it wakes")).encode(), Retry_After="1", Connection="close")

    async def handler(reader, writer):
        await loopback.read(reader)
        times.append(now[0])
        writer.write(asleep if len(times) < 3 else loopback.answer(200, BOXES))
        await writer.drain()
        writer.close()

    async def scenario(client):
        client._news._said_at -= 60  # the first seconds are over
        causes = [await _cause(client) for _ in range(20)]
        assert set(causes) == {OffloadCause.CLOUD_ASLEEP}
        assert client.asleep()
        assert client.would_refuse()
        assert len(times) == 1
        while len(times) < 3:
            if client.would_refuse():
                now[0] += 0.01
                continue
            with contextlib.suppress(CloudUnavailable):
                await client.predict(b"frame", media_types.JPEG)
        return client.figures(), client.asleep(), client.breaker_state

    figures, sleeps, state = _run(handler, loopback, scenario, clock=lambda: now[0], **options)
    assert 1.5 < times[2] - times[0] < 4
    if not options:
        assert (sleeps, state) == (False, BreakerState.CLOSED)
    assert figures.attempts[Route.SERVICE, "cloud_asleep"] == 2
    assert sum(figures.retries.values()) == 0
    assert "is asleep and was asked to wake" in caplog.text
    assert "does not answer" not in caplog.text
