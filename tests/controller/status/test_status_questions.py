"""Which pods are asked for their Events, and how long the answers are good for."""

from __future__ import annotations

import pytest

from controller.status.clock import Clock
from controller.status.questions import QUESTIONS_PER_WORKER, PodQuestion, questions
from tests.controller.status import objects
from tests.controller.status.objects import (
    NOW,
    condition,
    container,
    crashing_pod,
    creating_pod,
    going,
    node,
    observe,
    pod,
    ready_pod,
    running,
)

UNREADY = pod(containers=[container(running(60))], conditions=[condition("Ready", "False", 61)])
PULLING = creating_pod(conditions=[condition("PodReadyToStartContainers", "True")])
LOADING = pod(
    spec={"initContainers": [{"name": "storage-initializer", "image": "i"}]},
    init_containers=[container(running(60), name="storage-initializer")],
    containers=[container(objects.waiting("PodInitializing"))],
)


def asked(*pods: objects.Object, **more: object) -> list[PodQuestion]:
    return questions(observe(*pods, **more), Clock(NOW))


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (creating_pod(age=30), True),
        (creating_pod(age=3), False),
        (PULLING, False),
        (LOADING, False),
        (UNREADY, True),
        (ready_pod(), False),
        (crashing_pod(), False),
        (pod(node=None), False),
        (going(creating_pod()), False),
        (pod(phase="Failed", reason="Evicted"), False),
        ({}, False),
    ],
)
def test_only_a_pod_whose_events_would_say_more_is_asked(live: objects.Object, expected: bool) -> None:
    name = "helmet-deployment-edge-7d4b9-aaaaa"
    assert asked(live) == ([PodQuestion("default", name, f"uid-{name}", 10)] if expected else [])


@pytest.mark.parametrize(("age", "seconds"), [(6, 10), (119, 10), (121, 30), (899, 30), (901, 300), (86400, 300)])
def test_an_answer_about_a_pod_that_waits_long_is_good_for_longer(age: float, seconds: float) -> None:
    assert [question.good_for_s for question in asked(creating_pod(age=age))] == [seconds]


def test_a_pod_goes_on_being_asked_once_its_events_told_the_cause() -> None:
    live = creating_pod()
    events = {live["metadata"]["uid"]: [objects.event("FailedMount", "hostPath type check failed")]}
    assert len(asked(live, pod_events=events)) == 1


def test_a_node_out_of_reach_is_not_asked() -> None:
    assert asked(creating_pod(), nodes=[node("Unknown")]) == []


def test_questions_are_bounded_and_about_the_newest_pods() -> None:
    pods = [creating_pod(f"helmet-deployment-edge-7d4b9-{index:02}", age=90 - index) for index in range(20)]
    found = asked(*pods)
    assert len(found) == QUESTIONS_PER_WORKER
    assert found[-1].name.endswith("-19")
