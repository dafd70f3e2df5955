"""What a budget buys: share sent against agreement with cloud only, from two models' answers to the same frames. Pure.

A frame that is sent has the cloud's answer, any other the edge's, so each frame is compared both ways once, and every threshold
and every budget is then a sum over the frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from sedna_py.decision_log import DecisionRecord
from sedna_py.hard_example_mining import BaseFilter, decide
from sedna_py.hard_example_mining.budget import BudgetController
from sedna_py.hard_example_mining.budget_text import Budget, Unit
from sedna_py.local.figures import Agreement, FrameKey, agreement, in_order

SHARES: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LEARNT_S: Final = 120.0  # a minute for the scores, and one for the spending to settle
_COUNTS: Final = [field.name for field in fields(Agreement)]
_counts: Final = attrgetter(*_COUNTS)


@dataclass(frozen=True, slots=True)
class BothWays:
    """A frame that both models answered: `edge` is the little model's whole answer, which a filter judges.

    `kept` compares the edge's result with the cloud's, `sent` the cloud's with itself, at the cost of its bytes.
    """

    key: FrameKey
    at: float  # seconds
    edge: list[Any]
    kept: Agreement
    sent: Agreement
    size: int


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold, a budget or a chance (`setting`) gave: shares of all frames and of cloud only's bytes, and agreement."""

    setting: float
    sent: float
    bytes: float
    agreement: float
    f1: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One filter on one clip: what every threshold gave, known afterwards, and what the budgets gave that had to find theirs."""

    name: str
    thresholds: list[Point]
    budgets: list[Point]
    settled: list[Point]  # the same budgets behind the first LEARNT_S, empty where no more was played


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
            frames.append(BothWays((here.source, here.frame), here.captured, here.edge, kept, sent, record.bytes_sent))
    return frames


def repeated(frames: Sequence[BothWays], seconds: float) -> list[BothWays]:
    """Return the frames played over and over, whole rounds of them, for so many seconds at least."""
    length = frames[-1].at - frames[0].at + _step(frames) if frames else 0.0
    rounds = max(1, math.ceil(seconds / length)) if length > 0 else 1
    return joined([frames] * rounds)


def joined(parts: Sequence[Sequence[BothWays]]) -> list[BothWays]:
    """Return clips one behind the other, a frame's time apart; the first keeps its times."""
    frames: list[BothWays] = []
    for part in parts:
        shift = frames[-1].at + _step(part) - part[0].at if frames else 0.0
        frames += [replace(frame, at=frame.at + shift) for frame in part]
    return frames


def scores_of(mining_filter: BaseFilter, frames: Sequence[BothWays]) -> list[float | None]:
    """Return what the filter says of every frame; one that it calls hard without a score is the hardest there is."""
    said = [decide(mining_filter, frame.edge) for frame in frames]
    return [float("-inf") if one.hard and one.score is None else one.score for one in said]


def chosen(setting: float, frames: Sequence[BothWays], hard: Sequence[bool]) -> Point:
    """Return the figures where these frames are sent."""
    found = total(frame.sent if is_hard else frame.kept for frame, is_hard in zip(frames, hard, strict=True))
    return _point(setting, sum(hard) / len(frames), found)


def total(agreements: Iterable[Agreement]) -> Agreement:
    """Return the agreement over all frames of which each is that over some."""
    counts = [sum(column) for column in zip(*map(_counts, agreements), strict=True)]
    return Agreement(*counts) if counts else Agreement(*[0] * len(_COUNTS))


def by_threshold(frames: Sequence[BothWays], scores: Sequence[float | None]) -> list[Point]:
    """Return a point for every threshold that makes a difference, from none sent to all that have a score sent."""
    levels = [float("-inf"), *sorted({score for score in scores if score is not None})]
    ranked = sorted((score, number) for number, score in enumerate(scores) if score is not None)
    hard, points, behind = [False] * len(frames), [], 0
    for level in levels:
        while behind < len(ranked) and ranked[behind][0] <= level:
            hard[ranked[behind][1]] = True
            behind += 1
        points.append(chosen(level, frames, hard))
    return points


def by_budget(frames: Sequence[BothWays], scores: Sequence[float | None], share: float) -> list[bool]:
    """Return which frames are hard where this share of them may be sent, with their own time as the clock."""
    controller = BudgetController(Budget(share, Unit.SHARE))
    return [controller.judge(score, frame.at).hard for frame, score in zip(frames, scores, strict=True)]


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


def curve(name: str, frames: Sequence[BothWays], scores: Sequence[float | None], seconds: float) -> Curve:
    """Return a filter's curve: the thresholds on the clip, the budgets on as many rounds of it as `seconds` take.

    Each budget begins without any score, so its first minute is in its figures.
    """
    long = repeated(frames, seconds)
    said = list(scores) * (len(long) // len(frames))
    chosen_by_share = {share: by_budget(long, said, share) for share in SHARES}
    late = next((n for n in range(0, len(long), len(frames)) if long[n].at >= long[0].at + LEARNT_S), len(long))
    return Curve(
        name,
        by_threshold(frames, scores),
        [chosen(share, long, hard) for share, hard in chosen_by_share.items()],
        [chosen(share, long[late:], hard[late:]) for share, hard in chosen_by_share.items() if late < len(long)],
    )


def _step(frames: Sequence[BothWays]) -> float:
    return (frames[-1].at - frames[0].at) / max(len(frames) - 1, 1)


def _point(setting: float, sent: float, found: Agreement) -> Point:
    return Point(setting, sent, found.bytes_share or 0.0, found.share or 0.0, found.f1)
