"""The queue: once per key, one worker per key, later and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from controller.work_queue import Backoff, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def queue(clock: Clock | None = None) -> WorkQueue[str]:
    return WorkQueue(clock or Clock(), spread=lambda: 0.5)


class Driver:
    """Runs all waits of a test on one event loop, as the queue belongs to one."""

    runner: asyncio.Runner


@pytest.fixture(autouse=True)
def _one_loop() -> Iterator[None]:
    with asyncio.Runner() as runner:
        Driver.runner = runner
        yield


def taken(keys: WorkQueue[str], count: int) -> list[str]:
    async def take() -> list[str]:
        async with asyncio.timeout(20):
            return [await keys.take() for _ in range(count)]

    return Driver.runner.run(take())


def is_idle(keys: WorkQueue[str]) -> bool:
    async def look() -> bool:
        take = asyncio.ensure_future(keys.take())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        idle = not take.done()
        take.cancel()
        await asyncio.gather(take, return_exceptions=True)
        return idle

    return Driver.runner.run(look())


def test_a_key_added_twice_is_handled_once_and_in_order() -> None:
    keys = queue()
    for key in ("a", "b", "a"):
        keys.add(key)
    assert len(keys) == 2
    assert taken(keys, 2) == ["a", "b"]
    assert is_idle(keys)


def test_a_key_in_work_is_given_to_nobody_else_and_comes_again_when_it_is_done() -> None:
    keys = queue()
    keys.add("a")
    assert taken(keys, 1) == ["a"]
    keys.add("a")
    keys.add("a")
    assert is_idle(keys)
    keys.done("a")
    assert taken(keys, 1) == ["a"]
    keys.done("a")
    assert is_idle(keys)
    assert len(keys) == 0


def test_a_key_for_later_waits_for_its_time() -> None:
    clock = Clock()
    keys = queue(clock)
    keys.add_after("a", 5)
    keys.add_after("a", 9)  # the earlier one counts
    assert is_idle(keys)
    clock.now = 5
    assert taken(keys, 1) == ["a"]
    keys.done("a")
    clock.now = 20
    assert is_idle(keys)


def test_an_earlier_time_replaces_a_later_one_and_now_replaces_both() -> None:
    clock = Clock()
    keys = queue(clock)
    keys.add_after("a", 9)
    keys.add_after("a", 2)
    clock.now = 2
    assert taken(keys, 1) == ["a"]
    keys.done("a")
    keys.add_after("a", 3)
    keys.add("a")
    assert taken(keys, 1) == ["a"]
    keys.done("a")
    clock.now = 100
    assert is_idle(keys)


def test_a_waiting_worker_wakes_for_a_key_of_later() -> None:
    async def run() -> str:
        loop = asyncio.get_running_loop()
        keys: WorkQueue[str] = WorkQueue(loop.time)
        keys.add_after("a", 0.01)
        async with asyncio.timeout(20):
            return await keys.take()

    assert Driver.runner.run(run()) == "a"


def test_two_waiting_workers_get_two_keys() -> None:
    async def run() -> set[str]:
        keys = queue()
        workers = [asyncio.ensure_future(keys.take()) for _ in range(2)]
        await asyncio.sleep(0)
        keys.add("a")
        keys.add("b")
        async with asyncio.timeout(20):
            return set(await asyncio.gather(*workers))

    assert Driver.runner.run(run()) == {"a", "b"}


def test_a_failing_key_waits_longer_each_time_until_it_succeeds() -> None:
    keys = queue()
    backoff = Backoff(first_s=1, most_s=5)
    assert [keys.retry("a", backoff) for _ in range(4)] == [1, 2, 4, 5]
    keys.succeeded("a")
    assert keys.retry("a", backoff) == 1


def test_a_failure_of_another_kind_begins_with_its_own_first_wait() -> None:
    keys = queue()
    away, refused = Backoff(first_s=1, most_s=5), Backoff(first_s=2, most_s=60)
    for _ in range(10):
        keys.retry("a", away)
    assert [keys.retry("a", refused) for _ in range(3)] == [2, 4, 8]
    assert keys.retry("a", away) == 1


@pytest.mark.parametrize(
    ("failures", "spread", "seconds"), [(1, 0.0, 0.8), (1, 1.0, 1.2), (3, 0.5, 4.0), (60, 1.0, 72.0)]
)
def test_back_off_is_doubled_spread_and_bounded(failures: int, spread: float, seconds: float) -> None:
    assert Backoff(first_s=1, most_s=60).delay_s(failures, spread) == pytest.approx(seconds)
