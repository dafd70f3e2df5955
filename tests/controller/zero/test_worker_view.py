"""What the live objects of a cloud worker say about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.zero import marks
from controller.zero.worker_view import ready_pods, settled, wanted_by_autoscaler

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pod(uid: str = "p", *, service: str = "u", side: str = "cloud", ready: str = "True", **more: Any) -> dict[str, Any]:
    labels = {"jointinferenceservice.sedna.io/uid": service, "jointinferenceservice.sedna.io/worker-type": side}
    return {
        "metadata": {"uid": uid, "labels": labels, **more},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_ready_pods_are_those_of_this_services_cloud_worker_that_serve_and_stay() -> None:
    others = [
        pod("not-ready", ready="False"),
        pod("edge", side="edge"),
        pod("of-another", service="v"),
        pod("going", deletionTimestamp="2026-01-01T00:00:00Z"),
        {"metadata": {"uid": "bare"}},
    ]
    assert ready_pods([*others, pod("a"), pod("b")], "u") == ["a", "b"]


COUNTS = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 4}


@pytest.mark.parametrize(
    ("change", "is_settled"),
    [
        ({}, True),
        ({"replicas": 2}, False),
        ({"updatedReplicas": 0}, False),
        ({"readyReplicas": 0}, False),
        ({"observedGeneration": 3}, False),
    ],
)
def test_settled_is_one_pod_and_no_roll_out(change: dict[str, int], is_settled: bool) -> None:
    deployment = {"metadata": {"generation": 4}, "status": {**COUNTS, **change}}
    assert settled(deployment, ["p"]) is is_settled
    assert not settled(deployment, ["p", "q"])


def test_what_the_autoscaler_asks_for() -> None:
    assert wanted_by_autoscaler(None) is None
    assert wanted_by_autoscaler({"status": {}}) is None
    assert wanted_by_autoscaler({"status": {"desiredReplicas": 0}}) is None  # it rests, and has not looked since
    assert wanted_by_autoscaler({"status": {"desiredReplicas": 2}}) == 2


def test_each_mark_takes_the_place_of_the_other_and_replicas_go_with_them() -> None:
    live = {"metadata": {"annotations": {}}}
    assert (marks.asleep_since(live), marks.woken_at(live), marks.wanted_replicas(live)) == ("", "", 1)
    slept, woken = marks.asleep(NOW), marks.woken(NOW)
    assert slept["spec"] == {"replicas": 0}
    assert slept["metadata"]["annotations"] == {marks.ASLEEP_SINCE: "2026-01-02T03:04:05Z", marks.WOKEN_AT: None}
    assert woken["spec"] == {"replicas": 1}
    assert woken["metadata"]["annotations"] == {marks.ASLEEP_SINCE: None, marks.WOKEN_AT: "2026-01-02T03:04:05Z"}
    assert "spec" not in marks.seen_asleep(NOW)
    assert marks.awake() == {"metadata": {"annotations": {marks.ASLEEP_SINCE: None, marks.WOKEN_AT: None}}}
