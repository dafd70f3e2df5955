"""The breaker, with hand-fed times."""

from __future__ import annotations

import random

import pytest

from sedna_py.client.circuit_breaker import (
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    Outcome,
    Permit,
    Reason,
    Refusal,
)

POLICY = BreakerPolicy(failure_threshold=3, cooldown_s=1.0, backoff_factor=2.0, max_cooldown_s=3.0, probe_timeout_s=5.0)
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def _ask(breaker: CircuitBreaker, now: float, outcome: Outcome) -> None:
    permit = breaker.allow(now)
    assert isinstance(permit, Permit)
    breaker.resolve(permit, outcome, now)


def _opened(at: float = 10.0) -> CircuitBreaker:
    breaker = CircuitBreaker(POLICY)
    for _ in range(3):
        _ask(breaker, at, Outcome.FAILURE)
    assert breaker.state is OPEN
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("", CLOSED),
        ("ff", CLOSED),
        ("fff", OPEN),
        ("ffsff", CLOSED),
        ("ffsfff", OPEN),
        ("fafs", CLOSED),
        ("faf", CLOSED),
        ("faaff", OPEN),
        ("aaaaaa", CLOSED),
    ],
)
def test_failures_in_a_row_open_the_circuit(outcomes, state):
    breaker = CircuitBreaker(POLICY)
    meaning = {"f": Outcome.FAILURE, "s": Outcome.SUCCESS, "a": Outcome.ABANDONED}
    for letter in outcomes:
        _ask(breaker, 0.0, meaning[letter])
    assert breaker.state is state


def test_an_open_circuit_refuses_until_it_has_cooled_down():
    breaker = _opened(at=10.0)
    assert breaker.allow(10.25) == Refusal(Reason.COOLING_DOWN, 0.75)
    assert breaker.allow(10.99).reason is Reason.COOLING_DOWN
    assert breaker.state is OPEN
    assert breaker.allow(11.0).reason is Reason.PROBE
    assert breaker.state is HALF_OPEN


def test_one_probe_at_a_time():
    breaker = _opened()
    probe = breaker.allow(11.0)
    assert probe.is_probe
    assert breaker.allow(12.0) == Refusal(Reason.PROBE_IN_FLIGHT, 4.0)
    breaker.resolve(probe, Outcome.SUCCESS, 12.0)
    assert breaker.state is CLOSED
    permit = breaker.allow(12.0)
    assert permit.reason is Reason.CLOSED
    assert not permit.is_probe


def test_the_cooldown_grows_to_its_bound_and_starts_anew_after_a_success():
    breaker, now, waits = _opened(at=0.0), 0.0, []
    for _ in range(4):
        refusal = breaker.allow(now)
        waits.append(refusal.retry_in_s)
        now += refusal.retry_in_s
        _ask(breaker, now, Outcome.FAILURE)
    assert waits == [1.0, 2.0, 3.0, 3.0]
    _ask(breaker, now + 3.0, Outcome.SUCCESS)
    for _ in range(3):
        _ask(breaker, 100.0, Outcome.FAILURE)
    assert breaker.allow(100.0) == Refusal(Reason.COOLING_DOWN, 1.0)


def test_an_abandoned_probe_lets_the_next_one_go_at_once():
    breaker = _opened()
    breaker.resolve(breaker.allow(11.0), Outcome.ABANDONED, 11.5)
    assert breaker.state is HALF_OPEN
    assert breaker.allow(11.5).reason is Reason.PROBE


@pytest.mark.parametrize("late", [Outcome.SUCCESS, Outcome.FAILURE])
def test_a_lost_probe_expires_and_decides_nothing_any_more(late):
    breaker = _opened()
    lost = breaker.allow(11.0)
    assert isinstance(breaker.allow(15.9), Refusal)
    second = breaker.allow(16.0)
    assert second.is_probe
    breaker.resolve(lost, late, 16.1)
    assert breaker.state is HALF_OPEN
    assert breaker.allow(16.2).reason is Reason.PROBE_IN_FLIGHT
    breaker.resolve(second, Outcome.SUCCESS, 16.3)
    assert breaker.state is CLOSED


