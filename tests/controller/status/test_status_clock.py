"""When to look again: exactly when time alone can change what a status says."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.questions import questions
from controller.status.service_status import ServiceView, service_status
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import (
    NOW,
    condition,
    container,
    crashing_pod,
    creating_pod,
    deployment,
    going,
    hpa,
    observe,
    pod,
    ready_pod,
    running,
    service,
)
from tests.controller.status.test_status_of_odd_objects import random_view

SAID_NOTHING = [condition("PodReadyToStartContainers", "False")]
SCALED = service(edge={"hpa": {"maxReplicas": 3, "metrics": []}})
PULLED = ready_pod(spec={"containers": [{"name": "little-model", "resources": {"requests": {"cpu": "1"}}}]})


def unready(since: float, lost: float | None = None) -> objects.Object:
    ready = condition("Ready", "False", since + 1 if lost is None else lost)
    return pod(age=since, containers=[container(running(since))], conditions=[ready])


def sampled(since: float) -> Observed:
    failing = condition(
        "ScalingActive", "False", since, reason="FailedGetResourceMetric", message="did not receive metrics"
    )
    return observe(PULLED, of=deployment(), hpas={Role.EDGE: hpa(failing, age=since)})


def next_turn(observed: Observed) -> float | None:
    clock = Clock(NOW)
    service_status(ServiceView(SCALED, 1, observed), clock)
    return clock.next_turn_s


@pytest.mark.parametrize(
    ("observed", "seconds"),
    [
        (observe(ready_pod()), None),
        (observe(crashing_pod()), None),
        (observe(going(creating_pod())), None),
        (observe(pod(containers=[objects.crash(running(3), ready=True)])), 12),
        (observe(pod(containers=[objects.crash(running(100))])), 500),
        (observe(creating_pod(age=3)), 2),
        (observe(creating_pod(age=6, conditions=SAID_NOTHING)), 14),
        (observe(creating_pod(age=300)), None),
        (observe(pod(node=None, age=3)), 17),
        (observe(unready(5)), 15),
        (observe(unready(60)), 540),
        (observe(unready(600)), None),
        (observe(unready(300, lost=4)), 16),
        (observe(pod(phase="Failed", reason="NodePorts", age=60)), 240),
        (observe(pod(phase="Failed", reason="NodePorts", age=600)), None),
        (sampled(10), 15),
        (sampled(600), None),
    ],
)
def test_the_next_turn_is_the_nearest_threshold(observed: Observed, seconds: float | None) -> None:
    assert next_turn(observed) == seconds


@pytest.mark.parametrize("seed", range(150))
def test_nothing_changes_before_the_next_turn(seed: int) -> None:
    """Whatever the objects hold: the status and the questions are the same at every moment until then."""
    chance = random.Random(seed)
    view = random_view(chance)
    clock = Clock(NOW)
    first = words(view, clock)
    until_s = clock.next_turn_s or 4000.0
    for share in (0.25, 0.5, 0.999):
        assert words(view, Clock(NOW + timedelta(seconds=until_s * share))) == first


def words(view: ServiceView, clock: Clock) -> object:
    asked = [question.uid for question in questions(view.observed, clock)]
    status = service_status(view, clock)
    conditions = [[item.get(key) for key in ("type", "status", "reason", "message")] for item in status["conditions"]]
    return asked, conditions, [status.get(key) for key in ("phase", "edge", "cloud", "active", "failed")]


def test_an_unknown_time_has_never_passed_and_a_clock_that_is_ahead_is_waited_for() -> None:
    clock = Clock(NOW)
    assert not clock.passed(None, 1)
    assert clock.next_turn_s is None
    assert not clock.passed(NOW + timedelta(seconds=3), 1)
    assert clock.passed(NOW - timedelta(seconds=1), 1)
    assert clock.next_turn_s == 4
    assert not clock.passed(NOW - timedelta(seconds=1), 2)
    assert clock.next_turn_s == 1
