"""A child that has lost its owner or its labels, and one that apply alone cannot put right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.child_sync import Change, ChildSync, Outcome, Owner
from controller.children import ChildKey
from controller.errors import NameTaken, Refused, Unavailable
from controller.handlers import Intake
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import NAME_LABEL, UID_LABEL
from tests.controller.fakes import FakeCluster
from tests.controller.one_service import CLOUD, EDGE, FRONT, helmet
from tests.controller.wanted_objects import UID, wanted

REFUSED = Refused("spec: Invalid value", 422, "Invalid")


class Desk:
    """Service shop/helmet with its children made and known."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cluster.services["shop", "helmet"] = {"metadata": {"uid": UID}}
        self.woken: list[ServiceKey] = []
        self.start()
        self.sync()

    def start(self) -> None:
        """Begin as a new process that has seen what there is."""
        self.store = Store()
        self.intake = Intake(self.store, self.woken.append)
        self.intake.service("ADDED", helmet(UID))
        for (_, key), live in self.cluster.objects.items():
            self.intake.child(key.kind, None, live)
        self.children = ChildSync(self.cluster, self.store, lambda: 0.0)  # type: ignore[arg-type]

    def sync(self) -> Outcome:
        self.cluster.calls.clear()
        outcome = asyncio.run(self.children.sync(Owner("shop", "helmet", UID), wanted()))
        self.cluster.deliver(self.intake)
        self.woken.clear()
        return outcome

    def free(self, key: ChildKey) -> None:
        """Take the owner out, as a person does or the garbage collector for --cascade=orphan."""
        self.cluster.edit("shop", key, "metadata.ownerReferences", [])
        self.cluster.deliver(self.intake)

    def owners(self, key: ChildKey) -> list[Any]:
        return [owner["uid"] for owner in self.cluster.objects["shop", key]["metadata"]["ownerReferences"]]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("key", [EDGE, FRONT], ids=str)
def test_a_child_whose_owner_was_taken_out_is_the_services_again(key: ChildKey, restarted: bool) -> None:
    desk = Desk()
    desk.free(key)
    assert set(desk.woken) == {ServiceKey("shop", "helmet")}
    if restarted:
        desk.start()
    assert desk.sync().failure is None
    assert desk.owners(key) == [UID]


def test_what_lost_its_labels_as_well_is_known_by_its_uid() -> None:
    desk = Desk()
    desk.cluster.edit("shop", EDGE, "metadata.labels", {})
    desk.free(EDGE)
    desk.store.drop_child(EDGE.kind, desk.cluster.objects["shop", EDGE])  # no watch shows it any more
    assert desk.sync().failure is None
    assert desk.cluster.objects["shop", EDGE]["metadata"]["labels"][NAME_LABEL] == "helmet"
    assert desk.owners(EDGE) == [UID]


@pytest.mark.parametrize("service", [None, {"uid": UID, "deletionTimestamp": "now"}, {"uid": "another"}])
def test_what_is_set_free_with_its_service_stays_free(service: dict[str, Any] | None) -> None:
    """The event of the service's deletion is late: only the server can tell."""
    desk = Desk()
    desk.cluster.services = {} if service is None else {("shop", "helmet"): {"metadata": service}}
    desk.free(EDGE)
    outcome = desk.sync()
    assert isinstance(outcome.failure, Unavailable)
    assert f"apply {EDGE}" not in desk.cluster.calls
    assert desk.owners(EDGE) == []


def test_an_ownerless_object_with_another_services_uid_is_somebody_elses() -> None:
    desk = Desk()
    desk.cluster.remove("shop", EDGE)
    labels = {NAME_LABEL: "helmet", UID_LABEL: "another"}
    desk.cluster.put("shop", EDGE.kind, {"metadata": {"name": EDGE.name, "labels": labels}, "spec": {}})
    desk.cluster.deliver(desk.intake)
    assert isinstance(desk.sync().failure, NameTaken)
    assert f"apply {EDGE}" not in desk.cluster.calls


def test_what_apply_cannot_put_right_is_overwritten() -> None:
    desk = Desk()
    desk.cluster.edit("shop", EDGE, "spec.template.spec", {"containers": []})
    desk.cluster.deliver(desk.intake)
    desk.cluster.failures[f"apply {EDGE}"] = [REFUSED]
    assert desk.sync().changes[EDGE] is Change.REPAIRED
    assert [call for call in desk.cluster.calls if not call.startswith("get")] == [
        f"apply {EDGE}",
        f"patch {EDGE}",
        f"apply {EDGE}",
    ]
    assert set(desk.sync().changes.values()) == {Change.UNCHANGED}


def test_what_is_refused_for_the_services_own_sake_stays_as_it_is() -> None:
    desk = Desk()
    desk.cluster.edit("shop", EDGE, "spec.paused", True)
    desk.cluster.deliver(desk.intake)
    desk.cluster.failures = {f"apply {EDGE}": [REFUSED], f"patch {EDGE}": [REFUSED]}
    outcome = desk.sync()
    assert outcome.failure is REFUSED
    assert outcome.changes[CLOUD] is Change.UNCHANGED
