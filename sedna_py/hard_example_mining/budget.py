"""Keeps a budget by moving the threshold: pure; the time is an argument.

The rule. The balance is what was spent in the last minute minus what was earned in it, so it is what a window of a minute that
ends now is off by. A frame is hard where its score is among the lowest share q of the last minute's frames (the empirical
quantile, as RouteLLM calibrates its thresholds on a sample; Ong et al., 2024, arXiv:2406.18665). q is the budget's own share
while the balance is anywhere near 0, falls to 0 as the balance rises to +slack, and rises to 1 as it falls to -slack (the
virtual queue of Neely, Stochastic Network Optimization, 2010, ch. 4, with its hard bound). At either end the score does not
count any more, so the balance stays in [-slack, +slack], whatever the scores do: that, not the quantile, is what holds the
budget, and the quantile is what spends it on the hardest frames. It falls below where too few frames have a score at all: what
they leave is there for those of the same minute that have one, and is gone with the minute.

The balance is that of a minute and not of all time, as what is promised is a minute: frames of a video are hard for seconds on
end, and a balance of all time in a band this narrow takes them evenly, whatever their scores. Here as much may be spent at once
as was a minute ago, and the slack on top of it. The bend in q leaves the middle of the band to the scores.

The slack is 1.5 % of a minute, where 2 % is promised: the rest is for frames that the models answer out of order, and for a rate
of frames that changes. Of frames whose scores tie with the threshold a part is taken, as error diffusion does it (Floyd and
Steinberg, 1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, Budget, Unit
from sedna_py.hard_example_mining.pace import Pace
from sedna_py.hard_example_mining.recent_minute import MINUTE_S, RecentMinute
from sedna_py.hard_example_mining.recent_scores import RecentScores
from sedna_py.hard_example_mining.trailing_sum import TrailingSum

_SLACK: Final = 0.015  # of what a minute earns
_BEND: Final = 4  # the power of the balance by which q leaves the budget's share: 1 % of the way at a third of the band
# Bytes that the first body is taken for: a JPEG of a video's frame, or a second's worth if less.
_FIRST_BODY: Final = 50_000.0
_FIRST_S: Final = 10.0  # before that a rate of frames says little
_LEARNING: Final = 0.1  # how much of a new body's size goes into the mean


class Why(Enum):
    """What decided about a frame."""

    SCORE = auto()  # compared with the threshold
    SPENT = auto()  # another one would be more than the budget has now, or than the cap lets through in this second
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
    own. A `cap` in the unit of a rate is kept in every second as well, as far as the mean tells.
    """

    def __init__(self, budget: Budget, cap: Budget | None = None) -> None:
        self.budget = budget
        self._in_bytes = budget.unit is Unit.BITS
        self._in_shares = budget.unit is Unit.SHARE
        self._rate = budget.amount * BYTES_PER_KBIT if self._in_bytes else budget.amount  # a second, or a frame
        self._cost = min(self._rate, _FIRST_BODY) if self._in_bytes else 1.0
        self._sizes_known = False
        self._minute = RecentMinute()
        self._balances = TrailingSum(MINUTE_S)
        self._scores = RecentScores()
        self._pace = Pace(cap) if cap is not None and cap.unit is budget.unit else None
        self._unsettled = 0  # hard frames whose size is not known yet
        self._seen_at: float | None = None
        self._threshold: float | None = None
        self._tied = 0.5  # what is due of the frames that tie; the first one comes in the middle of its share

    def judge(self, score: float | None, now: float) -> Verdict:
        """Decide about one frame. Without a score it is easy, but counts as a frame. `now` is in seconds and never falls."""
        self._earn(now)
        self._minute.add(now, frames=1)
        verdict = self._verdict(score, now)
        if verdict.hard:
            self._minute.add(now, hard=True)
            self._charge(now)
        self._write_off(now)
        return verdict

    def overrule(self, now: float, *, judged: bool = False) -> None:
        """Note a frame that is asked of the cloud whatever the budget says, or said when it was `judged`."""
        if not judged:
            self._earn(now)
        self._minute.add(now, frames=not judged, hard=True)
        self._charge(now)
        self._write_off(now)

    def sent(self, size: int, now: float) -> None:
        """Settle one hard frame with the bytes that were sent for it; once for each, in any order.

        One that nothing was sent for stays charged with the mean: or an outage would save up for a burst behind it.
        """
        if not self._in_bytes:
            return
        self._unsettled -= 1
        self._balances.add(size or self._cost, now)
        if size:
            self._minute.add(now, size=size)
            if self._pace is not None:
                self._pace.add(size - self._cost, now)
            self._cost += (size - self._cost) * (_LEARNING if self._sizes_known else 1.0)
            self._sizes_known = True

    def spare(self, now: float) -> None:
        """Take back one frame that was judged hard and is not sent after all; `sent` is not called for it."""
        self._minute.add(now, hard=-1)
        if self._pace is not None:
            self._pace.add(-self._cost, now)
        if self._in_bytes:
            self._unsettled -= 1
        else:
            self._balances.add(-self._cost, now)

    def figures(self, now: float) -> BudgetFigures:
        """Return what a reader of metrics wants to know."""
        return BudgetFigures(self.budget, self._threshold, self._spent(now))

    @property
    def balance(self) -> float:
        """What was spent in the last minute minus what was earned, in frames or bytes; what is under way counts by the mean."""
        return self._balances.value + self._unsettled * self._cost

    def _spent(self, now: float) -> float:
        minute = self._minute.totals(now)
        if self._in_shares:
            return minute.hard / minute.frames if minute.frames else 0.0
        seconds = max(minute.seconds, 1.0)
        return minute.size / BYTES_PER_KBIT / seconds if self._in_bytes else minute.hard / seconds

    def _earn(self, now: float) -> None:
        passed = 0.0 if self._seen_at is None else max(now - self._seen_at, 0.0)
        self._seen_at = now if self._seen_at is None else max(now, self._seen_at)
        self._balances.forget(self._seen_at)
        # In a pause nothing is saved up for a burst behind it.
        earned = self._rate if self._in_shares else min(self._rate * passed, self._cost + self._slack(now))
        self._balances.add(-earned, self._seen_at)

    def _charge(self, now: float) -> None:
        if self._pace is not None:
            self._pace.add(self._cost, now)
        if self._in_bytes:
            self._unsettled += 1
        else:
            self._balances.add(self._cost, now)

    def _write_off(self, now: float) -> None:
        """Forget what lies above the band, so that it is not made up for later: after `overrule` and large bodies only."""
        over = self.balance - self._slack(now) - self._cost
        if over > 0:
            self._balances.add(-over, now)

    def _slack(self, now: float) -> float:
        earned = self._rate * MINUTE_S
        if self._in_shares:
            # In frames, not in hard frames: the promise is in percent of all frames; those of a minute at the rate so far.
            minute = self._minute.totals(now)
            earned = minute.frames * MINUTE_S / max(minute.seconds, _FIRST_S)
        return max(_SLACK * earned, self._cost / 2)  # with less a single frame would not fit in between

    def _verdict(self, score: float | None, now: float) -> Verdict:
        self._scores.add(score, now)
        if score is None:
            return Verdict(False, Why.NO_SCORE, self._threshold)
        slack, balance = self._slack(now), self.balance
        level = self._level(balance / slack, now)
        self._threshold = self._scores.quantile(level)
        if balance + self._cost > slack or not (self._pace is None or self._pace.has_room(self._cost, now)):
            return Verdict(False, Why.SPENT, self._threshold)
        if balance <= -slack:
            return Verdict(True, Why.BEHIND, self._threshold)
        return Verdict(self._among(score, level), Why.SCORE, self._threshold)

    def _among(self, score: float, level: float) -> bool:
        """Tell whether the frame is one of the lowest share `level`; of those that tie there, evenly as many as fit."""
        part = self._scores.part_within(score, level)
        if 0 < part < 1:
            self._tied += part
            part = self._tied
            self._tied -= part >= 1
        return part >= 1

    def _level(self, balance: float, now: float) -> float:
        """Return q for a balance from -1 to 1."""
        share = self._share(now)
        if balance > 0:
            return share * (1.0 - min(balance, 1.0) ** _BEND)
        return share + (1.0 - share) * min(-balance, 1.0) ** _BEND

    def _share(self, now: float) -> float:
        """Return the share of the frames that the budget is worth now."""
        if self._in_shares:
            return self._rate
        minute = self._minute.totals(now)
        wanted = self._rate * max(minute.seconds, 1.0) / self._cost
        return min(wanted / max(minute.frames, 1), 1.0)
