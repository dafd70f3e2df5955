"""Whether a budget is held over every minute and a cap over every second, with real answers and real frames' bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sedna_py.client.send_cap import Passage, SendCap
from sedna_py.hard_example_mining.budget import BudgetController
from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, parse_budget
from sedna_py.local.budget_curve import BothWays, by_budget
from tests.sedna_py.hard_example_mining.streams import windows

MINUTE_S = 60.0


@dataclass(frozen=True)
class MinuteShares:
    """The lowest and the highest share of hard frames in any 60 s."""

    lowest: float
    highest: float
    windows: int


@dataclass(frozen=True)
class Capped:
    """What was sent under a cap, in kbit/s: in the fullest second, and on the average; and the bodies that had to stay."""

    fullest_second: float
    average: float
    offered: int
    kept_here: int


def minute_shares(frames: Sequence[BothWays], scores: Sequence[float | None], share: float) -> MinuteShares:
    """Return how well the budget is held."""
    hard = by_budget(frames, scores, share)
    found = [count / number for number, count in windows([f.at for f in frames], hard, MINUTE_S)]
    return MinuteShares(min(found), max(found), len(found))


def under_cap(frames: Sequence[BothWays], scores: Sequence[float | None] | None, rate: str) -> Capped:
    """Offer every frame's body, or with scores those that a budget of the same rate takes, to the cap."""
    budget = parse_budget(rate)
    cap, controller = SendCap(budget), None if scores is None else BudgetController(budget, budget)
    at, sizes, offered = [], [], 0
    for number, frame in enumerate(frames):
        if controller is not None and scores is not None and not controller.judge(scores[number], frame.at).hard:
            continue
        offered += 1
        passage = cap.take(frame.size, frame.at)
        if isinstance(passage, Passage):
            passage.left(frame.at)
            at.append(frame.at)
            sizes.append(frame.size)
        if controller is not None:
            controller.sent(frame.size if isinstance(passage, Passage) else 0, frame.at)
    seconds = frames[-1].at - frames[0].at
    return Capped(
        max((total for _, total in windows(at, sizes, 1.0)), default=0.0) / BYTES_PER_KBIT,
        sum(sizes) / BYTES_PER_KBIT / seconds,
        offered,
        offered - len(sizes),
    )
