"""What a budget buys: share sent against agreement with cloud only, from two models' answers to the same frames. Pure.

A frame that is sent has the cloud's answer, any other the edge's, so each frame is compared both ways once, and every threshold
and every budget is then a sum over the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.decision_log import DecisionRecord
from sedna_py.hard_example_mining import BaseFilter, Decision
from sedna_py.hard_example_mining.budget_text import Budget, Unit
from sedna_py.local.figures import Agreement, agreement, in_order

SHARES: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_COUNTS: Final = [field.name for field in fields(Agreement)]


@dataclass(frozen=True, slots=True)
class BothWays:
    """A frame that both models answered: `edge` is the little model's whole answer, which a filter judges.

    `kept` compares the edge's result with the cloud's, `sent` the cloud's with itself, at the cost of its bytes.
    """

    at: float  # seconds
    edge: list[Any]
    kept: Agreement
    sent: Agreement
    size: int


@dataclass(frozen=True, slots=True)
class Point:
    """What one threshold, one budget or one chance gave: shares of all frames, of cloud only's bytes, and agreement with it."""

    setting: float
    sent: float
    bytes: float
    agreement: float
    f1: float | None


def both_ways(edge_only: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord]) -> list[BothWays]:
    """Return the frames that both runs answered with boxes, in the order and at the time of their capture by the edge."""
    there = {(record.source, record.frame): record for record in cloud_only}
    frames = []
    for here in in_order(edge_only):
        record = there.get((here.source, here.frame))
        if record is None or here.edge is None:
            continue
        kept, sent = agreement([here], [record]), agreement([record], [record])
        if kept.frames and sent.frames:
            frames.append(BothWays(here.captured, here.edge, kept, sent, record.bytes_sent))
    return frames


def repeated(frames: Sequence[BothWays], seconds: float) -> list[BothWays]:
    """Return the frames played over and over for so many seconds at least, each round as far behind the last as frames are."""
    if len(frames) < 2:
        return list(frames)
    begun, step = frames[0].at, (frames[-1].at - frames[0].at) / (len(frames) - 1)
    length = frames[-1].at - begun + step
    rounds = max(1, round(seconds / length + 0.5)) if length > 0 else 1
    return [
        BothWays(frame.at + number * length, frame.edge, frame.kept, frame.sent, frame.size)
        for number in range(rounds)
        for frame in frames
    ]


def joined(parts: Sequence[Sequence[BothWays]]) -> list[BothWays]:
    """Return clips one behind the other, a frame's time apart."""
    frames: list[BothWays] = []
    for part in parts:
        step = (part[-1].at - part[0].at) / max(len(part) - 1, 1)
        shift = frames[-1].at + step - part[0].at if frames else 0.0
        frames += [BothWays(f.at + shift, f.edge, f.kept, f.sent, f.size) for f in part]
    return frames


def chosen(setting: float, frames: Sequence[BothWays], hard: Sequence[bool]) -> Point:
    """Return the figures where these frames are sent."""
    found = total(frame.sent if is_hard else frame.kept for frame, is_hard in zip(frames, hard, strict=True))
    return _point(setting, sum(hard) / len(frames), found)


def total(agreements: Iterable[Agreement]) -> Agreement:
    """Return the agreement over all frames of which each is that over some."""
    every = list(agreements)
    return Agreement(**{name: sum(getattr(one, name) for one in every) for name in _COUNTS})


def by_threshold(frames: Sequence[BothWays], scores: Sequence[float | None]) -> list[Point]:
    """Return a point for every threshold that makes a difference, from none sent to all that have a score sent."""
    levels = sorted({score for score in scores if score is not None})
    points = [chosen(float("-inf"), frames, [False] * len(frames))]
    for level in levels:
        points.append(chosen(level, frames, [score is not None and score <= level for score in scores]))
    return points


def by_budget(frames: Sequence[BothWays], made: BaseFilter, budget: Budget) -> tuple[Point, list[bool]]:
    """Return the point of a budget, and which frames were hard, with the frames' own time as the clock."""
    now = [0.0]
    budgeted = BudgetedFilter(made, budget, clock=lambda: now[0])
    hard = []
    for frame in frames:
        now[0] = frame.at
        hard.append(budgeted(frame.edge).hard)
        if hard[-1]:
            budgeted.sent(frame.size)
    return chosen(budget.amount, frames, hard), hard


def at_random(frames: Sequence[BothWays], share: float) -> Point:
    """Return what is to be expected of frames drawn with this chance: the mean over all draws, F1 that of the mean counts."""
    here, there = total(frame.kept for frame in frames), total(frame.sent for frame in frames)
    mixed = {n: (1 - share) * getattr(here, n) + share * getattr(there, n) for n in _COUNTS}
    return _point(share, share, Agreement(**mixed))


def at_bytes(points: Sequence[Point], share: float) -> float:
    """Return the agreement at a share of the bytes: between two points what using each for a part of the time would give."""
    ordered = sorted(points, key=lambda point: (point.bytes, point.agreement))
    for low, high in pairwise(ordered):
        if low.bytes <= share <= high.bytes and high.bytes > low.bytes:
            return low.agreement + (high.agreement - low.agreement) * (share - low.bytes) / (high.bytes - low.bytes)
    return ordered[-1].agreement


def _point(setting: float, sent: float, found: Agreement) -> Point:
    return Point(setting, sent, found.bytes_share or 0.0, found.share or 0.0, found.f1)
