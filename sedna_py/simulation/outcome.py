"""What a simulation comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from sedna_py.api.child_names import Role

_DIGITS = 3


@dataclass(eq=False)
class Outcome:
    """Counts by cause, latencies in seconds, and replicas: (since when, how many) of each worker."""

    seconds: float
    straight: bool  # requests to the cloud worker, without an edge
    arrived: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # by whose it was
    lost: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    total_s: list[float] = field(default_factory=list)
    cloud_s: list[float] = field(default_factory=list)
    drops: list[float] = field(default_factory=list)  # when something was lost, or kept the edge's answer
    replicas: dict[Role, list[tuple[float, int]]] = field(default_factory=dict)

    def answer(self, whose: str, took_s: float) -> None:
        """Note an answer."""
        self.answers[whose] += 1
        self.total_s.append(took_s)

    def lose(self, cause: str, now: float) -> None:
        """Note a frame or request without an answer."""
        self.lost[cause] += 1
        self.drops.append(now)

    def fall_back(self, cause: str, now: float) -> None:
        """Note a hard frame that keeps the edge's answer."""
        self.fallbacks[cause] += 1
        self.drops.append(now)

    def mean_replicas(self, role: Role) -> float:
        """Return how many there were to be, on the average over time."""
        history = self.replicas[role]
        ends = [*(at for at, _ in history[1:]), self.seconds]
        spent = sum(
            (min(end, self.seconds) - min(at, self.seconds)) * count
            for (at, count), end in zip(history, ends, strict=True)
        )
        return spent / self.seconds if self.seconds else float(history[0][1])

    def most_replicas(self, role: Role) -> int:
        """Return the highest number there was to be."""
        return max(count for _, count in self.replicas[role])

    def as_json(self) -> dict[str, Any]:
        """Return all of it, times in seconds and latencies in milliseconds."""
        return {
            "seconds": round(self.seconds, _DIGITS),
            "arrived": self.arrived,
            "answers": dict(self.answers),
            "lost": dict(self.lost),
            "fallbacks": dict(self.fallbacks),
            "latency_ms": _percentiles(self.total_s),
            "cloud_ms": _percentiles(self.cloud_s),
            "replicas": {
                role.value: {
                    "mean": round(self.mean_replicas(role), _DIGITS),
                    "most": self.most_replicas(role),
                    "changes": [[round(at, _DIGITS), count] for at, count in history],
                }
                for role, history in self.replicas.items()
            },
        }


def steps(history: list[tuple[float, int]], end: float) -> list[tuple[float, float]]:
    """Return the corners of a line of steps, for a plot."""
    corners = [(at, float(count)) for at, count in history]
    turned = [corner for before, after in pairwise(corners) for corner in (before, (after[0], before[1]))]
    return [*turned, corners[-1], (end, corners[-1][1])]


def percentile(seconds: list[float], percent: float) -> float | None:
    """Return a percentile in milliseconds, None of nothing."""
    return float(np.percentile(seconds, percent)) * 1000 if seconds else None


def _percentiles(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    found = {f"p{percent}": percentile(seconds, percent) for percent in (50, 95)}
    return {name: round(value, _DIGITS) for name, value in found.items() if value is not None}
