"""Loopback servers that behave as badly as a test needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as the server saw it."""

    line: str
    headers: dict[str, str]
    body: bytes


class Loopback:
    """What the tests need of HTTP, written out."""

    @staticmethod
    async def read(reader: asyncio.StreamReader) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (item.split(":", 1) for item in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Received(line, headers, body)

    @staticmethod
    def answer(status: int = 200, body: bytes = b'{"result": []}', **headers: str) -> bytes:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    @staticmethod
    @contextlib.asynccontextmanager
    async def serve(handler: Handler, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[int]:
        """Serve on a free port; on leaving, every connection is cut."""
        tasks: set[asyncio.Task[None]] = set()

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await handler(reader, writer)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(connection, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()


@pytest.fixture
def loopback() -> type[Loopback]:
    return Loopback
