"""A loopback server that plays what a test needs, and a picture as small as one can be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
JPEG = b"\xff\xd8\xff\xe0 picture \xff\xd9"


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Return request line, headers with their names in lower case, and body."""
    line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (item.split(":", 1) for item in rest)}
    return line, headers, await reader.readexactly(int(headers["content-length"]))


def answer(status: int = 200, body: bytes = b'{"result": []}', more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Played:
    """A server whose replies are given: bytes, or a coroutine function that takes reader and writer instead."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self._news = asyncio.Event()

    async def asked(self, count: int) -> None:
        """Return when so many requests have come."""
        while len(self.requests) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)

    @contextlib.asynccontextmanager
    async def serve(self, reply: bytes | Callable[[int], bytes] | Handler) -> AsyncIterator[Played]:
        """Serve on a free port; a function of one argument gets the number of the request, from 0."""

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.tasks.add(asyncio.current_task())
            self.connections += 1
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if asyncio.iscoroutinefunction(reply):
                    await reply(reader, writer)
                else:
                    while True:
                        self.requests.append(await read_request(reader))
                        self._news.set()
                        writer.write(reply(len(self.requests) - 1) if callable(reply) else reply)
            writer.transport.abort()

        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await server.wait_closed()
            self.tasks.clear()


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def jpeg() -> bytes:
    return JPEG


@pytest.fixture
def written() -> Callable[..., bytes]:
    """Return written(status, body, more) -> a reply with a length."""
    return answer


@pytest.fixture
def taken() -> Callable[[asyncio.StreamReader], Awaitable[tuple[str, dict[str, str], bytes]]]:
    """Return taken(reader) -> the next request."""
    return read_request
