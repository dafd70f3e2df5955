"""Whatever live objects hold: a status comes out, bounded, valid and without credentials."""

from __future__ import annotations

import copy
import random
from typing import Any, Final

import pytest

from controller.change_events import events
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.questions import questions
from controller.status.service_status import ServiceView, service_status
from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceServiceStatus
from tests.controller.status import objects
from tests.controller.status.objects import (
    NOW,
    condition,
    container,
    crash,
    node,
    running,
    service,
    terminated,
    waiting,
)

SECRET: Final = "hunter2"
WORDS: Final = f"failed: https://me:{SECRET}@host/x?token={SECRET} password={SECRET} " + "é" * 3000
ODD: Final[tuple[Any, ...]] = (
    None,
    "",
    "x",
    7,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    ["x"],
    [{}],
    {"a": 1},
    "2025-99-99T",
    WORDS,
)

STATES: Final = (
    waiting("ErrImagePull", WORDS),
    waiting("ImagePullBackOff", WORDS),
    waiting("CrashLoopBackOff", WORDS),
    waiting("CreateContainerConfigError", WORDS),
    waiting("RunContainerError", WORDS),
    waiting("ContainerCreating"),
    waiting("PodInitializing"),
    running(2),
    running(2000),
    terminated(0, "Completed"),
    terminated(137, "OOMKilled", WORDS),
    {},
)


def random_pod(chance: random.Random, index: int) -> objects.Object:
    states = [chance.choice(STATES) for _ in range(2)]
    return objects.pod(
        f"helmet-deployment-edge-{chance.choice('ab')}-{index}",
        node=chance.choice(["edge-1", "edge-2", None]),
        age=chance.choice([1, 10, 60, 5000]),
        containers=[crash(states[0], code=chance.choice([0, 1, 139, 300]), message=WORDS, ready=chance.random() < 0.3)],
        init_containers=[container(states[1], name="storage-initializer")] if chance.random() < 0.3 else [],
        conditions=[
            condition(kind, chance.choice(["True", "False", "Unknown"]), message=WORDS, reason="Unschedulable")
            for kind in ("Ready", "PodScheduled", "PodReadyToStartContainers", "DisruptionTarget")
            if chance.random() < 0.5
        ],
        phase=chance.choice(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
        reason=chance.choice(["", "Evicted", "NodePorts"]),
        message=WORDS,
    )


def damaged(chance: random.Random, live: Any) -> Any:
    """Return the object with some of its fields gone or odd."""
    if chance.random() < 0.04:
        return copy.deepcopy(chance.choice(ODD))
    if isinstance(live, dict):
        return {key: damaged(chance, value) for key, value in live.items() if chance.random() > 0.04}
    return [damaged(chance, item) for item in live] if isinstance(live, list) else live


def mapping(value: Any) -> objects.Object:
    return value if isinstance(value, dict) else {}


def random_view(chance: random.Random) -> ServiceView:
    pods = {role: [random_pod(chance, index) for index in range(chance.randrange(6))] for role in Role}
    failure = [objects.deployment_condition("ReplicaFailure", "True", "FailedCreate", WORDS)] * chance.randrange(2)
    scaling = condition("ScalingActive", "False", reason="FailedGetResourceMetric", message=WORDS)
    told = [objects.event(reason, WORDS) for reason in ("FailedMount", "Unhealthy", "FailedCreatePodSandBox")]
    observed = Observed(
        deployments={
            role: mapping(damaged(chance, objects.deployment(role, chance.randrange(4), conditions=failure)))
            for role in Role
            if chance.random() < 0.9
        },
        hpas={role: mapping(damaged(chance, objects.hpa(scaling, role=role))) for role in Role},
        pods={role: [mapping(damaged(chance, live)) for live in pods[role]] for role in Role},
        nodes={"edge-1": mapping(damaged(chance, node(chance.choice(["True", "Unknown"]))))},
        nodes_known=chance.random() < 0.7,
        pod_events={
            live["metadata"]["uid"]: [mapping(damaged(chance, event)) for event in told]
            for live in pods[Role.EDGE]
            if chance.random() < 0.5
        },
    )
    previous = mapping(damaged(chance, {"conditions": [condition("EdgeReady", "False")], "startTime": "x"}))
    scaled = {"hpa": {"maxReplicas": 3}}
    return ServiceView(service(edge=scaled, cloud=scaled), 1, observed, previous=previous)


@pytest.mark.parametrize("seed", range(400))
def test_any_objects_give_a_valid_bounded_status_without_credentials(seed: int) -> None:
    view = random_view(random.Random(seed))
    clock = Clock(NOW)
    status = service_status(view, clock)
    said = repr((status, events(view.previous, status)))
    assert SECRET not in said
    messages = [item.get("message", "") for item in status["conditions"]]
    messages += [event.message for event in events(view.previous, status)]
    assert max(len(message.encode()) for message in messages) <= 1024
    assert all(message.isprintable() for message in messages)
    assert status["active"] + status["failed"] == 2
    assert status["conditions"][-1]["type"] == ("Failed" if status["failed"] else "Running")
    JointInferenceServiceStatus.model_validate(status)
    assert len(questions(view.observed, clock)) <= 8
    assert clock.next_turn_s is None or 0 < clock.next_turn_s <= 600
