"""The connections under the cloud client, against a server that says exactly what it is told to, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import httpx
import pytest

from sedna_py.client.http_pool import HttpPool, Request
from sedna_py.local.ports import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MOST = 1_000_000
CONNECTING, BODY_LEFT, REPLY_BEGUN = "connecting", "body_left", "reply_begun"


class Heard(list):
    """A Follower that keeps what it was told."""

    def connecting(self):
        self.append(CONNECTING)

    def body_left(self):
        self.append(BODY_LEFT)

    def reply_begun(self):
        self.append(REPLY_BEGUN)


async def take(reader):
    """Return the head and the body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head, await reader.readexactly(int(size[0].split(b":")[1])) if size else b""


class Served:
    """A server whose `answer(reader, writer)` is called for each connection, until it returns; and the pool for it."""

    def __init__(self, answer, *, most_idle=4, keepalive_s=5.0, clock=None):
        self.answer = answer
        self.connections = 0
        self.connected = asyncio.Event()
        self._serving = set()
        self.pool = HttpPool(PLAIN, most_idle, keepalive_s, MOST, **({"clock": clock} if clock else {}))

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        await self.pool.aclose()
        self._server.close()
        await self._server.wait_closed()
        if self._serving:
            await asyncio.wait(self._serving, timeout=10)
        await asyncio.sleep(0)  # connections that were aborted say so in the next turn

    async def ask(self, body=b"", heard=None, *, headers=None, connect_s=None):
        """Return status and body of the reply."""
        request = Request("POST", f"{self.url}/x", headers or {}, body)
        reply = await self.pool.exchange(request, Heard() if heard is None else heard, connect_s)
        return reply.status, reply.body

    async def _serve(self, reader, writer):
        self.connections += 1
        self.connected.set()
        self._serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.answer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def run(scenario):
    async def bounded():
        async with asyncio.timeout(20):
            return await scenario()

    return asyncio.run(bounded())


async def for_ever(reader, writer):
    while True:
        await take(reader)
        writer.write(OK)


def once(reply):
    async def answer(reader, writer):
        await take(reader)
        writer.write(reply)
        await writer.drain()

    return answer


def test_a_connection_is_kept_and_each_step_is_told():
    async def scenario():
        first, second = Heard(), Heard()
        async with Served(for_ever) as server:
            assert await server.ask(b"frame", first) == (200, b"ok")
            assert await server.ask(b"frame", second) == (200, b"ok")
        return first, second, server.connections

    first, second, connections = run(scenario)
    assert first == [CONNECTING, BODY_LEFT, REPLY_BEGUN]
    assert second == [BODY_LEFT, REPLY_BEGUN]
    assert connections == 1


def test_what_idled_too_long_or_is_one_too_many_is_not_kept():
    now = [0.0]

    async def scenario():
        async with Served(for_ever, most_idle=1, keepalive_s=5, clock=lambda: now[0]) as server:
            await asyncio.gather(*(server.ask(b"1") for _ in range(3)))
            assert server.connections == 3
            await server.ask(b"2")
            assert server.connections == 3  # one of them was kept
            now[0] = 5.1
            await server.ask(b"3")
            assert server.connections == 4

    run(scenario)


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 429 Too Many\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", b"x"),
    ],
)
def test_replies_of_every_form_are_read(reply, body):
    async def scenario():
        async with Served(once(reply)) as server:
            return await server.ask(b"frame")

    assert run(scenario)[1] == body


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", httpx.RemoteProtocolError),
    ],
)
def test_what_is_no_whole_reply_is_an_error_and_its_connection_is_not_used_again(reply, error):
    async def scenario():
        async with Served(once(reply)) as server:
            for _ in range(2):
                with pytest.raises(error):
                    await server.ask(b"frame")
            assert server.connections == 2

    run(scenario)


def test_a_server_that_nobody_runs_is_a_failed_connection():
    async def scenario():
        async with Served(for_ever) as server:
            server.url = f"http://127.0.0.1:{free_port()}"
            with pytest.raises(httpx.ConnectError):
                await server.ask()
            server.url = "ftp://127.0.0.1"
            with pytest.raises(httpx.UnsupportedProtocol):
                await server.ask()

    run(scenario)


def test_a_connection_that_is_not_made_in_time_is_given_up(monkeypatch):
    async def never(*_args, **_options):
        await asyncio.Event().wait()

    async def scenario():
        async with Served(for_ever) as server:
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
            with pytest.raises(httpx.ConnectTimeout):
                await server.ask(connect_s=0.05)

    run(scenario)


def test_the_body_has_left_when_the_system_has_it_and_not_before():
    """More than a socket holds, to a server that does not read until it is told to."""
    goes_on = asyncio.Event()

    async def answer(reader, writer):
        await goes_on.wait()
        await take(reader)
        writer.write(OK)

    async def scenario():
        heard = Heard()
        async with Served(answer) as server:
            asking = asyncio.create_task(server.ask(bytes(30_000_000), heard))
            await server.connected.wait()
            await asyncio.sleep(0.05)  # for nothing to happen in
            assert heard == [CONNECTING]
            goes_on.set()
            assert await asking == (200, b"ok")
        assert heard == [CONNECTING, BODY_LEFT, REPLY_BEGUN]

    run(scenario)


