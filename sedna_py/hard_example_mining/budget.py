"""Keeps a budget by moving the threshold: pure; the time is an argument.

The rule. The balance is what was spent minus what was earned. A frame is hard where its score is among the lowest share q of the
last scores (the empirical quantile, as RouteLLM calibrates its thresholds on a sample; Ong et al., 2024, arXiv:2406.18665).
q is the budget's own share where the balance is 0, falls to 0 as the balance rises to +slack, and rises to 1 as it falls to
-slack (the virtual queue of Neely, Stochastic Network Optimization, 2010, ch. 4, with its hard bound). At either end the score
does not count any more, so the balance never leaves [-slack, +slack], whatever the scores do: that, not the quantile, is what
holds the budget, and the quantile is what spends it on the hardest frames.

Between any two moments the spending is off by twice the slack at most. The slack is half a percent of a minute, so a minute at
a steady rate of frames is off by 1 % at most, where 2 % is promised: the rest is for a rate that halves from one frame to the
next, and for frames that the models answer out of order. Scores that tie with the threshold are taken as the balance allows, as
error diffusion does it (Floyd and Steinberg, 1976).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, Budget, Unit
from sedna_py.hard_example_mining.recent_minute import MINUTE_S, RecentMinute

# The quantile's error is 3 % of the frames then, and a change of scene is learnt in as many frames.
SCORES_KEPT: Final = 256
_SLACK: Final = 0.005  # of what a minute earns
# Bytes that the first body is taken for: a JPEG of a video's frame, or a second's worth if less.
_FIRST_BODY: Final = 50_000.0
_LEARNING: Final = 0.1  # how much of a new body's size goes into the mean


class Why(Enum):
    """What decided about a frame."""

    SCORE = auto()  # compared with the threshold
    SPENT = auto()  # another one would spend more than the budget has
    BEHIND = auto()  # so much is left that every frame is taken
    NO_SCORE = auto()  # the filter could not judge it


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a frame fits the budget, why, and the threshold of that moment (None before the first score)."""

    hard: bool
    why: Why
    threshold: float | None


@dataclass(frozen=True, slots=True)
class BudgetFigures:
    """The budget, the threshold now, and what was spent in the last minute, in the budget's unit."""

    budget: Budget
    threshold: float | None
    spent: float


