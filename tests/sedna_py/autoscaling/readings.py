"""Readings of workers that were never there."""

from __future__ import annotations

import random
from dataclasses import replace

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names

BUCKETS = len(names.STAGE_BUCKETS_S) + 1

START = Snapshot(
    at=100.0,
    began=1_700_000_000.0,
    offered=1000.0,
    done=900.0,
    dropped=90.0,
    present_s=50.0,
    waiting_s=10.0,
    busy_s=30.0,
    streams=2.0,
    latency=(6.0,) * BUCKETS,
)


def after(earlier: Snapshot, span_s: float, latency: tuple[float, ...] = (), **gained: float) -> Snapshot:
    """Return a reading `span_s` later, with so much more of each total; `latency` has what each bucket gained alone."""
    totals = {name: getattr(earlier, name) + more for name, more in gained.items()}
    sums = [sum(latency[: i + 1]) for i in range(len(latency))] or [0.0] * len(earlier.latency)
    cumulative = tuple(before + more for before, more in zip(earlier.latency, sums, strict=True))
    return replace(earlier, at=earlier.at + span_s, latency=cumulative, **totals)


def random_gain(dice: random.Random) -> dict[str, float]:
    """Return what a worker may have counted meanwhile; often nothing of a kind."""

    def some(most: float) -> float:
        return dice.choice((0.0, dice.uniform(0, most)))

    return {
        "offered": some(1e6),
        "done": some(1e6),
        "dropped": some(1e6),
        "present_s": some(1e4),
        "waiting_s": some(1e4),
        "busy_s": some(1e4),
    }
