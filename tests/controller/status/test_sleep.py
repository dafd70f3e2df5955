"""A cloud worker that sleeps or wakes is well: what its conditions, phase and columns say."""

from __future__ import annotations

from typing import Any

import pytest

from controller.change_events import events
from controller.reasons import Reason
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.service_status import ServiceView, service_status
from controller.zero.marks import ASLEEP_SINCE, WOKEN_AT
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import NOW, condition, deployment, hpa, node, ready_pod, service

CONTAINERS = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]
CLOUD = {"hpa": {"minReplicas": 0, "maxReplicas": 4}, "template": {"spec": {"containers": CONTAINERS}}}
RESTS = condition(
    "ScalingActive", "False", reason="ScalingDisabled", message="scaling is disabled since the replica count"
)
ACTIVE = condition("ScalingActive", "True", reason="ValidMetricFound")
SINCE, AT = "2025-11-21T09:50:00Z", "2025-11-21T09:59:50Z"
POD = "helmet-deployment-cloud-7d4b9-aaaaa"


def seen(replicas: int, *pods: objects.Object, **marks: str) -> dict[str, Any]:
    """Return the status of a service whose edge serves; its cloud worker has these marks."""
    cloud = deployment(Role.CLOUD, replicas)
    cloud["metadata"]["annotations"] = marks
    observed = Observed(
        deployments={Role.EDGE: deployment(Role.EDGE), Role.CLOUD: cloud},
        hpas={Role.CLOUD: hpa(condition("AbleToScale", "True"), RESTS if marks else ACTIVE, role=Role.CLOUD)},
        pods={Role.EDGE: [ready_pod()], Role.CLOUD: list(pods)},
        nodes={"edge-1": node()},
        nodes_known=True,
    )
    return service_status(ServiceView(service(cloud=CLOUD), 3, observed), Clock(NOW))


def of(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    found = next(one for one in status["conditions"] if one["type"] == kind)
    return found["status"], found["reason"], found["message"]


def test_asleep_is_as_the_service_asks_for() -> None:
    status = seen(0, **{ASLEEP_SINCE: SINCE})
    assert of(status, "CloudReady") == ("False", Reason.ASLEEP, f"asleep since {SINCE}; the first hard frame wakes it")
    assert of(status, "CloudScaling") == (
        "True",
        Reason.SCALING,
        "rests with the worker; scales between 0 and 4 pods",
    )
    assert (status["phase"], status["failed"], status["active"]) == ("Running", 0, 2)
    assert status["conditions"][-1]["type"] == "Running"
    assert status["cloud"] == {"ready": "0/0", "scale": "0-4"}


def test_waking_says_since_when_and_what_it_waits_for() -> None:
    pod = objects.creating_pod(POD, spec={"containers": CONTAINERS})
    status = seen(1, pod, **{WOKEN_AT: AT})
    assert of(status, "CloudReady")[:2] == ("False", Reason.WAKING)
    assert of(status, "CloudReady")[2].startswith(f"woken at {AT}; 0 of 1 pod ready")
    assert of(status, "CloudScaling") == ("Unknown", Reason.STARTING, "goes on with its next look")
    assert (status["phase"], status["cloud"]["ready"]) == ("Running", "0/1")


def test_one_that_cannot_wake_fails_as_any_worker() -> None:
    pod = objects.crashing_pod(POD)
    status = seen(1, pod, **{WOKEN_AT: AT})
    assert of(status, "CloudReady")[:2] == ("False", Reason.CRASH_LOOP)
    assert status["phase"] == "Failed"


def test_awake_it_is_ready() -> None:
    status = seen(1, ready_pod(POD, spec={"containers": CONTAINERS}))
    assert of(status, "CloudReady")[:2] == ("True", Reason.READY)
    assert status["phase"] == "Running"


def test_a_zero_that_the_controller_has_not_noted_is_somebody_elses() -> None:
    assert of(seen(0), "CloudReady")[1] == Reason.SCALED_TO_ZERO


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (seen(1, ready_pod(POD, spec={"containers": CONTAINERS})), seen(0, **{ASLEEP_SINCE: SINCE}), ["Asleep"]),
        (
            seen(0, **{ASLEEP_SINCE: SINCE}),
            seen(1, objects.creating_pod(POD, spec={"containers": CONTAINERS}), **{WOKEN_AT: AT}),
            ["Waking"],
        ),
        (
            seen(1, objects.creating_pod(POD, spec={"containers": CONTAINERS}), **{WOKEN_AT: AT}),
            seen(1, ready_pod(POD, spec={"containers": CONTAINERS})),
            ["Ready"],
        ),
    ],
    ids=["asleep", "waking", "ready"],
)
def test_each_step_is_one_event_and_no_warning(before: dict[str, Any], after: dict[str, Any], told: list[str]) -> None:
    found = events(before, after)
    assert [event.reason for event in found if "cloud worker" in event.message.split(":")[0]] == told
    assert all(event.type == "Normal" for event in found if event.reason in told)
