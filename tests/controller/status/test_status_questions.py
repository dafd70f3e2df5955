"""Which pods are asked for their Events, and when to look again."""

from __future__ import annotations

import pytest

from controller.status.questions import QUESTIONS_PER_WORKER, PodQuestion, next_look, questions
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
    node,
    observe,
    pod,
    ready_pod,
    running,
)

UNREADY = pod(containers=[container(running(60))], conditions=[condition("Ready", "False", 61)])


@pytest.mark.parametrize(
    ("live", "asked"),
    [
        (creating_pod(age=30), True),
        (creating_pod(age=3), False),
        (UNREADY, True),
        (ready_pod(), False),
        (crashing_pod(), False),
        (pod(node=None), False),
        (going(creating_pod()), False),
        (pod(phase="Failed", reason="Evicted"), False),
        ({}, False),
    ],
)
def test_only_a_silent_pod_is_asked(live: objects.Object, asked: bool) -> None:
    found = questions(observe(live), NOW)
    name = "helmet-deployment-edge-7d4b9-aaaaa"
    assert found == ([PodQuestion("default", name, f"uid-{name}")] if asked else [])


def test_a_pod_goes_on_being_asked_once_its_events_told_the_cause() -> None:
    live = creating_pod()
    events = {live["metadata"]["uid"]: [objects.event("FailedMount", "hostPath type check failed")]}
    assert len(questions(observe(live, pod_events=events), NOW)) == 1


def test_a_node_out_of_reach_is_not_asked() -> None:
    assert questions(observe(creating_pod(), nodes=[node("Unknown")]), NOW) == []


def test_questions_are_bounded() -> None:
    pods = [creating_pod(f"helmet-deployment-edge-7d4b9-{index}") for index in range(20)]
    assert len(questions(observe(*pods), NOW)) == QUESTIONS_PER_WORKER


@pytest.mark.parametrize(
    ("live", "seconds"),
    [
        (ready_pod(), None),
        (crashing_pod(), None),
        (pod(containers=[objects.crash(running(3), ready=True)]), 5.0),
        (creating_pod(age=3), 5.0),
        (creating_pod(age=300), 30.0),
        (creating_pod(age=3600), 300.0),
        (UNREADY, 5.0),
        (pod(node=None, age=3), 5.0),
        (pod(phase="Failed", reason="NodePorts", age=60), 30.0),
        (pod(phase="Failed", reason="NodePorts", age=600), None),
        (going(creating_pod()), None),
    ],
)
def test_when_to_look_again(live: objects.Object, seconds: float | None) -> None:
    assert next_look(observe(live), NOW) == seconds


@pytest.mark.parametrize(("since", "seconds"), [(10, 5.0), (600, None)])
def test_a_young_autoscaler_is_looked_at_until_its_first_sample_is_due(since: float, seconds: float | None) -> None:
    failing = hpa(condition("ScalingActive", "False", since, reason="FailedGetResourceMetric"))
    assert next_look(observe(of=deployment(), hpas={Role.EDGE: failing}), NOW) == seconds
