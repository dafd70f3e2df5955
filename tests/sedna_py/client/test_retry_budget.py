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
