"""Pods on loopback addresses, each of which can go wrong while a test looks on, and the DNS that names them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from sedna_py.client.cloud_client import CloudClient, CloudReply
from sedna_py.client.pod_lookup import PodSource
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable
from sedna_py.protocol.media_types import JPEG

PATIENCE_S = 10.0
BOXES = b'{"result": [[10, 20, 30, 40, 0.9, 1]]}'


class PlayedPod:
    """An HTTP server on an address of its own. `mode`: ok, drain, not_ready, overloaded, silent, slow, or breaks.

    `breaks` ends the connection instead of answering a prediction.
    """

    def __init__(self, host: str = "127.0.0.1", mode: str = "ok") -> None:
        self.host = host
        self.mode = mode
        self.port = 0
        self.delay_s = 0.02  # of a slow one
        self.predictions = 0
        self.answered = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    async def start(self) -> PlayedPod:
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def kill(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(asyncio.current_task())

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        await reader.readexactly(length)
        predicts = head.startswith("post")
        self.predictions += predicts
        status, body = 200, BOXES
        if self.mode == "silent":
            await asyncio.Event().wait()
        if self.mode == "breaks" and predicts:
            return False
        if self.mode == "slow":
            await asyncio.sleep(self.delay_s)
        if self.mode == "not_ready" or (self.mode == "drain" and not predicts):
            status, body = 503, json.dumps({"detail": "not now", "cause": "not_ready"}).encode()
        if self.mode == "overloaded" and predicts:
            status, body = 429, b'{"cause": "overloaded"}'
        closing = self.mode == "drain"
        self.answered += predicts and status == 200
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s"
            % (status, len(body), b"Connection: close\r\n" if closing else b"", body)
        )
        await writer.drain()
        return not closing


class Names:
    """DNS: `addresses` is what it answers; an exception is raised instead."""

    def __init__(self, addresses: list[str] | Exception) -> None:
        self.addresses = addresses
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return list(self.addresses)


@contextlib.asynccontextmanager
async def pods(*modes: str) -> AsyncIterator[list[PlayedPod]]:
    """Start one pod a mode, on 127.0.0.2 and so on."""
    started = [await PlayedPod(f"127.0.0.{number}", mode).start() for number, mode in enumerate(modes, start=2)]
    try:
        yield started
    finally:
        for pod in started:
            await pod.kill()


@contextlib.asynccontextmanager
async def client_of(
    service: PlayedPod | str, names: Callable[[str, int], list[str]] | None, **settings: float
) -> AsyncIterator[CloudClient]:
    """Make a client of a service address and what DNS says of its pods."""
    root = service if isinstance(service, str) else f"http://{service.address}"
    source = PodSource("app-cloud-pods.test", 5000, names) if names else None
    client = CloudClient(root, settings=ClientSettings(**settings), pods=source)
    await client.start()
    try:
        yield client
    finally:
        await client.aclose()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail loudly if it does not come true."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE_S} s in vain for {what}") from None


async def ready(client: CloudClient, count: int) -> None:
    """Wait until so many pods may get requests."""
    await until(lambda: client.figures().pods["ready"] == count, f"{count} ready pods: {client.figures()}")


async def ask(client: CloudClient, count: int, at_once: int = 8) -> list[CloudReply | CloudUnavailable]:
    """Make `count` requests, `at_once` at a time; return the replies and what was raised."""
    left, results = iter(range(count)), []

    async def worker() -> None:
        for _ in left:
            try:
                results.append(await client.predict(b"frame", JPEG))
            except CloudUnavailable as error:
                results.append(error)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return results


def failures(results: list[CloudReply | CloudUnavailable]) -> list[str]:
    return [str(result) for result in results if isinstance(result, CloudUnavailable)]
