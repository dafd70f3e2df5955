"""The transport under the cloud client, against a server that says exactly what it is told to, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import httpx
import pytest

from sedna_py.client import http_connection
from sedna_py.client.http_transport import BODY_LEFT, CONNECTING, REPLY_BEGUN, HttpTransport
from sedna_py.local.ports import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def take(reader):
    """Return the head and the body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head, await reader.readexactly(int(size[0].split(b":")[1])) if size else b""


class Served:
    """A server whose `answer(reader, writer)` is called for each connection, until it returns; and the transport to it."""

    def __init__(self, answer, *, most_idle=4, keepalive_s=5.0, clock=None):
        self.answer = answer
        self.connections = 0
        self.connected = asyncio.Event()
        self._serving = set()
        self.transport = HttpTransport(PLAIN, most_idle, keepalive_s, **({"clock": clock} if clock else {}))

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        await self.transport.aclose()
        self._server.close()
        await self._server.wait_closed()
        if self._serving:
            await asyncio.wait(self._serving, timeout=10)
        await asyncio.sleep(0)  # connections that were aborted say so in the next turn

    async def ask(self, body=b"", heard=None, **extensions):
        """Return status and body of the reply."""
        notify = heard.append if heard is not None else lambda _: None
        request = httpx.Request("POST", f"{self.url}/x", content=body, extensions={"notify": notify, **extensions})
        response = await self.transport.handle_async_request(request)
        try:
            return response.status_code, b"".join([chunk async for chunk in response.stream])
        finally:
            await response.aclose()

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
        first, second = [], []
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
                await server.ask(timeout={"connect": 0.05})

    run(scenario)


def test_the_body_has_left_when_the_system_has_it_and_not_before():
    """More than a socket holds, to a server that does not read until it is told to."""
    goes_on = asyncio.Event()

    async def answer(reader, writer):
        await goes_on.wait()
        await take(reader)
        writer.write(OK)

    async def scenario():
        heard = []
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
        heard = []
        async with Served(answer) as server:
            assert await server.ask(bytes(30_000_000), heard) == (413, b"x")
            assert await server.ask(bytes(30_000_000)) == (413, b"x")
            assert server.connections == 2  # the rest of the first body is of no use to anybody
        assert heard[0] == CONNECTING
        assert BODY_LEFT in heard

    run(scenario)


def test_a_long_reply_waits_in_the_server_until_it_is_read():
    size = 50_000_000

    async def answer(reader, writer):
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 1_000_000):
            writer.write(bytes(1_000_000))
            await writer.drain()

    async def scenario():
        async with Served(answer) as server:
            request = httpx.Request("POST", f"{server.url}/x", content=b"frame")
            response = await server.transport.handle_async_request(request)
            (connection,) = server.transport._in_use
            await asyncio.sleep(0.1)
            assert connection._unread <= 2 * http_connection._UNREAD_BYTES
            assert sum([len(chunk) async for chunk in response.stream]) == size
            await response.aclose()

    run(scenario)


def test_who_gives_up_or_reads_half_leaves_no_connection_that_is_used_again():
    async def answer(reader, writer):
        await take(reader)
        writer.write(OK[:-1])
        await reader.read()

    async def scenario():
        async with Served(answer) as server:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await server.ask(b"frame")
            request = httpx.Request("POST", f"{server.url}/x", content=b"frame")
            await (await server.transport.handle_async_request(request)).aclose()
            assert not server.transport._in_use
            assert not server.transport._idle
            assert server.connections == 3

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
            await server.transport.aclose()
            with pytest.raises(httpx.TransportError):
                await asking

    run(scenario)
