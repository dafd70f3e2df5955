"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def first_of(*waits: Callable[[], Awaitable[Any]] | asyncio.Task[Any]) -> None:
    """Return when the first of them ends, however it ends; a task goes on, what a function began is cancelled."""
    begun = [asyncio.ensure_future(wait()) for wait in waits if not isinstance(wait, asyncio.Task)]
    tasks = [wait for wait in waits if isinstance(wait, asyncio.Task)]
    try:
        await asyncio.wait([*begun, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in begun:
            wait.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
