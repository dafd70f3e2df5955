"""The whole status: its conditions with their times, its phase, and upstream's fields."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.service_status import (
    ServiceView,
    has_changed,
    only_totals_differ,
    replacement,
    service_status,
)
from controller.status.totals import Totals
from sedna_py.api.child_names import Role
from sedna_py.api.finding import error, warning
from sedna_py.api.joint_inference_service import JointInferenceServiceStatus
from tests.controller.status import objects
from tests.controller.status.objects import (
    NOW,
    condition,
    crashing_pod,
    creating_pod,
    deployment,
    hpa,
    node,
    ready_pod,
    service,
)

REQUESTING = {
    "spec": {"containers": [{"name": "little-model", "image": "i", "resources": {"requests": {"cpu": "100m"}}}]}
}
SCALED = {"hpa": {"maxReplicas": 5}, "template": REQUESTING}
LATER = NOW + timedelta(minutes=7)


def both(edge: objects.Object | None, cloud: objects.Object | None, **more: Any) -> Observed:
    return Observed(
        deployments={role: deployment(role) for role in Role},
        pods={Role.EDGE: [edge] if edge else [], Role.CLOUD: [cloud] if cloud else []},
        nodes={"edge-1": node()},
        nodes_known=True,
        **more,
    )


def view(observed: Observed, **more: Any) -> ServiceView:
    return ServiceView(more.pop("service", service()), 3, observed, **more)


HEALTHY = both(ready_pod(), ready_pod())
BROKEN = both(crashing_pod(), ready_pod())


def kinds(status: objects.Object) -> list[str]:
    return [item["type"] for item in status["conditions"]]


def named(status: objects.Object, kind: str) -> objects.Object:
    return next(item for item in status["conditions"] if item["type"] == kind)


def test_a_healthy_service_in_full() -> None:
    times = {"lastHeartbeatTime": "2025-11-21T10:00:00Z", "lastTransitionTime": "2025-11-21T10:00:00Z"}
    common = {**times, "observedGeneration": 3, "status": "True"}
    totals = Totals().report("p", 120, 30)
    assert service_status(view(HEALTHY, totals=totals), Clock(NOW)) == {
        "observedGeneration": 3,
        "phase": "Running",
        "edge": {"ready": "1/1"},
        "cloud": {"ready": "1/1"},
        "conditions": [
            {"type": "SpecAccepted", "reason": "Accepted", **common},
            {"type": "CloudReady", "reason": "Ready", "message": "1 of 1 pod ready", **common},
            {"type": "EdgeReady", "reason": "Ready", "message": "1 of 1 pod ready", **common},
            {"type": "Running", **common},
        ],
        "startTime": "2025-11-21T10:00:00Z",
        "active": 2,
        "failed": 0,
        "metrics": [
            {"key": "inferenceNumber", "value": "120"},
            {"key": "hardExampleNumber", "value": "30"},
            {"key": "uploadCloudRatio", "value": "0.25"},
        ],
        "workers": [{"name": "p", "inferenceNumber": 120, "hardExampleNumber": 30}],
    }


def test_scaling_conditions_exist_only_with_their_block_and_in_a_fixed_order() -> None:
    status = service_status(view(HEALTHY, service=service(edge=SCALED, cloud=SCALED)), Clock(NOW))
    assert kinds(status) == ["SpecAccepted", "CloudReady", "EdgeReady", "CloudScaling", "EdgeScaling", "Running"]
    assert status["edge"] == {"ready": "1/1", "scale": "1-5"}
    status = service_status(view(HEALTHY, service=service(edge=SCALED), previous=status), Clock(NOW))
    assert kinds(status) == ["SpecAccepted", "CloudReady", "EdgeReady", "EdgeScaling", "Running"]


@pytest.mark.parametrize(
    ("block", "scale", "ready"),
    [
        ({"maxReplicas": 5}, "1-5", "1/1"),
        ({"maxReplicas": 5, "minReplicas": 0}, "0-5", "1/1"),
        ({"maxReplicas": 5, "class": "hpa"}, "1-5", "1/1"),
        ({"maxReplicas": 5, "class": "external"}, "external", "1/1"),
        ({"maxReplicas": 5, "class": "none"}, "none", "1/1"),
    ],
)
def test_the_column_says_in_which_range_or_who_scales(block: objects.Object, scale: str, ready: str) -> None:
    found = service_status(view(HEALTHY, service=service(cloud={"hpa": block})), Clock(NOW))
    assert found["cloud"] == {"ready": ready, "scale": scale}


LINKLESS = replace(
    both(ready_pod(conditions=[condition("Ready", "False", 300)]), ready_pod(node="cloud-1")),
    nodes={"edge-1": node("Unknown"), "cloud-1": node(name="cloud-1")},
)
NO_METRIC = hpa(
    condition(
        "ScalingActive", "False", reason="FailedGetResourceMetric", message="could not find the requested resource"
    )
)


@pytest.mark.parametrize(
    ("given", "phase", "last", "counts"),
    [
        (view(HEALTHY), "Running", "Running", (2, 0)),
        (view(both(creating_pod(age=3), ready_pod())), "Starting", "Running", (2, 0)),
        (view(Observed()), "Starting", "Running", (2, 0)),
        (view(BROKEN), "Failed", "Failed", (1, 1)),
        (view(both(crashing_pod(), crashing_pod())), "Failed", "Failed", (0, 2)),
        (view(LINKLESS), "Degraded", "Running", (2, 0)),
        (view(HEALTHY, problems={Role.EDGE: Cause(Reason.MODEL_MISSING, "m")}), "Degraded", "Running", (2, 0)),
        (view(Observed(), problems={Role.EDGE: Cause(Reason.MODEL_MISSING, "m")}), "Failed", "Failed", (1, 1)),
        (
            view(replace(HEALTHY, hpas={Role.EDGE: NO_METRIC}), service=service(edge=SCALED)),
            "Degraded",
            "Running",
            (2, 0),
        ),
        (
            view(HEALTHY, scaling_problems={Role.EDGE: Cause(Reason.FORBIDDEN, "m")}, service=service(edge=SCALED)),
            "Degraded",
            "Running",
            (2, 0),
        ),
        (view(HEALTHY, service=None, findings=[error(("spec",), "is missing")]), "Degraded", "Running", (2, 0)),
        (view(Observed(), service=None, findings=[error(("spec",), "is missing")]), "Failed", "Failed", (0, 2)),
        (view(HEALTHY, findings=[warning(("spec",), "x is unknown")]), "Running", "Running", (2, 0)),
    ],
)
def test_phase_current_state_and_counts_agree(
    given: ServiceView, phase: str, last: str, counts: tuple[int, int]
) -> None:
    status = service_status(given, Clock(NOW))
    assert (status["phase"], kinds(status)[-1]) == (phase, last)
    assert (status["active"], status["failed"]) == counts
    assert status["conditions"][-1]["status"] == "True"
    assert [kind for kind in kinds(status) if kind in {"Running", "Failed"}] == [last]


def test_failed_names_worker_pod_and_cause_with_the_reason_that_upstream_writes() -> None:
    last = service_status(view(BROKEN), Clock(NOW))["conditions"][-1]
    assert last["reason"] == "workerFailed"
    assert last["message"].startswith("edge worker: 0 of 1 pod ready: pod helmet-deployment-edge-7d4b9-aaaaa on node")
    assert "exit code 1" in last["message"]


def test_running_says_what_is_not_well() -> None:
    last = service_status(view(LINKLESS), Clock(NOW))["conditions"][-1]
    assert last["message"].startswith(
        "edge worker: 0 of 1 pod ready: edge offline since 2025-11-21T09:50:00Z: node edge-1"
    )


def test_failed_ends_with_its_cause_and_times_change_with_the_status_only() -> None:
    first = service_status(view(HEALTHY), Clock(NOW))
    broken = service_status(view(BROKEN, previous=first), Clock(LATER))
    well = service_status(view(HEALTHY, previous=broken), Clock(LATER + timedelta(minutes=1)))
    assert [kinds(status)[-1] for status in (first, broken, well)] == ["Running", "Failed", "Running"]
    times = {kind: named(broken, kind)["lastTransitionTime"] for kind in ("SpecAccepted", "CloudReady", "EdgeReady")}
    assert times == {
        "SpecAccepted": "2025-11-21T10:00:00Z",
        "CloudReady": "2025-11-21T10:00:00Z",
        "EdgeReady": "2025-11-21T10:07:00Z",
    }
    assert broken["conditions"][-1]["lastTransitionTime"] == "2025-11-21T10:07:00Z"
    assert well["conditions"][-1]["lastTransitionTime"] == "2025-11-21T10:08:00Z"
    assert [status["startTime"] for status in (broken, well)] == [first["startTime"]] * 2


def test_the_same_service_later_has_the_same_status() -> None:
    for given in (view(HEALTHY, service=service(edge=SCALED)), view(BROKEN), view(LINKLESS)):
        first = service_status(given, Clock(NOW))
        again = service_status(replace(given, previous=json.loads(json.dumps(first))), Clock(LATER))
        assert not has_changed(first, again)


def test_conditions_of_upstream_are_replaced_and_its_other_fields_go_on() -> None:
    old = [
        {"type": "Running", "status": "True", "lastTransitionTime": "2025-11-01T00:00:00Z"},
        {"type": "Failed", "status": "True", "reason": "workerFailed", "lastTransitionTime": "2025-11-02T00:00:00Z"},
    ]
    metrics = [{"key": "hardExampleNumber", "value": "3"}, {"key": "inferenceNumber", "value": "9"}]
    previous = {"startTime": "2025-11-01T00:00:00Z", "conditions": old, "metrics": metrics, "active": 1}
    status = service_status(view(HEALTHY, previous=previous, totals=Totals.from_status(previous)), Clock(NOW))
    assert kinds(status) == ["SpecAccepted", "CloudReady", "EdgeReady", "Running"]
    assert status["conditions"][-1]["lastTransitionTime"] == "2025-11-21T10:00:00Z"
    assert status["startTime"] == "2025-11-01T00:00:00Z"
    assert status["metrics"][0] == {"key": "inferenceNumber", "value": "9"}


def test_what_was_found_in_the_spec_is_told() -> None:
    findings = [warning(("spec", "edgeWorker"), "tresh is unknown"), error(("spec", "a"), "is 0; write 1")]
    accepted = named(service_status(view(HEALTHY, findings=findings[:1]), Clock(NOW)), "SpecAccepted")
    assert (accepted["status"], accepted["reason"]) == ("True", "AcceptedWithWarnings")
    assert accepted["message"] == "spec.edgeWorker: tresh is unknown"
    refused = named(service_status(view(HEALTHY, findings=findings), Clock(NOW)), "SpecAccepted")
    assert (refused["status"], refused["reason"], refused["message"]) == (
        "False",
        "InvalidSpec",
        "spec.a: is 0; write 1",
    )


def test_ready_counts_wanted_pods_even_before_there_is_a_deployment() -> None:
    status = service_status(
        view(Observed(), service=service(edge={"hpa": {"minReplicas": 2, "maxReplicas": 3}})), Clock(NOW)
    )
    assert (status["edge"], status["cloud"]) == ({"ready": "0/2", "scale": "2-3"}, {"ready": "0/1"})
    zero = Observed(deployments={role: deployment(role, replicas=0) for role in Role})
    assert service_status(view(zero), Clock(NOW))["edge"] == {"ready": "0/0"}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, False),
        ({"message of others": "x"}, False),
        ({"workers": None}, False),
        ({"active": 1}, True),
        ({"workers": []}, True),
        ({"metrics": None}, False),
    ],
)
def test_only_what_is_ours_makes_a_status_different(change: objects.Object, changed: bool) -> None:
    status = service_status(view(HEALTHY), Clock(NOW))
    assert has_changed({**status, **change}, status) is changed


def test_no_status_yet_is_a_change() -> None:
    assert has_changed(None, service_status(view(HEALTHY), Clock(NOW)))
    assert has_changed({}, service_status(view(HEALTHY), Clock(NOW)))


def test_the_status_is_what_the_api_has() -> None:
    status = service_status(view(BROKEN, totals=Totals().report("p", 2, 1), service=service(edge=SCALED)), Clock(NOW))
    parsed = JointInferenceServiceStatus.model_validate(status)
    assert parsed.model_dump(by_alias=True, exclude_none=True) == status


def test_a_merge_patch_takes_away_what_the_status_does_not_have_any_more() -> None:
    status = service_status(view(HEALTHY), Clock(NOW))
    patch = replacement(status)
    assert patch["edge"] == {"ready": "1/1", "scale": None}
    assert patch["workers"] is None
    assert patch["metrics"] is None
    assert {name: value for name, value in patch.items() if value is not None} == {
        **status,
        "edge": {"ready": "1/1", "scale": None},
        "cloud": {"ready": "1/1", "scale": None},
    }


def test_new_counts_alone_are_told_from_other_changes() -> None:
    few, many = (service_status(view(HEALTHY, totals=Totals().report("p", n, 1)), Clock(NOW)) for n in (2, 5))
    broken = service_status(view(BROKEN, totals=Totals().report("p", 5, 1)), Clock(NOW))
    assert has_changed(few, many)
    assert only_totals_differ(few, many)
    assert not only_totals_differ(many, broken)
    assert not only_totals_differ(None, few)
