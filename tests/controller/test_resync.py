"""A full comparison finds what the watches did not tell, and believes nothing that is older than what they told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.children import ChildKey, ChildKind
from controller.errors import Unavailable
from controller.handlers import Intake
from controller.resync import resync
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import NAME_LABEL
from tests.controller.fakes import FakeCluster

KEY = ChildKey(ChildKind.DEPLOYMENT, "d")
PLURALS = ["models", *(kind.plural for kind in ChildKind), "pods", "jointinferenceservices"]


def item(name: str, version: int = 5, uid: str = "u", namespace: str = "shop") -> dict[str, Any]:
    owner = {"kind": "JointInferenceService", "controller": True, "uid": "s1"}
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "labels": {NAME_LABEL: "helmet"}, "ownerReferences": [owner], "generation": 1}}


class Desk:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.store = Store()
        self.keys: list[ServiceKey] = []
        self.intake = Intake(self.store, self.keys.append)

    def resync(self, *namespaces: str) -> list[str]:
        self.cluster.calls.clear()
        asyncio.run(resync(self.cluster, self.store, self.intake, namespaces))  # type: ignore[arg-type]
        return self.cluster.calls

    def while_listing(self, plural: str, *happened: Any) -> None:
        def all_of_it() -> None:
            for take, event, document in happened:
                take(event, document)

        self.cluster.meanwhile[f"list {plural}"] = all_of_it

    def child(self, event: str | None, document: dict[str, Any]) -> None:
        self.intake.child(KEY.kind, event, document)


@pytest.mark.parametrize(
    ("namespaces", "calls"),
    [
        ((), [f"list {plural}" for plural in ["nodes", *PLURALS]]),
        (("a", "b"), [f"list {plural} in {namespace}" for plural in PLURALS for namespace in "ab"]),
    ],
)
def test_everything_is_listed_and_services_come_last(namespaces: tuple[str, ...], calls: list[str]) -> None:
    assert Desk().resync(*namespaces) == calls


def test_an_empty_store_learns_everything() -> None:
    desk = Desk()
    service = item("helmet", uid="s1")
    desk.cluster.lists = {plural: [item("d")] for plural in ["nodes", *PLURALS]}
    desk.cluster.lists["jointinferenceservices"] = [service]
    desk.resync()
    store = desk.store
    assert len(store.services) == len(store.models) == len(store.nodes) == len(store.all_pods()) == 1
    assert [len(store.children(kind)) for kind in ChildKind] == [1, 1, 1]
    assert set(desk.keys) == {ServiceKey("shop", "helmet")}


def test_what_is_gone_without_a_word_is_dropped_and_its_service_looked_at() -> None:
    desk = Desk()
    desk.cluster.lists = {plural: [item("d")] for plural in ["nodes", *PLURALS]}
    desk.cluster.lists["jointinferenceservices"] = [item("helmet", uid="s1"), item("other", uid="s2")]
    desk.resync()
    desk.store.uses(ServiceKey("shop", "other"), {("Model", "shop", "d")})
    desk.keys.clear()
    desk.cluster.lists = {"jointinferenceservices": [item("helmet", uid="s1")]}
    desk.resync()
    store = desk.store
    assert (store.models, store.nodes, store.all_pods()) == ({}, {}, [])
    assert [store.children(kind) for kind in ChildKind] == [[], [], []]
    assert list(store.services) == [ServiceKey("shop", "helmet")]
    assert set(desk.keys) == {ServiceKey("shop", "helmet"), ServiceKey("shop", "other")}


def test_a_comparison_that_finds_nothing_new_wakes_no_service_by_its_own_documents() -> None:
    desk = Desk()
    desk.cluster.lists = {"jointinferenceservices": [item("helmet", uid="s1")], "models": [item("m")]}
    desk.resync()
    desk.store.uses(ServiceKey("shop", "helmet"), {("Model", "shop", "m")})
    desk.keys.clear()
    desk.resync()
    assert desk.keys == []


def test_what_the_watch_told_during_a_list_is_newer_than_the_list() -> None:
    desk = Desk()
    desk.child(None, item("d", 5))
    desk.cluster.lists["deployments"] = [item("d", 5), item("gone", 6)]
    told = [(desk.child, "MODIFIED", item("d", 9)), (desk.child, "ADDED", item("new", 8))]
    desk.while_listing(
        "deployments", *told, (desk.child, "ADDED", item("gone", 6)), (desk.child, "DELETED", item("gone", 7))
    )
    desk.resync()
    known = {key.name for _, key in desk.store.children(KEY.kind)}
    assert known == {"d", "new"}
    live = desk.store.child("shop", KEY)
    assert live is not None
    assert live.version == "9"


def test_a_service_made_anew_during_a_list_is_the_one_that_stays() -> None:
    desk = Desk()
    desk.intake.service(None, item("helmet", 5, "s1"))
    desk.cluster.lists["jointinferenceservices"] = [item("helmet", 5, "s1")]
    take = desk.intake.service
    desk.while_listing(
        "jointinferenceservices",
        (take, "DELETED", item("helmet", 7, "s1")),
        (take, "ADDED", item("helmet", 9, "s2")),
    )
    desk.resync()
    assert desk.store.services["shop", "helmet"]["metadata"]["uid"] == "s2"  # type: ignore[index]
    desk.while_listing("jointinferenceservices", (take, "DELETED", item("helmet", 12, "s2")))
    desk.cluster.lists["jointinferenceservices"] = [item("helmet", 9, "s2")]
    desk.resync()
    assert desk.store.services == {}


def test_other_namespaces_are_nobodys_business() -> None:
    desk = Desk()
    desk.cluster.lists["models"] = [item("a", namespace="shop"), item("b", namespace="other")]
    desk.resync("shop")
    assert list(desk.store.models) == [("shop", "a")]


def test_a_list_that_fails_drops_nothing() -> None:
    desk = Desk()
    desk.child(None, item("d"))
    desk.cluster.failures["list deployments"] = [Unavailable("away")]
    with pytest.raises(Unavailable):
        desk.resync()
    assert desk.store.children(KEY.kind) == [("shop", KEY)]
