"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio

import pytest

from controller.tasks import first_of


def test_it_returns_with_the_first_and_ends_what_it_began() -> None:
    async def main() -> None:
        stop, never = asyncio.Event(), asyncio.Event()
        before = asyncio.all_tasks()
        stop.set()
        async with asyncio.timeout(1):
            await first_of(stop.wait, never.wait)
        assert asyncio.all_tasks() == before

    asyncio.run(main())


def test_a_task_goes_on_and_its_failure_is_its_own() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def main() -> None:
        never = asyncio.Event()
        slow = asyncio.create_task(never.wait())
        failing = asyncio.create_task(fail())
        async with asyncio.timeout(1):
            await first_of(never.wait, slow, failing)
        assert not slow.done()
        with pytest.raises(ValueError, match="mine"):
            await failing
        slow.cancel()

    asyncio.run(main())


def test_what_it_began_is_ended_when_it_is_cancelled_itself() -> None:
    async def main() -> None:
        never = asyncio.Event()
        task = asyncio.create_task(never.wait())
        waiting = asyncio.create_task(first_of(never.wait, task))
        await asyncio.sleep(0)
        begun = asyncio.all_tasks() - {waiting, task, asyncio.current_task()}
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert all(each.cancelled() for each in begun)
        assert not task.done()
        task.cancel()

    asyncio.run(main())


def test_a_failure_of_what_it_began_ends_the_wait_without_noise() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def main() -> None:
        async with asyncio.timeout(1):
            await first_of(asyncio.Event().wait, fail)

    asyncio.run(main())
