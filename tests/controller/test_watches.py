"""The framework shares the event loop with us and clears it up when it ends."""

from __future__ import annotations

import asyncio

from kopf._cogs.aiokits import aiotasks

from controller.watches import _NotTheFrameworks


def test_the_framework_ends_its_own_tasks_and_no_other() -> None:
    async def ours() -> None:
        await asyncio.Event().wait()

    async def run() -> list[bool]:
        tasks = [asyncio.create_task(ours()), asyncio.create_task(aiotasks.guard(ours(), name="theirs"))]
        await asyncio.sleep(0)  # both have begun
        ended = await aiotasks.all_tasks(ignored=_NotTheFrameworks())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [task in ended for task in tasks]

    assert asyncio.run(run()) == [False, True]
