"""A filter whose threshold moves so that a budget is kept, for any number of threads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sedna_py.hard_example_mining import BaseFilter, Decision, decide, make_filter, read_plan
from sedna_py.hard_example_mining.budget import BudgetController, BudgetFigures, Verdict, Why
from sedna_py.hard_example_mining.budget_plan import BudgetPlan
from sedna_py.hard_example_mining.budget_text import Budget
from sedna_py.hard_example_mining.wording import compare, number


@dataclass(frozen=True, slots=True)
class Moved:
    """Frames that the filter's own threshold would have judged otherwise: hard ones kept here, easy ones sent."""

    held_back: int = 0
    added: int = 0


class BudgetedFilter(BaseFilter):
    """Asks `wrapped` for its score and lets the budget decide.

    A frame that it calls hard without giving a score counts as the hardest there is; one without a score else is easy. Who uses
    it tells of each hard frame, once, what was `sent`. `cap` is what stands behind it; the filter paces itself by it.
    """

    def __init__(
        self,
        wrapped: BaseFilter,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
        *,
        cap: Budget | None = None,
    ) -> None:
        self.wrapped = wrapped
        self._controller = BudgetController(budget, cap)
        self._clock = clock
        self._lock = threading.Lock()
        self._moved = Moved()

    def __call__(self, infer_result: Any = None) -> Decision:
        own = decide(self.wrapped, infer_result)
        score = float("-inf") if own.hard and own.score is None else own.score
        usable = None if score is None or math.isnan(score) else float(score)
        with self._lock:
            verdict = self._controller.judge(usable, self._clock())
            self._moved = Moved(
                self._moved.held_back + (bool(own.hard) and not verdict.hard),
                self._moved.added + (verdict.hard and not own.hard),
            )
        return Decision(verdict.hard, self._reason(own, verdict), own.score)

    def overrule(self, *, judged: bool) -> None:
        """Note a frame that goes to the cloud whatever the budget says; `judged` easy before, or not judged at all."""
        with self._lock:
            self._controller.overrule(self._clock(), judged=judged)

    def sent(self, size: int) -> None:
        """Note what was sent for a hard frame, 0 bytes included."""
        with self._lock:
            self._controller.sent(size, self._clock())

    def spare(self) -> None:
        """Note a hard frame that is not sent after all, as it is not worth it: nothing is spent, and `sent` is not told of it."""
        with self._lock:
            self._controller.spare(self._clock())

    def figures(self) -> tuple[BudgetFigures, Moved]:
        """Return what a reader of metrics wants to know."""
        with self._lock:
            return self._controller.figures(self._clock()), self._moved

    def _reason(self, own: Decision, verdict: Verdict) -> str:
        budget = f"budget {self._controller.budget}"
        if verdict.why is Why.NO_SCORE or verdict.threshold is None:
            return own.reason
        if verdict.why is Why.SPENT:
            return f"{budget}: spent for now; {own.reason}"
        if verdict.why is Why.BEHIND:
            return f"{budget}: room for every frame; {own.reason}"
        if own.score is None or verdict.threshold == float("-inf"):
            return f"{budget}: the threshold is {number(verdict.threshold)}; {own.reason}"
        relation = {-1: "<", 0: "=", 1: ">"}[(own.score > verdict.threshold) - (own.score < verdict.threshold)]
        return f"{budget}: score {compare(own.score, relation, verdict.threshold)}, the threshold now"


def load_filter(
    name: str, parameters: Mapping[str, object], clock: Callable[[], float] = time.monotonic
) -> tuple[BaseFilter, BudgetPlan]:
    """Return the filter of that name, with its budget if it has one, and what may be sent. Raises FilterError."""
    made, plan = make_filter(name, parameters), read_plan(name, parameters)
    return (BudgetedFilter(made, plan.budget, clock, cap=plan.cap) if plan.budget else made), plan
