"""The filter that keeps a budget: whose reasons and scores go to the log, and what is counted."""

from __future__ import annotations

import pytest

from sedna_py.budgeted_filter import BudgetedFilter, Moved, load_filter
from sedna_py.hard_example_mining import BaseFilter, Decision, IBTFilter
from sedna_py.hard_example_mining.budget_text import parse_budget


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


class Says(BaseFilter):
    """Answers what it is given."""

    def __call__(self, infer_result=None):
        return infer_result


def on(budget: str, wrapped: BaseFilter | None = None) -> BudgetedFilter:
    return BudgetedFilter(wrapped or Says(), parse_budget(budget), Clock())


def doubt(score: float, hard: bool = False) -> Decision:
    return Decision(hard, f"own reason {score}", score)


def test_the_budget_decides_and_the_score_stays():
    budgeted = on("20%")
    decisions = [budgeted(doubt(n % 10 / 10)) for n in range(1000)]
    assert sum(d.hard for d in decisions) == pytest.approx(200, abs=10)  # 1 % of 1000, where 1.5 are allowed
    assert [d.score for d in decisions[:10]] == [n / 10 for n in range(10)]
    late = decisions[-10:]
    assert all(d.reason.startswith("budget 20 %: ") for d in late)
    assert sum(d.hard for d in late if d.score <= 0.2) >= 2
    figures, moved = budgeted.figures()
    assert figures.spent == pytest.approx(0.2, abs=0.02)
    assert moved == Moved(0, sum(d.hard for d in decisions))


def test_reasons_tell_what_decided():
    reasons = {d.reason.split(";")[0] for d in map(on("20%"), (doubt((n * 7) % 11 / 11) for n in range(400)))}
    assert "budget 20 %: spent for now" in reasons
    assert "budget 20 %: room for every frame" in reasons
    assert any("score 0.09 < 0.181818, the threshold now" in reason for reason in reasons)


def test_frames_held_back_are_those_that_the_own_threshold_would_have_sent():
    budgeted = on("20%")
    decisions = [budgeted(doubt(0.3, hard=True)) for _ in range(100)]
    sent = sum(d.hard for d in decisions)
    assert budgeted.figures()[1] == Moved(held_back=100 - sent, added=0)


def test_hard_without_a_score_is_the_hardest_and_easy_without_one_stays_easy():
    budgeted = on("50%")
    decisions = [budgeted(Decision(True, "yes") if n % 2 else Decision(False, "no boxes")) for n in range(400)]
    assert not any(d.hard for d in decisions[::2])
    assert {d.reason for d in decisions[::2]} == {"no boxes"}
    assert sum(d.hard for d in decisions) == pytest.approx(200, abs=3)
    assert {d.score for d in decisions} == {None}


def test_nan_is_no_score():
    budgeted = on("20%")
    assert not any(budgeted(doubt(float("nan"))).hard for _ in range(50))


def test_loading():
    made, plan = load_filter("IBT", {"threshold_box": "0.9", "budget": "20%"})
    assert isinstance(made, BudgetedFilter)
    assert isinstance(made.wrapped, IBTFilter)
    assert made.wrapped.threshold_box == 0.9
    assert plan.budget == parse_budget("20%")
    for parameters in ({}, {"cap": "5 fps"}):
        assert type(load_filter("IBT", parameters)[0]) is IBTFilter


def test_what_was_sent_moves_a_budget_of_bits():
    small, large = on("80 kbit/s"), on("80 kbit/s")
    counts = []
    for budgeted, size in ((small, 1000), (large, 5000)):
        hard = 0
        for n in range(600):
            if budgeted(doubt(n % 7)).hard:
                hard += 1
                budgeted.sent(size)
        counts.append(hard)
    assert counts[0] > 3 * counts[1]


def test_overruled_frames_are_in_the_figures():
    budgeted = on("20%")
    budgeted.overrule(judged=False)
    assert budgeted.figures()[0].spent == 1.0
