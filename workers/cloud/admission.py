"""How many requests the model works on, how many wait, and how many bytes they hold: all bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sedna_py.errors import SednaError


class Refused(SednaError):
    """There is no room now; the caller may try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Admission:
    """`concurrency` requests in the model and `waiting` in line, first come first served; one more is refused at once."""

    def __init__(self, concurrency: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._most_waiting = waiting
        self.in_flight = 0
        self.waiting = 0

    async def enter(self) -> None:
        """Take a slot, waiting in line for it. Raises Refused if the line is full. Pair with `leave`."""
        if self._slots.locked():
            if self.waiting >= self._most_waiting:
                raise Refused(f"{self.waiting} requests are waiting already")
            self.waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self.waiting -= 1
        else:
            await self._slots.acquire()
        self.in_flight += 1

    def leave(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1
        self._slots.release()


class ByteBudget:
    """Bounds the memory that all request bodies together may take."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    @contextmanager
    def account(self) -> Iterator[Account]:
        """Open an account for one request; what it took is given back at the end."""
        account = Account(self)
        try:
            yield account
        finally:
            self.used -= account.taken

    def take(self, count: int) -> None:
        """Use `count` bytes more. Raises Refused when that is too much."""
        if self.used + count > self._limit:
            raise Refused(f"the requests under way hold {self.used} bytes already")
        self.used += count


class Account:
    """What one request has taken of the budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.taken = 0

    def take(self, count: int) -> None:
        """Use `count` bytes more. Raises Refused when that is too much."""
        self._budget.take(count)
        self.taken += count
