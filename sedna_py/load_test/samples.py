"""Percentiles of many durations in bounded memory: pure."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_SAMPLES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of `count` requests; the percentiles are exact as long as no more than MAX_SAMPLES were there."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


class Samples:
    """Durations in seconds. Beyond `limit` a uniform sample is kept of them (algorithm R: Vitter, 1985)."""

    __slots__ = ("_chance", "_kept", "_limit", "_most", "count")

    def __init__(self, seed: int, limit: int = MAX_SAMPLES) -> None:
        self._limit = limit
        self._chance = random.Random(seed)
        self._kept = array("d")
        self._most = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        """Note one."""
        self.count += 1
        if seconds > self._most:
            self._most = seconds
        if self.count <= self._limit:
            self._kept.append(seconds)
            return
        place = self._chance.randrange(self.count)
        if place < self._limit:
            self._kept[place] = seconds

    @property
    def is_sampled(self) -> bool:
        """Whether there were more than are kept."""
        return self.count > self._limit

    def latency(self) -> Latency | None:
        """Return the figures; None if there is nothing to compute them from."""
        if not self.count:
            return None
        ordered = sorted(self._kept)
        p50, p95, p99 = (percentile(ordered, share) * 1000 for share in (50, 95, 99))
        return Latency(self.count, p50, p95, p99, self._most * 1000)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the least of the ascending values that so many percent do not exceed (nearest rank: no interpolation).

    Raises ValueError without values, and for a percentage that is not from 0 to 100.
    """
    if not ordered or not 0 <= percent <= 100:
        raise ValueError("give at least one value, and a percentage from 0 to 100")
    # The product comes before the quotient, which would round 99 % of 100 values up to the last.
    rank = math.ceil(percent * len(ordered) / 100)
    return ordered[max(rank - 1, 0)]
