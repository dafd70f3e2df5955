"""Children are brought to what is wanted, and left alone when they are."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller import child_sync
from controller.child_sync import Change, ChildSync, Outcome, Owner
from controller.children import ChildKey, ChildKind
from controller.errors import ClusterError, Conflict, Forbidden, NameTaken, NotFound, Refused, Unavailable
from controller.handlers import Intake
from controller.reasons import Reason
from controller.store import Store
from sedna_py.api.child_names import Role
from tests.controller.fakes import FakeCluster
from tests.controller.one_service import CLOUD, EDGE, EDGE_HPA, FRONT, PODS
from tests.controller.wanted_objects import UID, wanted

OWNER = Owner("shop", "helmet", UID)
WITH_HPA = {"spec.edgeWorker.hpa": {"maxReplicas": 1}}
NEW_IMAGE = {"spec.edgeWorker.template.spec.containers": [{"name": "c", "image": "i:2"}]}
ALL = [CLOUD, FRONT, PODS, EDGE]
APPLIES = [f"apply {key}" for key in ALL]


class Desk:
    def __init__(self) -> None:
        self.now = 1000.0
        self.cluster = FakeCluster()
        self.cluster.services["shop", "helmet"] = {"metadata": {"uid": UID}}
        self.restart()

    def restart(self) -> None:
        self.store = Store()
        self.intake = Intake(self.store, lambda _: None)
        self.cluster.told.clear()
        for (_, key), live in self.cluster.objects.items():
            self.intake.child(key.kind, None, copy.deepcopy(live))
        self.sync_ = ChildSync(self.cluster, self.store, lambda: self.now)  # type: ignore[arg-type]

    def sync(self, changes: dict[str, Any] | None = None, *, deliver: bool = True, **options: Any) -> Outcome:
        self.cluster.calls.clear()
        outcome = asyncio.run(self.sync_.sync(OWNER, wanted(changes, **options)))
        if deliver:
            self.cluster.deliver(self.intake)
        return outcome

    def made(self) -> Desk:
        self.sync()
        return self

    def spec(self, key: ChildKey) -> dict[str, Any]:
        spec: dict[str, Any] = self.cluster.objects["shop", key]["spec"]
        return spec

    def edit(self, key: ChildKey, path: str, value: Any) -> None:
        self.cluster.edit("shop", key, path, value)
        self.cluster.deliver(self.intake)

    def remove(self, key: ChildKey) -> None:
        self.cluster.remove("shop", key)
        self.cluster.deliver(self.intake)

    def writes(self) -> list[str]:
        return [call for call in self.cluster.calls if not call.startswith("get")]


def test_a_new_service_gets_its_children_in_order_and_then_costs_nothing() -> None:
    desk = Desk()
    outcome = desk.sync()
    assert desk.writes() == APPLIES
    assert outcome == Outcome(changes=dict.fromkeys(ALL, Change.CREATED))
    again = desk.sync()
    assert desk.cluster.calls == []
    assert set(again.changes.values()) == {Change.UNCHANGED}


def test_answers_are_believed_before_their_events_come() -> None:
    desk = Desk()
    desk.sync(deliver=False)
    desk.sync(deliver=False)
    assert desk.cluster.calls == []


def test_a_new_process_applies_once_changes_nothing_and_tells_nothing() -> None:
    desk = Desk().made()
    versions = {key: live["metadata"]["resourceVersion"] for key, live in desk.cluster.objects.items()}
    desk.restart()
    outcome = desk.sync()
    assert desk.writes() == APPLIES
    assert set(outcome.changes.values()) == {Change.UNCHANGED}
    assert {key: live["metadata"]["resourceVersion"] for key, live in desk.cluster.objects.items()} == versions
    desk.sync()
    assert desk.cluster.calls == []


def test_a_status_written_since_the_list_is_no_change_of_ours() -> None:
    desk = Desk().made()
    desk.restart()
    desk.cluster.touch("shop", EDGE, {"readyReplicas": 1})  # its event is late
    assert desk.sync().changes[EDGE] is Change.UNCHANGED
    desk.sync(NEW_IMAGE)
    desk.restart()
    assert desk.sync().changes[EDGE] is Change.UPDATED, "an image of other settings is a change"


def test_an_edit_of_the_service_touches_the_child_that_it_concerns() -> None:
    desk = Desk().made()
    outcome = desk.sync(NEW_IMAGE)
    assert desk.writes() == [f"apply {EDGE}"]
    assert outcome.changes[EDGE] is Change.UPDATED
    outcome = desk.sync({**NEW_IMAGE, **WITH_HPA})
    assert desk.writes() == [f"apply {EDGE_HPA}"]
    assert outcome.changes[EDGE_HPA] is Change.CREATED


@pytest.mark.parametrize(
    "harm",
    [
        lambda desk: desk.remove(EDGE),
        lambda desk: desk.edit(EDGE, "spec.template.spec", {"containers": []}),
        lambda desk: desk.edit(EDGE, "spec.paused", True),  # added, not changed
    ],
    ids=["deleted", "edited", "added to"],
)
def test_what_others_do_to_a_child_is_repaired_and_told_once(harm: Callable[[Desk], None]) -> None:
    desk = Desk().made()
    wanted_spec = desk.cluster.objects["shop", EDGE]["spec"]
    before = str(wanted_spec)
    harm(desk)
    assert desk.sync().changes[EDGE] is Change.REPAIRED
    assert str(desk.spec(EDGE)) == before
    assert desk.sync().changes[EDGE] is Change.UNCHANGED
    assert desk.writes() == []


def test_an_edit_while_an_apply_is_under_way_is_repaired_next() -> None:
    desk = Desk().made()
    desk.cluster.meanwhile[f"apply {EDGE}"] = lambda: desk.edit(EDGE, "spec.template.spec", {"containers": []})
    desk.sync(NEW_IMAGE)
    assert desk.sync(NEW_IMAGE).changes[EDGE] is Change.REPAIRED
    assert desk.spec(EDGE)["template"]["spec"]["containers"][0]["image"] == "i:2"


def test_an_edit_while_foreign_fields_are_removed_is_not_taken_for_ours() -> None:
    desk = Desk().made()
    desk.edit(EDGE, "spec.paused", True)
    desk.cluster.meanwhile[f"apply {EDGE}"] = lambda: desk.edit(EDGE, "spec.template.spec", {"containers": []})
    outcome = desk.sync()
    assert isinstance(outcome.failure, Unavailable)
    desk.sync()
    assert desk.spec(EDGE)["template"]["spec"]["containers"] != []
    assert "paused" not in desk.spec(EDGE)


def test_a_status_written_while_foreign_fields_are_removed_is_no_failure() -> None:
    desk = Desk().made()
    desk.edit(EDGE, "spec.paused", True)
    desk.cluster.meanwhile[f"apply {EDGE}"] = lambda: desk.cluster.touch("shop", EDGE, {"replicas": 1})
    outcome = desk.sync()
    assert (outcome.failure, outcome.changes[EDGE]) == (None, Change.REPAIRED)
    assert "paused" not in desk.spec(EDGE)


def test_a_child_deleted_while_it_is_applied_is_made_again() -> None:
    desk = Desk().made()
    desk.cluster.meanwhile[f"apply {EDGE}"] = lambda: desk.remove(EDGE)
    desk.sync(NEW_IMAGE)
    assert ("shop", EDGE) not in desk.cluster.objects
    assert desk.sync(NEW_IMAGE).changes[EDGE] is Change.REPAIRED
    assert ("shop", EDGE) in desk.cluster.objects


def test_a_deletion_that_no_event_has_told_is_found_out_by_the_refusal() -> None:
    desk = Desk().made()
    desk.cluster.remove("shop", EDGE)
    desk.cluster.told.clear()
    assert isinstance(desk.sync(NEW_IMAGE).failure, Unavailable)
    outcome = desk.sync(NEW_IMAGE)
    assert (outcome.failure, outcome.changes[EDGE]) == (None, Change.REPAIRED)


def test_a_child_that_is_being_deleted_is_waited_for() -> None:
    desk = Desk().made()
    desk.cluster.edit("shop", EDGE, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")  # foreground
    desk.cluster.deliver(desk.intake)
    desk.sync(NEW_IMAGE)
    assert desk.writes() == []
    desk.remove(EDGE)
    assert desk.sync(NEW_IMAGE).changes[EDGE] is Change.REPAIRED


@pytest.mark.parametrize("seen", [True, False], ids=["with our label", "in no watch"])
def test_somebody_elses_object_of_the_name_is_left_alone(seen: bool) -> None:
    desk = Desk()
    theirs = {"metadata": {"name": EDGE.name, "labels": {"app": "x"}}, "spec": {"replicas": 7}}
    desk.cluster.put("shop", EDGE.kind, theirs)
    if seen:
        desk.cluster.deliver(desk.intake)
    desk.cluster.told.clear()
    outcome = desk.sync()
    assert desk.writes() == APPLIES[:3]
    assert desk.spec(EDGE) == {"replicas": 7}
    assert isinstance(outcome.failure, NameTaken)
    reason, message = outcome.problems[EDGE.kind, Role.EDGE]
    assert reason is Reason.NAME_TAKEN
    assert "delete Deployment helmet-deployment-edge or give the service another name" in message


def test_a_child_of_an_earlier_service_is_waited_for() -> None:
    desk = Desk()
    owner = {"kind": "JointInferenceService", "controller": True, "uid": "an earlier one"}
    desk.cluster.put("shop", EDGE.kind, {"metadata": {"name": EDGE.name, "ownerReferences": [owner]}})
    desk.cluster.deliver(desk.intake)
    outcome = desk.sync()
    assert "earlier service of this name" in str(outcome.failure)
    assert desk.writes() == APPLIES[:3]
    desk.remove(EDGE)
    assert desk.sync().changes[EDGE] is Change.CREATED


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Refused("bad port"), Reason.REFUSED),
        (Forbidden("quota"), Reason.FORBIDDEN),
        (NotFound("no namespace"), Reason.API_UNAVAILABLE),
        (Unavailable("busy"), Reason.API_UNAVAILABLE),
    ],
)
def test_the_failure_of_one_child_stops_no_other(failure: ClusterError, reason: Reason) -> None:
    desk = Desk()
    desk.cluster.failures[f"apply {CLOUD}"] = [failure]
    outcome = desk.sync()
    assert desk.writes() == APPLIES
    assert outcome.failure is failure
    assert outcome.problems == {(ChildKind.DEPLOYMENT, Role.CLOUD): (reason, f"{CLOUD}: {failure}")}
    assert desk.sync().changes[CLOUD] is Change.CREATED
    assert desk.writes() == APPLIES[:1]


def test_of_several_failures_the_one_that_is_worth_an_early_retry_counts() -> None:
    desk = Desk()
    refused, busy, last = Refused("bad"), Unavailable("busy"), Forbidden("no")
    desk.cluster.failures = {call: [failure] for call, failure in zip(APPLIES, (refused, busy, last), strict=False)}
    assert desk.sync().failure is busy


def test_a_fight_over_a_child_becomes_slow_and_ends_by_itself() -> None:
    desk = Desk().made()
    repairs = 0
    for _ in range(120):  # a minute in which somebody edits twice a second
        desk.edit(EDGE, "spec.template.spec", {"containers": []})
        outcome = desk.sync()
        repairs += outcome.changes.get(EDGE) is Change.REPAIRED
        assert outcome.changes.get(FRONT) is Change.UNCHANGED
        assert (EDGE in outcome.contested) is (EDGE not in outcome.changes)
        desk.now += 0.5
    assert child_sync.MOST_REPAIRS < repairs < child_sync.MOST_REPAIRS + 15
    desk.edit(EDGE, "spec.template.spec", {"containers": []})
    desk.now += child_sync.CONTESTED_PAUSE_S
    assert desk.sync().changes[EDGE] is Change.REPAIRED
    assert desk.sync().contested == [EDGE]
    desk.now += child_sync.REPAIR_WINDOW_S
    assert desk.sync() == Outcome(changes=dict.fromkeys(ALL, Change.UNCHANGED))


def test_what_is_no_longer_wanted_is_deleted_and_told_once() -> None:
    desk = Desk()
    desk.sync(WITH_HPA)
    outcome = desk.sync(deliver=False)
    assert desk.writes() == [f"delete {EDGE_HPA}"]
    assert outcome.changes[EDGE_HPA] is Change.DELETED
    again = desk.sync(deliver=False)  # its event is late
    assert EDGE_HPA not in again.changes
    desk.sync()
    assert desk.cluster.calls == []


def test_only_children_of_this_very_service_are_pruned() -> None:
    desk = Desk().made()
    for uid, name in (("another", "other"), (UID, "stray")):
        owner = {"kind": "JointInferenceService", "controller": True, "uid": uid}
        desk.cluster.put("shop", EDGE_HPA.kind, {"metadata": {"name": name, "ownerReferences": [owner]}})
    desk.cluster.put("shop", EDGE_HPA.kind, {"metadata": {"name": "nobodys"}})
    desk.cluster.deliver(desk.intake)
    desk.sync()
    assert desk.writes() == ["delete HorizontalPodAutoscaler stray"]


def test_what_there_is_of_a_worker_that_has_to_wait_stays() -> None:
    desk = Desk()
    desk.sync(WITH_HPA)
    desk.sync(WITH_HPA, url="s3://bucket/yolo.xml", credential="missing")
    assert desk.writes() == []
    assert ("shop", EDGE_HPA) in desk.cluster.objects
    assert ("shop", EDGE) in desk.cluster.objects


@pytest.mark.parametrize(
    ("failure", "kept"),
    [(Conflict("another uid"), None), (Unavailable("busy"), Unavailable), (Forbidden("no"), Forbidden)],
)
def test_a_deletion_that_fails_is_tried_again(failure: ClusterError, kept: type[ClusterError] | None) -> None:
    desk = Desk()
    desk.sync(WITH_HPA)
    desk.cluster.failures[f"delete {EDGE_HPA}"] = [failure]
    outcome = desk.sync()
    assert outcome.failure is (failure if kept else None)
    assert EDGE_HPA not in outcome.changes
    assert desk.sync().changes[EDGE_HPA] is Change.DELETED


def test_a_service_that_is_forgotten_and_comes_back_is_applied_again() -> None:
    desk = Desk().made()
    desk.sync_.forget(UID)
    desk.sync_.forget("never seen")
    desk.sync()
    assert desk.writes() == APPLIES
