"""The client's cap: every body on the wire counts, a repeated one again, and what does not fit has its cause."""

from __future__ import annotations

import asyncio

import pytest

from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.route import RetryCause
from sedna_py.client.send_cap import SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable
from sedna_py.hard_example_mining.budget_text import parse_cap
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG

BOXES = b'{"result": []}'
SETTINGS = ClientSettings(deadline_s=20.0, failure_threshold=2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(loopback, handler, scenario, cap="1 fps"):
    """Run `scenario(client, clock)` against a server made of `handler`; the cap's time stands still unless it is moved."""
    clock = Clock()

    async def main():
        async with loopback.serve(handler) as port:
            client = CloudClient(
                f"http://127.0.0.1:{port}", settings=SETTINGS, clock=clock, cap=SendCap(parse_cap(cap)) if cap else None
            )
            try:
                return await scenario(client, clock)
            finally:
                await client.aclose()

    return asyncio.run(main())


async def cause_of(client, size=5):
    try:
        await client.predict(bytes(size), JPEG)
    except CloudUnavailable as error:
        return error.cause
    return None


def serving(loopback, seen, *, after=None, arrived=None):
    async def handler(reader, writer):
        while True:
            seen.append(len((await loopback.read(reader)).body))
            if arrived is not None:
                arrived.release()
            if after is not None:
                await after.wait()
            writer.write(loopback.answer(200, BOXES))
            await writer.drain()

    return handler


def test_what_the_cap_keeps_here_is_not_sent_and_is_nobodys_fault(loopback):
    seen = []

    async def scenario(client, clock):
        causes = [await cause_of(client) for _ in range(5)]
        assert client.cap_is_full()
        clock.now += 1.1
        assert not client.cap_is_full()
        causes.append(await cause_of(client))
        assert client.breaker_state is BreakerState.CLOSED  # two failures would open it
        assert sum(client.figures().attempts.values()) == 2
        return causes

    causes = run(loopback, serving(loopback, seen), scenario)
    assert causes == [None, *[OffloadCause.OVER_CAP] * 4, None]
    assert seen == [5, 5]


def test_bytes_are_what_is_counted(loopback):
    seen = []

    async def scenario(client, clock):
        return [await cause_of(client, size) for size in (900, 1001, 200, 100, 1)]

    causes = run(loopback, serving(loopback, seen), scenario, cap="8 kbit/s")
    assert causes == [None, OffloadCause.LARGER_THAN_CAP, OffloadCause.OVER_CAP, None, OffloadCause.OVER_CAP]
    assert seen == [900, 100]


def test_the_second_begins_when_the_body_has_left_and_not_with_the_answer(loopback):
    seen, answer, arrived = [], asyncio.Event(), asyncio.Semaphore(0)

    async def scenario(client, clock):
        first = asyncio.create_task(cause_of(client))
        await arrived.acquire()
        clock.now += 1.1  # the answer is still out
        second = asyncio.create_task(cause_of(client))
        there = asyncio.create_task(arrived.acquire())
        await asyncio.wait({second, there}, return_when=asyncio.FIRST_COMPLETED)
        answer.set()
        there.cancel()
        return [await first, await second]

    handler = serving(loopback, seen, after=answer, arrived=arrived)
    assert run(loopback, handler, scenario) == [None, None]


def test_a_second_try_counts_again_and_where_it_does_not_fit_the_first_one_stands(loopback):
    """A server that cuts the second request of each connection off: a kept connection that broke is tried again."""
    seen = []

    async def handler(reader, writer):
        seen.append(len((await loopback.read(reader)).body))
        writer.write(loopback.answer(200, BOXES))
        await writer.drain()
        seen.append(len((await loopback.read(reader)).body))

    async def twice(client, clock):
        return [await cause_of(client), await cause_of(client), client.figures().retries]

    assert run(loopback, handler, twice, cap="3 fps") == [None, None, {RetryCause.CONNECTION_LOST: 1}]
    assert len(seen) == 3
    seen.clear()
    assert run(loopback, handler, twice, cap="2 fps") == [None, OffloadCause.CONNECTION_LOST, {}]
    assert len(seen) == 2


def test_what_was_never_connected_costs_nothing(loopback):
    async def scenario(client, clock):
        return [await cause_of(client) for _ in range(2)]

    async def nobody(reader, writer):
        raise AssertionError

    async def main():
        async with loopback.serve(nobody) as port:
            pass
        cap = SendCap(parse_cap("1 fps"))
        client = CloudClient(f"http://127.0.0.1:{port}", settings=SETTINGS, cap=cap)
        try:
            return await scenario(client, None)
        finally:
            await client.aclose()

    assert asyncio.run(main()) == [OffloadCause.CONNECT_FAILED] * 2


@pytest.mark.parametrize("count", [20])
def test_without_a_cap_all_is_sent(loopback, count):
    seen = []

    async def scenario(client, clock):
        assert not client.cap_is_full()
        return [await cause_of(client) for _ in range(count)]

    assert run(loopback, serving(loopback, seen), scenario, cap=None) == [None] * count
    assert seen == [5] * count
