"""Answers that are good for some seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """At most so many answers; the one that was given first goes first."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._known: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept, those that are no good any more too."""
        return len(self._known)

    def get(self, key: K) -> V | None:
        """Return the answer while it is good."""
        found = self._known.get(key)
        if found is None:
            return None
        if self._clock() >= found[0]:
            del self._known[key]
            return None
        return found[1]

    def put(self, key: K, value: V, seconds: float) -> None:
        """Keep an answer for so many seconds."""
        self._known.pop(key, None)
        self._known[key] = (self._clock() + seconds, value)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
