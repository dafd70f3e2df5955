"""Streams of scores that are hard on a budget, and what of them falls into every window of time."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

Score = Callable[[random.Random, float], float | None]  # of a moment in seconds

STREAMS: dict[str, Score] = {
    "even": lambda chance, _: chance.random(),
    "constant": lambda _, __: 0.5,
    "bimodal": lambda chance, _: chance.choice((0.1, 0.9)),
    "few hard": lambda chance, _: 0.1 if chance.random() < 0.05 else 0.9,
    "nearly all hard": lambda chance, _: 0.9 if chance.random() < 0.05 else 0.1,
    "harder in the middle": lambda chance, now: chance.gauss(0.8 if now < 90 else 0.2, 0.05),
    "easier in the middle": lambda chance, now: chance.gauss(0.2 if now < 90 else 0.8, 0.05),
    "harder all the time": lambda _, now: 1 / (1 + now),
    "easier all the time": lambda _, now: now / (1 + now),
    "bursts": lambda chance, now: chance.random() * (0.2 if now % 30 < 3 else 1),
    "a minute each": lambda chance, now: 0.3 if now % 120 < 60 else 0.6 + chance.random() / 10,
    "steps": lambda chance, _: chance.randrange(4) / 4,
}


def times(fps: float, seconds: float, chance: random.Random, start: float = 0.0) -> list[float]:
    """Return when the frames of a camera come that is not quite regular, in order."""
    return sorted(start + (n + 0.4 * (chance.random() - 0.5)) / fps for n in range(1, int(fps * seconds)))


def windows(at: Sequence[float], amounts: Sequence[float], length_s: float) -> Iterator[tuple[int, float]]:
    """Yield (frames, sum of their amounts) of every window of that length that lies within the run.

    Both ends belong to a window. Those that begin or end at a frame are all that can be the fullest or the emptiest.
    """
    sums = [0.0, *accumulate(amounts)]
    for start in [*at, *(moment - length_s for moment in at)]:
        if at[0] <= start and start + length_s <= at[-1]:
            first, behind = bisect_left(at, start), bisect_right(at, start + length_s)
            yield behind - first, sums[behind] - sums[first]
