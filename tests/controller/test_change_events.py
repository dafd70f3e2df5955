"""One Event for one change, none for a reconcile."""

from __future__ import annotations

from typing import Any

import pytest

from controller.change_events import AppliedChanges, ChangeEvent, events

Status = dict[str, Any]


def status(**reasons: tuple[str, str]) -> Status:
    """Make a status of conditions, each as (status, reason)."""
    return {
        "conditions": [
            {"type": kind, "status": truth, "reason": reason, "message": f"{reason} it is"}
            for kind, (truth, reason) in reasons.items()
        ]
    }


READY, STARTING = ("True", "Ready"), ("False", "Starting")
CRASH, SCALING = ("False", "CrashLoop"), ("True", "Scaling")


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("EdgeReady", None, STARTING, None),
        ("EdgeReady", STARTING, READY, "Normal"),
        ("EdgeReady", READY, READY, None),
        ("EdgeReady", READY, CRASH, "Warning"),
        ("EdgeReady", CRASH, CRASH, None),
        ("EdgeReady", CRASH, STARTING, None),
        ("EdgeReady", CRASH, READY, "Normal"),
        ("EdgeReady", READY, ("True", "PartlyReady"), "Warning"),
        ("EdgeReady", READY, ("True", "ModelMissing"), "Warning"),
        ("EdgeReady", ("False", "ModelMissing"), ("True", "ModelMissing"), "Warning"),
        ("EdgeReady", READY, ("Unknown", "NodeNotReady"), "Warning"),
        ("EdgeReady", READY, ("Unknown", "EdgeOffline"), "Warning"),
        ("CloudReachable", None, ("Unknown", "Starting"), None),
        ("CloudReachable", ("Unknown", "Starting"), ("Unknown", "CloudNotReady"), None),
        ("CloudReachable", ("Unknown", "CloudNotReady"), ("True", "CloudReached"), None),
        ("CloudReachable", ("Unknown", "Starting"), ("False", "CloudUnreachable"), "Warning"),
        ("CloudReachable", ("False", "CloudUnreachable"), ("True", "CloudReached"), "Normal"),
        ("EdgeReady", READY, ("False", "ScaledToZero"), "Normal"),
        ("SpecAccepted", None, ("True", "Accepted"), None),
        ("SpecAccepted", None, ("True", "AcceptedWithWarnings"), "Warning"),
        ("SpecAccepted", ("False", "InvalidSpec"), ("True", "Accepted"), "Normal"),
        ("SpecAccepted", ("True", "Accepted"), ("False", "InvalidSpec"), "Warning"),
        ("EdgeReady", None, ("False", "InvalidSpec"), None),
        ("EdgeReady", READY, ("True", "InvalidSpec"), None),
        ("EdgeReady", ("True", "InvalidSpec"), READY, None),
        ("EdgeReady", ("False", "InvalidSpec"), READY, "Normal"),
        ("EdgeReady", ("True", "InvalidSpec"), CRASH, "Warning"),
        ("CloudScaling", None, SCALING, None),
        ("CloudScaling", ("Unknown", "Starting"), SCALING, None),
        ("CloudScaling", SCALING, ("True", "AtLimit"), "Normal"),
        ("CloudScaling", ("True", "AtLimit"), SCALING, None),
        ("CloudScaling", SCALING, ("False", "MetricUnavailable"), "Warning"),
        ("CloudScaling", ("False", "MetricUnavailable"), SCALING, "Normal"),
        ("CloudScaling", SCALING, None, None),
        ("Failed", None, ("True", "workerFailed"), None),
    ],
)
def test_a_condition_that_changes(
    kind: str, before: tuple[str, str] | None, after: tuple[str, str] | None, expected: str | None
) -> None:
    old, new = (status(**({kind: value} if value else {})) for value in (before, after))
    found = events(old, new)
    assert [event.type for event in found] == ([expected] if expected else [])
    assert [event.reason for event in found] == ([after[1]] if expected and after else [])


def test_an_event_says_which_worker() -> None:
    old, new = status(EdgeReady=READY, CloudScaling=SCALING), status(EdgeReady=CRASH, CloudScaling=("False", "Refused"))
    assert events(old, new) == [
        ChangeEvent("Warning", "CrashLoop", "edge worker: CrashLoop it is"),
        ChangeEvent("Warning", "Refused", "autoscaler of the cloud worker: Refused it is"),
    ]


def test_another_message_for_the_same_reason_is_no_event() -> None:
    old, new = status(EdgeReady=CRASH), status(EdgeReady=CRASH)
    new["conditions"][0]["message"] = "something else"
    assert events(old, new) == []


def test_no_status_yet_is_like_an_empty_one() -> None:
    assert events(None, status(EdgeReady=CRASH)) == events({}, status(EdgeReady=CRASH))


def test_work_on_the_children_is_one_event_of_each_kind() -> None:
    applied = AppliedChanges(
        created=["Deployment a", "Service b"], updated=["Deployment c"], repaired=["Service b"], deleted=["X d"]
    )
    assert events({}, {}, applied) == [
        ChangeEvent("Normal", "Created", "created Deployment a, Service b"),
        ChangeEvent("Normal", "Updated", "updated Deployment c"),
        ChangeEvent("Normal", "Repaired", "put back as the service asks Service b"),
        ChangeEvent("Normal", "Deleted", "deleted X d"),
    ]
    assert events({}, {}, AppliedChanges()) == []


def test_messages_are_bounded() -> None:
    new = status(EdgeReady=CRASH)
    new["conditions"][0]["message"] = "é" * 2000
    applied = AppliedChanges(created=[f"Deployment {index}-" + "x" * 300 for index in range(100)])
    found = events({}, new, applied)
    assert len(found) == 2
    assert all(len(event.message.encode()) <= 1024 for event in found)
    assert "and 92 more" in events({}, {}, AppliedChanges(created=["x"] * 100))[0].message
