"""A queue of keys: each key waits once at most, is handled by one worker at a time, and backs off when it fails."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True)
class Backoff:
    """How long a key waits after its n-th failure in a row: doubled each time, up to `most_s`, spread by a fifth."""

    first_s: float = 0.5
    most_s: float = 15.0

    def delay_s(self, failures: int, spread: float) -> float:
        """Return the wait after `failures` (>= 1) failures; `spread` is from 0 to 1."""
        wait = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return wait * (0.8 + 0.4 * spread)


class WorkQueue(Generic[K]):
    """Keys to handle, now or later; bounded by the number of different keys."""

    def __init__(self, clock: Callable[[], float], spread: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._spread = spread
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()  # those in _ready
        self._running: set[K] = set()
        self._again: set[K] = set()  # came while they were running
        self._due: dict[K, float] = {}
        self._later: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._failures: dict[K, tuple[Backoff, int]] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys are to be handled now, those in work included."""
        return len(self._ready) + len(self._running)

    def add(self, key: K) -> None:
        """Handle the key as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._changed.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Handle the key in so many seconds, or earlier if it is added earlier."""
        due = self._clock() + seconds
        if key in self._waiting or key in self._again or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key))
        self._changed.set()

    def retry(self, key: K, backoff: Backoff) -> float:
        """Handle the key again after its back-off; return the seconds. A failure of another kind begins anew."""
        before, count = self._failures.get(key, (backoff, 0))
        failures = count + 1 if before == backoff else 1
        self._failures[key] = (backoff, failures)
        delay = backoff.delay_s(failures, self._spread())
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def take(self) -> K:
        """Wait for a key and return it; the caller must call done() for it."""
        while True:
            self._promote()
            if self._ready:
                key = self._ready.popleft()
                self._waiting.discard(key)
                self._running.add(key)
                return key
            await self._wait()

    def done(self, key: K) -> None:
        """End the handling of a key; it is handled again if it was added meanwhile."""
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)

    async def _wait(self) -> None:
        self._changed.clear()
        timeout = max(0.0, self._later[0][0] - self._clock()) if self._later else None
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return