@pytest.mark.parametrize("late", list(Outcome))
def test_requests_from_before_the_opening_decide_nothing(late):
    breaker = CircuitBreaker(POLICY)
    early = [breaker.allow(0.0) for _ in range(5)]
    for permit in early[:3]:
        breaker.resolve(permit, Outcome.FAILURE, 1.0)
    assert breaker.state is OPEN
    breaker.resolve(early[3], late, 1.5)
    assert breaker.state is OPEN
    assert breaker.allow(1.5) == Refusal(Reason.COOLING_DOWN, 0.5)
    probe = breaker.allow(2.0)
    breaker.resolve(early[4], late, 2.1)
    assert breaker.state is HALF_OPEN
    breaker.resolve(probe, Outcome.SUCCESS, 2.2)
    assert breaker.state is CLOSED


def test_a_permit_is_resolved_once():
    breaker = CircuitBreaker(POLICY)
    permit = breaker.allow(0.0)
    breaker.resolve(permit, Outcome.FAILURE, 0.0)
    for outcome in Outcome:
        with pytest.raises(ValueError, match="resolve each permit once"):
            breaker.resolve(permit, outcome, 0.0)


def test_permits_and_refusals_are_frozen():
    breaker = CircuitBreaker(POLICY)
    with pytest.raises(AttributeError):
        breaker.allow(0.0).number = 7


def test_a_long_outage_is_noticed_to_be_over_within_the_longest_cooldown():
    breaker, probes = _opened(at=0.0), []
    for tick in range(1, 600):
        now, up = tick * 0.1, tick >= 400
        decision = breaker.allow(now)
        if isinstance(decision, Permit):
            probes.append(now)
            breaker.resolve(decision, Outcome.SUCCESS if up else Outcome.FAILURE, now)
        if breaker.state is CLOSED:
            break
    assert now < 40.0 + POLICY.max_cooldown_s + 0.2
    assert len(probes) < 20


def test_edges_that_lost_the_cloud_together_probe_it_apart_and_none_later_than_said():
    def first_probe(seed: int) -> float:
        breaker = CircuitBreaker(POLICY, random.Random(seed))
        for _ in range(POLICY.failure_threshold):
            _ask(breaker, 0.0, Outcome.FAILURE)
        refusal = breaker.allow(0.0)
        assert isinstance(refusal, Refusal)
        return refusal.retry_in_s

    waits = [first_probe(seed) for seed in range(50)]
    assert POLICY.cooldown_s * (1 - POLICY.jitter) <= min(waits) < max(waits) <= POLICY.cooldown_s
    assert len(set(waits)) == 50


def test_a_cloud_that_sleeps_is_asked_again_after_its_second_however_often_it_says_so():
    breaker = CircuitBreaker(POLICY)
    _ask(breaker, 10.0, Outcome.ASLEEP)
    assert (breaker.state, breaker.asleep) == (OPEN, True)
    assert breaker.allow(10.25) == Refusal(Reason.ASLEEP, 0.75)
    for second in range(11, 31):  # a long cold start
        assert breaker.would_refuse(second - 0.01)
        _ask(breaker, float(second), Outcome.ASLEEP)
    _ask(breaker, 31.0, Outcome.SUCCESS)
    assert (breaker.state, breaker.asleep) == (CLOSED, False)


def test_all_that_was_on_its_way_to_a_cloud_that_sleeps_may_hear_of_it():
    breaker = CircuitBreaker(POLICY)
    permits = [breaker.allow(10.0) for _ in range(4)]
    for late, permit in enumerate(permits):
        breaker.resolve(permit, Outcome.ASLEEP, 10.0 + late / 10)
    assert breaker.allow(11.0).is_probe  # as long after the first answer, not the last


def test_a_cloud_that_fails_as_it_wakes_does_not_sleep_any_more():
    breaker = CircuitBreaker(POLICY)
    _ask(breaker, 10.0, Outcome.ASLEEP)
    _ask(breaker, 11.0, Outcome.FAILURE)
    assert (breaker.state, breaker.asleep) == (OPEN, False)
    assert breaker.allow(12.9).reason is Reason.COOLING_DOWN
    _ask(breaker, 13.0, Outcome.ASLEEP)
    _ask(breaker, 14.0, Outcome.FAILURE)
    assert breaker.allow(16.0).is_probe  # the cool-down began anew in between