def test_a_reply_that_comes_before_the_body_has_left_is_taken():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 1\r\n\r\nx")
        with contextlib.suppress(ConnectionError):
            await reader.read()

    async def scenario():
        heard = Heard()
        async with Served(answer) as server:
            assert await server.ask(bytes(30_000_000), heard) == (413, b"x")
            assert await server.ask(bytes(30_000_000)) == (413, b"x")
            assert server.connections == 2  # the rest of the first body is of no use to anybody
        assert heard[0] == CONNECTING
        assert BODY_LEFT in heard

    run(scenario)


@pytest.mark.parametrize("declared", [True, False])
def test_a_reply_that_is_too_long_comes_without_its_body_and_is_not_read_to_its_end(declared):
    written = []

    async def answer(reader, writer):
        await take(reader)
        length = b"Content-Length: 50000000" if declared else b"Connection: close"
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")
        for _ in range(50):
            writer.write(bytes(MOST))
            await writer.drain()
            written.append(MOST)

    async def scenario():
        async with Served(answer) as server:
            assert await server.ask(b"frame") == (200, None)
            assert not server.pool._in_use
            assert not server.pool._idle

    run(scenario)
    assert len(written) < 50


def test_what_comes_behind_a_reply_spoils_the_connection_and_not_the_reply():
    async def scenario():
        async with Served(once(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")) as server:
            for _ in range(2):
                assert await server.ask(b"frame") == (200, b"ok")
            assert server.connections == 2

    run(scenario)


def test_headers_are_joined_and_those_behind_the_body_are_not_among_them():
    reply = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-B: 3\r\n\r\n"

    async def scenario():
        async with Served(once(reply)) as server:
            return await server.pool.exchange(Request("GET", server.url), Heard())

    found = run(scenario)
    assert (found.header("X-A"), found.header("X-B"), found.body) == ("1, 2", "", b"")


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "\u20ac"])
def test_a_header_that_is_no_single_line_is_not_sent(value):
    async def scenario():
        async with Served(for_ever) as server:
            with pytest.raises(httpx.LocalProtocolError):
                await server.ask(b"frame", headers={"X-Frame-Id": value})
            assert server.connections == 0

    run(scenario)


def test_who_gives_up_leaves_no_connection_that_is_used_again():
    limits = []

    async def answer(reader, writer):
        await take(reader)
        writer.write(OK[:-1])
        limits[-1].reschedule(asyncio.get_running_loop().time() + 0.05)  # not before it has come so far
        await reader.read()

    async def give_up(server):
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await server.ask(b"frame")

    async def scenario():
        async with Served(answer) as server:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await give_up(server)
            assert not server.pool._in_use
            assert not server.pool._idle
            assert server.connections == 2

    run(scenario)


def test_closing_ends_what_is_under_way():
    asked = asyncio.Event()

    async def answer(reader, writer):
        await take(reader)
        asked.set()
        await reader.read()

    async def scenario():
        async with Served(answer) as server:
            asking = asyncio.create_task(server.ask(b"frame"))
            await asked.wait()
            await server.pool.aclose()
            with pytest.raises(httpx.TransportError):
                await asking

    run(scenario)


def test_of_several_large_replies_one_is_read_at_a_time_and_all_to_their_end():
    size, part = 900_000, 800_000
    goes_on = asyncio.Event()

    async def answer(reader, writer):
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(part))
        await goes_on.wait()
        writer.write(bytes(size - part))

    async def scenario():
        async with Served(answer) as server:
            asking = [asyncio.create_task(server.ask(b"frame")) for _ in range(6)]
            while len(server.pool._large._line) < 6:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)  # for nothing to happen in
            assert sum(len(connection._body) >= part for connection in server.pool._in_use) == 1
            goes_on.set()
            assert [(status, len(body)) for status, body in await asyncio.gather(*asking)] == [(200, size)] * 6

    run(scenario)


def test_who_gives_up_a_large_reply_makes_room_for_the_next():
    async def answer(reader, writer):
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(800_000))
        if await reader.read(1):  # the word of the second one
            writer.write(bytes(100_000))
        await reader.read()

    async def scenario():
        async def in_line(count):
            while len(server.pool._large._line) < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)

        async with Served(answer) as server:
            first = asyncio.create_task(server.ask(b"first"))
            await in_line(1)
            second = asyncio.create_task(server.ask(b"second"))
            await in_line(2)
            first.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await first
            (left,) = server.pool._in_use
            assert list(server.pool._large._line) == [left]
            left._transport.write(b"!")
            assert (await second)[0] == 200

    run(scenario)
