"""Workers that answer well, badly or not at all, over real sockets on loopback."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from controller.metrics_api.scrape_connection import MOST_BYTES
from controller.metrics_api.scraper import Scraper
from controller.metrics_api.worker_pods import WorkerKey, WorkerPod
from controller.store import ServiceKey
from sedna_py.api.child_names import Role
from tests.controller.fakes import until

PAGE = b'{"told": 1}'
Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def pod(address: str = "127.0.0.1") -> WorkerPod:
    return WorkerPod(f"uid-{address}", address, WorkerKey(ServiceKey("shop", "helmet"), Role.CLOUD), address, True, {})


def page(body: bytes = PAGE, head: str = "HTTP/1.1 200 OK") -> bytes:
    return f"{head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Workers:
    """A server on all of loopback's addresses; each connection's requests are answered by `answer`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.pages: list[tuple[str, bytes]] = []
        self.outcomes: Counter[str] = Counter()
        self.usable = True
        self._served: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Workers:
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.scraper = Scraper(self._take, self._count, port=port, clock=lambda: asyncio.get_running_loop().time())
        self._task = asyncio.create_task(self.scraper.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._server.close()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _take(self, uid: str, body: bytes, asked_at: float) -> bool:
        self.pages.append((uid, body))
        return self.usable

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                await self._answer(head, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def always(answer: bytes) -> Answer:
    async def write(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return write


def with_workers(answer: Answer, scenario: Callable[[Workers], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Workers(answer) as workers:
            await scenario(workers)

    asyncio.run(main())


def test_a_worker_is_asked_again_and_again_over_one_connection():
    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["ok"] == 3, 10)
        assert workers.connections == 1
        assert workers.requests[0].startswith(b"GET /signals HTTP/1.1\r\nHost: 127.0.0.1:")
        assert workers.pages == [("uid-127.0.0.1", PAGE)] * 3
        workers.scraper.follow([])
        assert len(workers.scraper) == 0

    with_workers(always(page()), scenario)


def test_a_page_that_cannot_be_used_is_counted_as_that():
    async def scenario(workers: Workers) -> None:
        workers.usable = False
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["malformed"] == 1)
        assert workers.outcomes["ok"] == 0

    with_workers(always(page()), scenario)


def test_an_answer_may_come_in_pieces_and_end_with_its_connection():
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in (b"HTTP/1.0 200", b" OK\r\n", b"X: y\r\n\r\n", PAGE[:3], PAGE[3:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()

    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["ok"] == 2, 10)
        assert workers.connections == 2
        assert workers.pages[0][1] == PAGE

    with_workers(answer, scenario)


def test_a_connection_that_was_closed_while_it_rested_costs_no_value():
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(page())
        await writer.drain()
        writer.close()

    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["ok"] == 2, 10)
        assert workers.outcomes.keys() == {"ok"}

    with_workers(answer, scenario)


def test_a_worker_without_the_short_page_is_asked_for_the_long_one():
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(page(b"counters") if b"/metrics" in head else page(b"?", "HTTP/1.1 404 Not Found"))

    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["ok"] == 2, 10)
        assert workers.outcomes.keys() == {"ok"}
        assert [head.split()[1] for head in workers.requests[:3]] == [b"/signals", b"/metrics", b"/metrics"]

    with_workers(answer, scenario)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (page(head="HTTP/1.1 500 No"), "refused"),
        (page(head="HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/"), "refused"),
        (page(head="HTTP/1.1 404 Not Found"), "not_found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_BYTES + 1), "too_large"),
        (b"x" * 20_000, "malformed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "malformed"),
        (page() + b"more", "malformed"),
    ],
)
def test_what_is_no_page_is_counted_by_what_it_was(answer, outcome):
    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes[outcome] == 1)
        assert workers.pages == []
        assert workers.outcomes.keys() == {outcome}

    with_workers(always(answer), scenario)


def test_ten_megabytes_are_cut_off():
    sent = 0

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(160):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod()])
        await until(lambda: workers.outcomes["too_large"] == 1)
        assert sent < 10_000_000

    with_workers(answer, scenario)


def test_a_slow_worker_harms_only_itself():
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"127.0.0.9:" in head:
            await asyncio.sleep(60)
        writer.write(page())

    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod("127.0.0.9"), *(pod(f"127.0.1.{n}") for n in range(1, 21))])
        await until(lambda: workers.outcomes["timed_out"] == 2, 10)
        read = Counter(uid for uid, _ in workers.pages)
        assert "uid-127.0.0.9" not in read
        assert len(read) == 20
        assert all(count >= 2 for count in read.values())
        assert workers.outcomes.keys() == {"ok", "timed_out"}

    with_workers(answer, scenario)


def test_addresses_where_nobody_is_are_unreachable():
    async def scenario(workers: Workers) -> None:
        workers.scraper.follow([pod("no address")])
        await until(lambda: workers.outcomes["unreachable"] == 1)
        assert workers.outcomes.keys() == {"unreachable"}

    with_workers(always(page()), scenario)


def test_a_pod_with_another_address_is_asked_there():
    async def scenario(workers: Workers) -> None:
        first = pod("127.0.0.5")
        moved = WorkerPod(first.uid, first.name, first.worker, "127.0.0.6", True, {})
        workers.scraper.follow([first])
        await until(lambda: workers.outcomes["ok"] == 1)
        workers.scraper.follow([moved])
        await until(lambda: workers.outcomes["ok"] == 2)
        hosts = [head.split(b"Host: ")[1].split(b":")[0] for head in workers.requests]
        assert hosts == [b"127.0.0.5", b"127.0.0.6"]

    with_workers(always(page()), scenario)
