"""A load generator that costs little processor time: prepared requests over kept connections, in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

LATE_S = 30.0


def request_bytes(path: str, media_type: str, body: bytes) -> bytes:
    """Return a whole POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> None:
        """Send one request and read its answer. Raises RuntimeError for any status but 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the worker answered {lines[0].decode()}: {body[:200]!r}")

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> float:
    """Return answers/s while each of `clients` sends its next request as soon as the last one is answered."""
    connections = await _connect(port, clients)
    begun = time.perf_counter()
    answered = 0

    async def go_on(number: int, connection: Connection) -> None:
        nonlocal answered
        while time.perf_counter() - begun < seconds:
            await connection.ask(requests[(number + answered) % len(requests)])
            answered += 1

    async with asyncio.timeout(seconds + LATE_S):
        await asyncio.gather(*(go_on(number, connection) for number, connection in enumerate(connections)))
    spent = time.perf_counter() - begun
    for connection in connections:
        connection.close()
    return answered / spent


async def open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> list[float]:
    """Return milliseconds from when each request was due to its answer; due at even distances, answered or not."""
    idle = asyncio.LifoQueue[Connection]()
    opened: list[Connection] = []
    spent: list[float] = []

    async def one(due: float, request: bytes) -> None:
        if idle.empty():
            opened.extend(await _connect(port, 1))
            idle.put_nowait(opened[-1])
        connection = await idle.get()
        await connection.ask(request)
        spent.append((time.perf_counter() - due) * 1000)
        idle.put_nowait(connection)

    begun = time.perf_counter()
    async with asyncio.timeout(seconds + LATE_S), asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(one(due, requests[number % len(requests)]))
    for connection in opened:
        connection.close()
    return spent


async def _connect(port: int, count: int) -> list[Connection]:
    return [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(count)]
