"""How many retries there are."""

from __future__ import annotations

import pytest

from sedna_py.client.retry_budget import RetryBudget


def test_a_full_reserve_then_a_part_of_the_requests():
    budget = RetryBudget(ratio=0.2, reserve=5)
    assert [budget.withdraw() for _ in range(7)] == [True] * 5 + [False] * 2
    granted = 0
    for _ in range(1000):
        budget.deposit()
        granted += budget.withdraw()
    assert granted == pytest.approx(200, abs=2)


def test_quiet_times_save_no_more_than_the_reserve():
    budget = RetryBudget(ratio=0.5, reserve=3)
    for _ in range(100):
        budget.deposit()
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("at_once", "retries"), [(1, 10), (8, 16), (40, 80)])
def test_as_many_as_fail_together_are_all_sent_again(at_once, retries):
    budget = RetryBudget.for_requests(0.2, at_once)
    assert [budget.withdraw() for _ in range(retries + 1)] == [True] * retries + [False]
