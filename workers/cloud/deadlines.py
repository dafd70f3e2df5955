"""One timer for the deadlines of all requests.

A timer for each request costs an event loop on libuv two system handles and two takes of the interpreter's lock, for something
that hardly ever happens.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

STEP_S: Final = 0.005  # a deadline is noticed at most two of these late

Expire = Callable[[], object]


class DeadlineBook:
    """Who is to be told when; in steps, so that what is done with leaves nothing behind. Pure."""

    def __init__(self) -> None:
        self._steps: dict[int, set[Expire]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._steps.values()))

    def enter(self, deadline: float, expire: Expire) -> int:
        """Note a deadline (seconds of any clock) and a callable that is its alone; returns its step."""
        step = math.ceil(deadline / STEP_S)
        self._steps.setdefault(step, set()).add(expire)
        return step

    def strike(self, step: int, expire: Expire) -> None:
        """Forget it; one that is over is forgotten already."""
        waiting = self._steps.get(step)
        if waiting is not None:
            waiting.discard(expire)
            if not waiting:
                del self._steps[step]

    def pop_due(self, now: float) -> list[Expire]:
        """Take out and return all whose deadline is over."""
        last = math.floor(now / STEP_S)
        return [expire for step in sorted(self._steps) if step <= last for expire in self._steps.pop(step)]

    @property
    def first(self) -> float | None:
        """When the next one is over; None if there is none."""
        return min(self._steps) * STEP_S if self._steps else None


class Entry:
    """A context in which a deadline stands in the book. (A generator would cost each request four calls more.)"""

    __slots__ = ("_book", "_deadline", "_expire", "_step")

    def __init__(self, book: DeadlineBook, deadline: float, expire: Expire) -> None:
        self._book = book
        self._deadline = deadline
        self._expire = expire

    def __enter__(self) -> None:
        self._step = self._book.enter(self._deadline, self._expire)

    def __exit__(self, *_: object) -> None:
        self._book.strike(self._step, self._expire)


class Deadlines:
    """A DeadlineBook on the running event loop's clock. For one event loop."""

    def __init__(self) -> None:
        self._book = DeadlineBook()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def calling(self, deadline: float, expire: Expire) -> Entry:
        """Return a context: `expire` is called once if it is not left by the deadline, at most twice STEP_S after it."""
        if deadline < self._rings_at:
            self._ring_at(deadline)
        return Entry(self._book, deadline, expire)

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = asyncio.get_running_loop().call_at(when + STEP_S, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_at = None, math.inf
        for expire in self._book.pop_due(asyncio.get_running_loop().time()):
            expire()
        if (first := self._book.first) is not None:
            self._ring_at(first)
