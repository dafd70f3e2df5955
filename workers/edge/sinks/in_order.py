"""Puts results that finish out of order back into their order, holding a bounded number of them: pure."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """Items leave in the order of their sequence numbers 0, 1, 2, ...; when `limit` wait for a missing one, it is given up.

    An item that comes after it was given up is left out and counted in `late`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 0
        self._held: dict[int, T] = {}
        self.late = 0

    def push(self, number: int, item: T) -> list[T]:
        """Add an item; return those whose turn has come."""
        if number < self._next:
            self.late += 1
            return []
        self._held[number] = item
        if len(self._held) > self._limit:
            self._next = min(self._held)
        return self._ready()

    def flush(self) -> list[T]:
        """Return all that is left, in order."""
        left = [self._held[number] for number in sorted(self._held)]
        self._held.clear()
        return left

    def _ready(self) -> list[T]:
        ready = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next))
            self._next += 1
        return ready
