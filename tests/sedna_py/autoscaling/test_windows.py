"""Stable and panic windows, with hand-fed times and sums."""

from __future__ import annotations

import math
import random

import pytest

from sedna_py.autoscaling.windows import PanicState, WindowSettings


def served_over(state, steps, *, ready_pods=1, target=1.0):
    """Feed (seconds, sum of the stable window, sum of the panic window) and return what is served."""
    return [state.served(now, stable, panic, ready_pods, target) for now, stable, panic in steps]


def test_in_quiet_times_the_long_window_decides():
    state = PanicState(WindowSettings())
    assert served_over(state, [(0, 3.0, 4.0), (2, 3.2, 5.0), (4, 3.1, 0.0)], ready_pods=3) == [3.0, 3.2, 3.1]
    assert not state.in_panic


@pytest.mark.parametrize(
    ("panic_total", "ready_pods", "panics"),
    [
        (5.0, 3, False),
        (5.01, 3, True),  # six pods are wanted, which is twice three
        (6.0, 3, True),
        (1.0, 0, False),  # no ready pod counts as one
        (1.1, 0, True),
    ],
)
def test_twice_the_ready_pods_is_a_panic(panic_total, ready_pods, panics):
    state = PanicState(WindowSettings())
    served = state.served(0.0, 0.5, panic_total, ready_pods, 1.0)
    assert state.in_panic is panics
    assert served == (panic_total if panics else 0.5)


def test_the_target_is_what_one_pod_shall_have():
    assert PanicState(WindowSettings()).served(0.0, 10.0, 39.0, 2, 10.0) == 39.0  # four pods for two
    assert PanicState(WindowSettings()).served(0.0, 10.0, 30.0, 2, 10.0) == 10.0


def test_nothing_is_given_back_in_a_panic_and_all_of_it_after_a_calm_stable_window():
    state = PanicState(WindowSettings())
    assert served_over(state, [(0, 1, 8), (2, 2, 12), (4, 3, 1)]) == [8, 12, 12]
    calm = [(second, 0.5, 0.5) for second in range(5, 63)]  # the threshold was reached last at 2
    assert served_over(state, calm) == [12] * len(calm)
    assert state.in_panic
    assert served_over(state, [(62.5, 0.5, 0.5)]) == [0.5]
    assert not state.in_panic


def test_a_demand_during_the_panic_begins_the_calm_anew():
    state = PanicState(WindowSettings())
    assert served_over(state, [(0, 1, 5), (50, 1, 2), (100, 1, 1)]) == [5, 5, 5]
    assert served_over(state, [(111, 1, 1)]) == [1]


def test_pods_that_became_ready_end_the_demand_but_not_the_panic():
    state = PanicState(WindowSettings())
    assert state.served(0.0, 1.0, 10.0, 1, 1.0) == 10.0
    assert state.served(30.0, 5.0, 10.0, 10, 1.0) == 10.0
    assert state.served(61.0, 9.0, 10.0, 10, 1.0) == 9.0


def test_the_stable_window_counts_in_a_panic_when_it_is_higher():
    state = PanicState(WindowSettings())
    assert served_over(state, [(0, 3, 9), (10, 11, 4), (20, 4, 10)]) == [9, 11, 11]


def test_a_second_panic_begins_from_its_own_values():
    state = PanicState(WindowSettings())
    assert served_over(state, [(0, 1, 50), (61, 1, 1), (62, 1, 4), (63, 1, 2)]) == [50, 1, 4, 4]


def test_windows_and_threshold_can_be_tuned():
    settings = WindowSettings(stable_s=20, panic_percent=25, threshold_percent=150)
    assert settings.panic_s == 5
    state = PanicState(settings)
    assert served_over(state, [(0, 1, 3), (20, 1, 1), (20.1, 1, 1)], ready_pods=2) == [3, 3, 1]


@pytest.mark.parametrize(
    "unusable",
    [
        {"stable_s": 5},
        {"stable_s": 3601},
        {"stable_s": math.nan},
        {"panic_percent": 0},
        {"panic_percent": 101},
        {"threshold_percent": 100},
        {"threshold_percent": math.inf},
    ],
)
def test_what_knative_does_not_allow_is_refused(unusable):
    with pytest.raises(ValueError, match="is not between"):
        WindowSettings(**unusable)


def test_whatever_comes_the_served_sum_does_not_fall_within_a_panic():
    chance = random.Random(8)
    for _ in range(200):
        state, now, before, was_in_panic = PanicState(WindowSettings()), 0.0, 0.0, False
        for _ in range(100):
            now += chance.choice((0.5, 2.0, 15.0))
            totals = chance.expovariate(0.2), chance.expovariate(0.2)
            served = state.served(now, *totals, chance.randint(0, 8), chance.uniform(0.5, 2))
            assert served >= totals[0]
            if was_in_panic and state.in_panic:
                assert served >= before
            before, was_in_panic = served, state.in_panic
