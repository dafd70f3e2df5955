"""What is done about a cloud worker that may have no pod, by what is known of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.zero.decision import View, Write, decide

IDLE = View(
    may_sleep=True,
    replicas=1,
    ready=1,
    settled=True,
    wanted=1,
    noted_asleep=False,
    noted_woken=False,
    idle_s=60,
    window_s=60,
)
ASLEEP = replace(IDLE, replicas=0, ready=0, settled=False, wanted=None, noted_asleep=True, idle_s=0)
WAKING = replace(ASLEEP, replicas=1, noted_asleep=False, noted_woken=True)


def done(view: View, **changes: Any) -> tuple[bool, Write | None]:
    decision = decide(replace(view, **changes))
    assert decision.why
    return decision.stands_in, decision.write


def test_the_last_pod_of_an_idle_worker_goes_and_somebody_stands_in_for_it() -> None:
    assert done(IDLE) == (True, Write.SLEEP)


@pytest.mark.parametrize(
    "change",
    [
        {"may_sleep": False},
        {"idle_s": 59.9},
        {"wanted": None},
        {"wanted": 2},
        {"replicas": 2},
        {"settled": False},
        {"demand": "a request has come"},
        {"seen": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_doubt_keeps_it(change: dict[str, Any]) -> None:
    assert done(IDLE, **change) == (False, None)


def test_one_that_sleeps_is_stood_in_for_and_a_demand_wakes_it() -> None:
    assert done(ASLEEP) == (True, None)
    assert done(ASLEEP, demand="a request has come") == (True, Write.WAKE)


def test_one_that_wakes_is_stood_in_for_until_a_pod_is_ready() -> None:
    assert done(WAKING) == (True, None)
    assert done(WAKING, replicas=3, demand="more came") == (True, None)
    assert done(WAKING, ready=1) == (False, Write.NOTE_AWAKE)


def test_a_worker_that_starts_for_the_first_time_is_left_alone() -> None:
    assert done(WAKING, noted_woken=False) == (False, None)


def test_a_zero_by_hand_is_a_sleep_where_zero_is_allowed_and_left_alone_where_not() -> None:
    assert done(ASLEEP, noted_asleep=False) == (True, Write.NOTE_SLEEP)
    assert done(ASLEEP, noted_asleep=False, may_sleep=False) == (False, None)
    assert done(ASLEEP, noted_asleep=False, may_sleep=False, demand="a request has come") == (False, None)


def test_scaled_up_by_hand_in_its_sleep_it_is_waited_for_as_if_it_had_been_woken() -> None:
    assert done(ASLEEP, replicas=2) == (True, None)
    assert done(ASLEEP, replicas=2, ready=1) == (False, Write.NOTE_AWAKE)


def test_one_that_may_not_sleep_any_more_is_woken_by_the_one_who_took_its_pod() -> None:
    assert done(ASLEEP, may_sleep=False) == (True, Write.WAKE)
    assert done(WAKING, may_sleep=False) == (True, None)
    assert done(WAKING, may_sleep=False, ready=1) == (False, Write.NOTE_AWAKE)


@pytest.mark.parametrize("view", [IDLE, ASLEEP, WAKING])
def test_without_a_deployment_there_is_nothing_to_do(view: View) -> None:
    assert done(view, replicas=None, demand="a request has come") == (False, None)
