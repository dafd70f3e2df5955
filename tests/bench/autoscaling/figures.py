"""What is made of what was seen: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CALM_S = 20.0
"""So long nothing must be lost: only then drops have gone to zero."""


@dataclass(frozen=True)
class Look:
    """One look at an edge worker; `at` in seconds since the load began, frames counted since then by all pods together."""

    at: float
    wanted: int
    ready: int
    offered: float
    dropped: float
    usage: int | None = None  # percent of the cpu requests, as its autoscaler knows it


@dataclass(frozen=True)
class Run:
    """One load and what was lost of it; seconds since it began, infinite where it did not happen."""

    zero_drops_s: float
    lost_later: int  # of them after drops had gone to zero: a node that is busy otherwise for a moment
    scaled_s: float
    frames: int
    lost: int
    replicas: list[tuple[float, int]]
    usage_of_one: int | None  # percent of the cpu requests, the most while one pod had all the frames


@dataclass(frozen=True)
class Rise:
    """One rise of the hard frames: when the first scale-up was decided, in seconds since it began; infinite if it was not."""

    early_s: float
    queue_s: float

    @property
    def sooner_s(self) -> float:
        """Seconds by which the early warning was sooner."""
        return self.queue_s - self.early_s


def run_of(looks: Sequence[Look]) -> Run:
    """Return the figures of one load's looks, the last of which is at its end."""
    replicas: list[tuple[float, int]] = []
    for look in looks:
        if not replicas or replicas[-1][1] != look.wanted:
            replicas.append((round(look.at, 1), look.wanted))
    alone = [look.usage for look in looks if look.ready == 1 and look.usage is not None]
    calm = _calm_since(looks)
    return Run(
        zero_drops_s=math.inf if calm is None else calm.at,
        lost_later=0 if calm is None else round(looks[-1].dropped - calm.dropped),
        scaled_s=next((at for at, wanted in replicas if wanted > replicas[0][1]), math.inf),
        frames=round(looks[-1].offered),
        lost=round(looks[-1].dropped),
        replicas=replicas,
        usage_of_one=max(alone, default=None),
    )


def _calm_since(looks: Sequence[Look]) -> Look | None:
    """Return the first look after which nothing was lost for CALM_S."""
    since = looks[0]
    for look in looks:
        if look.dropped > since.dropped:
            since = look
        elif look.at - since.at >= CALM_S:
            return since
    return None


class Total:
    """The sum of counters of pods that come and go; a pod that is gone keeps what it had."""

    def __init__(self) -> None:
        self.by_pod: dict[str, tuple[float, float]] = {}

    def take(self, read: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
        """Take a reading by pod and return (offered, dropped) of all."""
        self.by_pod |= read
        return sum(offered for offered, _ in self.by_pod.values()), sum(dropped for _, dropped in self.by_pod.values())


def seconds(value: float) -> str:
    """Return a time as it is printed."""
    return f"{value:.0f} s" if math.isfinite(value) else "never"


def ratio(ours: float, theirs: float) -> str:
    """Return ours over theirs as it is printed; a dash where there is none."""
    if not math.isfinite(ours) or theirs <= 0:
        return "-"
    return f"{ours / theirs:.2f}" if math.isfinite(theirs) else "0"