class BudgetController:
    """Turns scores, lower is harder, into decisions that keep `budget`. Not for several threads at once.

    Costs are frames, or bytes where the budget is in kbit/s: a hard frame costs the mean of the bodies until `sent` tells of its
    own.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._in_bytes = budget.unit is Unit.BITS
        self._in_shares = budget.unit is Unit.SHARE
        self._rate = budget.amount * BYTES_PER_KBIT if self._in_bytes else budget.amount  # a second, or a frame
        self._cost = min(self._rate, _FIRST_BODY) if self._in_bytes else 1.0
        self._sizes_known = False
        self._balance = 0.0  # of what is settled
        self._unsettled = 0  # hard frames whose size is not known yet
        self._seen_at: float | None = None
        self._order: deque[float] = deque()
        self._sorted: list[float] = []
        self._threshold: float | None = None
        self._minute = RecentMinute()

    def judge(self, score: float | None, now: float) -> Verdict:
        """Decide about one frame. Without a score it is easy, but counts as a frame. `now` is in seconds and never falls."""
        self._earn(now)
        verdict = self._verdict(score, now)
        self._minute.add(now, frames=1, hard=verdict.hard)
        if verdict.hard:
            self._charge(now)
        return verdict

    def overrule(self, now: float, *, judged: bool = False) -> None:
        """Note a frame that is asked of the cloud whatever the budget says, or said when it was `judged`."""
        if not judged:
            self._earn(now)
        self._minute.add(now, frames=not judged, hard=True)
        self._charge(now)

    def sent(self, size: int, now: float) -> None:
        """Settle one hard frame with the bytes that were sent for it; once for each, in any order.

        One that nothing was sent for stays charged with the mean: or an outage would save up for a burst behind it.
        """
        if not self._in_bytes:
            return
        self._unsettled -= 1
        self._balance += size or self._cost
        if size:
            self._minute.add(now, size=size)
            self._cost += (size - self._cost) * (_LEARNING if self._sizes_known else 1.0)
            self._sizes_known = True

    def spare(self, now: float) -> None:
        """Take back one frame that was judged hard and is not sent after all; `sent` is not called for it."""
        self._minute.add(now, hard=-1)
        if self._in_bytes:
            self._unsettled -= 1
        else:
            self._balance -= self._cost

    def figures(self, now: float) -> BudgetFigures:
        """Return what a reader of metrics wants to know."""
        return BudgetFigures(self.budget, self._threshold, self._spent(now))

    @property
    def balance(self) -> float:
        """What was spent minus what was earned, in frames or bytes; what is on its way is in it by the mean."""
        return self._balance + self._unsettled * self._cost

    def _spent(self, now: float) -> float:
        minute = self._minute.totals(now)
        if self._in_shares:
            return minute.hard / minute.frames if minute.frames else 0.0
        seconds = max(minute.seconds, 1.0)
        return minute.size / BYTES_PER_KBIT / seconds if self._in_bytes else minute.hard / seconds

    def _earn(self, now: float) -> None:
        passed = 0.0 if self._seen_at is None else max(now - self._seen_at, 0.0)
        self._seen_at = now if self._seen_at is None else max(now, self._seen_at)
        if passed >= MINUTE_S:
            self._balance -= self.balance  # no minute has frames of before and after it, so nothing is owed
        # What could not be spent in a pause, or while too few frames had a score, is not saved up for a burst.
        slack = self._slack(now)
        self._balance += max(-slack - self.balance, 0.0)
        self._balance -= self._rate if self._in_shares else min(self._rate * passed, self._cost + slack)

    def _charge(self, now: float) -> None:
        if self._in_bytes:
            self._unsettled += 1
        else:
            self._balance += self._cost
        # Only `overrule` and bodies larger than the mean get there.
        self._balance -= max(self.balance - self._slack(now) - self._cost, 0.0)

    def _slack(self, now: float) -> float:
        earned = self._rate * MINUTE_S
        if self._in_shares:
            # In frames, not in hard frames: the promise is in percent of all frames.
            earned = self._minute.totals(now).frames
        return max(_SLACK * earned, self._cost / 2)  # with less a single frame would not fit in between

    def _verdict(self, score: float | None, now: float) -> Verdict:
        if score is None:
            return Verdict(False, Why.NO_SCORE, self._threshold)
        self._keep(score)
        slack, balance = self._slack(now), self.balance
        level = self._level(balance / slack, now)
        self._threshold = self._sorted[min(int(level * len(self._sorted)), len(self._sorted) - 1)]
        if balance + self._cost > slack:
            return Verdict(False, Why.SPENT, self._threshold)
        if balance <= -slack:
            return Verdict(True, Why.BEHIND, self._threshold)
        count = level * len(self._sorted)
        tied = bisect_left(self._sorted, score) < count < bisect_right(self._sorted, score)
        hard = balance < 0 if tied else bisect_right(self._sorted, score) <= count
        return Verdict(hard, Why.SCORE, self._threshold)

    def _level(self, balance: float, now: float) -> float:
        """Return q for a balance from -1 to 1."""
        share = self._share(now)
        if balance > 0:
            return share * max(1.0 - balance, 0.0)
        return share + (1.0 - share) * min(-balance, 1.0)

    def _share(self, now: float) -> float:
        """Return the share of the frames that the budget is worth now."""
        if self._in_shares:
            return self._rate
        minute = self._minute.totals(now)
        wanted = self._rate * max(minute.seconds, 1.0) / self._cost
        return min(wanted / max(minute.frames, 1), 1.0)

    def _keep(self, score: float) -> None:
        if len(self._order) >= SCORES_KEPT:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        self._order.append(score)
        insort(self._sorted, score)
