"""What the store believes when events, answers and lists overtake each other."""

from __future__ import annotations

from typing import Any

import pytest

from controller.children import ChildKey, ChildKind
from controller.cluster import FIELD_MANAGER
from controller.store import ServiceKey, Store, live_child
from sedna_py.api.child_names import NAME_LABEL, UID_LABEL

HELMET = ServiceKey("shop", "helmet")
KEY = ChildKey(ChildKind.DEPLOYMENT, "helmet-deployment-edge")
OWNED = {"f:spec": {"f:template": {}}}


def document(version: int, uid: str = "one", name: str = "helmet", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": str(version), **metadata}}


def child(version: int, uid: str = "c1", owner: str | None = "one", **metadata: Any) -> dict[str, Any]:
    owners = [{"kind": "JointInferenceService", "controller": True, "uid": owner}] if owner else []
    fields = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": OWNED}]
    return document(version, uid, KEY.name, ownerReferences=owners, managedFields=fields, **metadata)


def pod(version: int, service: str = "helmet", name: str = "p1") -> dict[str, Any]:
    return document(version, f"uid of {name}", name, labels={NAME_LABEL: service})


def version_of_service(store: Store) -> str | None:
    known = store.services.get(HELMET)
    return known["metadata"]["resourceVersion"] if known else None


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ([document(5), document(6)], "6"),
        ([document(6), document(5)], "6"),  # the answer came before the event
        ([document(9, "two"), document(5, "one")], "9"),  # a late event of the service that had the name before
        ([document(5, "one"), document(9, "two")], "9"),
        ([document(9), document(10)], "10"),
    ],
)
def test_the_newest_service_of_a_name_stays(told: list[Any], version: str) -> None:
    store = Store()
    for each in told:
        assert store.put_service(each) == HELMET
    assert version_of_service(store) == version
    uid = store.services[HELMET]["metadata"]["uid"]
    assert store.service_of_uid(uid) == HELMET
    assert {store.service_of_uid(other) for other in {"one", "two"} - {uid}} == {None}


def test_a_service_is_dropped_only_by_the_end_of_that_very_service() -> None:
    store = Store()
    store.put_service(document(9, "two"))
    assert not store.drop_service(document(8, "one"))
    assert version_of_service(store) == "9"
    assert store.drop_service(document(12, "two"))
    assert not store.drop_service(document(12, "two"))
    assert store.services == {}
    assert store.service_of_uid("two") is None


def test_what_was_read_before_a_deletion_does_not_bring_the_object_back() -> None:
    store = Store()
    for put, drop, make in (
        (store.put_service, store.drop_service, document),
        (store.put_model, store.drop_model, document),
        (store.put_node, store.drop_node, document),
    ):
        put(make(5))
        drop(make(7))
        put(make(6))  # a list, or the answer to a request, from before
    assert (store.services, store.models, store.nodes) == ({}, {}, {})
    for again in (store.put_service, store.put_model, store.put_node):
        again(document(8, "two"))
    assert len(store.services) == len(store.models) == len(store.nodes) == 1


def test_a_child_deleted_while_it_was_applied_does_not_come_back_by_the_answer() -> None:
    store = Store()
    store.put_child(KEY.kind, child(5))
    dropped = store.drop_child(KEY.kind, child(8))
    assert dropped is not None
    assert dropped.owner_uid == "one"
    assert store.put_child(KEY.kind, child(7)) is None
    assert store.child("shop", KEY) is None
    assert list(store.children_of("one")) == []
    assert store.put_child(KEY.kind, child(9, uid="c2")) is not None
    assert [key for key, _ in store.children_of("one")] == [KEY]


def test_a_pod_deleted_while_it_was_listed_does_not_come_back() -> None:
    store = Store()
    assert store.put_pod(pod(5)) == HELMET
    assert store.drop_pod(pod(8)) == HELMET
    assert store.put_pod(pod(7)) == HELMET
    assert store.all_pods() == []
    assert store.service_of_pod("shop", "p1") is None


@pytest.mark.parametrize(
    ("event", "stays"),
    [
        (child(8), False),
        (child(8, uid="c0"), True),  # of the object that had the name before
        (child(4), True),  # it had lost its label at 4; the answer with version 5 has given it back
    ],
)
def test_a_child_is_dropped_only_by_its_own_and_latest_deletion(event: Any, stays: bool) -> None:
    store = Store()
    store.put_child(KEY.kind, child(5))
    assert (store.drop_child(KEY.kind, event) is None) is stays
    assert (store.child("shop", KEY) is not None) is stays


def test_a_child_that_changes_its_owner_is_found_by_the_new_one_only() -> None:
    store = Store()
    store.put_child(KEY.kind, child(5, owner="one"))
    store.put_child(KEY.kind, child(6, owner="two"))
    assert list(store.children_of("one")) == []
    assert [key for key, _ in store.children_of("two")] == [KEY]
    store.put_child(KEY.kind, child(7, owner=None))
    assert list(store.children_of("two")) == []
    assert store.children(ChildKind.DEPLOYMENT) == [("shop", KEY)]
    assert store.children(ChildKind.HPA) == []


def test_a_live_child_says_what_matters_and_leaves_managed_fields_out() -> None:
    live = live_child(child(5, deletionTimestamp="2026-01-01T00:00:00Z", labels={UID_LABEL: "one"}))
    assert (live.uid, live.version, live.deleting, live.owner_uid, live.service_uid) == ("c1", "5", True, "one", "one")
    assert live.ownership is not None
    assert "managedFields" not in live.manifest["metadata"]
    bare = live_child({"metadata": {"name": "x", "namespace": "shop"}})
    assert (bare.uid, bare.version, bare.deleting, bare.owner_uid, bare.ownership) == ("", "", False, None, None)
    assert bare.service_uid is None


@pytest.mark.parametrize(
    "owner",
    [
        {"kind": "JointInferenceService", "uid": "one"},  # not the controller
        {"kind": "ReplicaSet", "controller": True, "uid": "one"},
    ],
)
def test_only_a_controlling_service_owns_a_child(owner: dict[str, Any]) -> None:
    assert live_child(document(5, ownerReferences=[owner])).owner_uid is None


def test_a_pod_moves_with_its_label_and_old_news_do_not_move_it_back() -> None:
    store = Store()
    store.put_pod(pod(5, "helmet"))
    other = ServiceKey("shop", "other")
    assert store.put_pod(pod(6, "other")) == other
    assert store.put_pod(pod(5, "helmet")) == other
    assert store.pods(HELMET) == []
    assert store.service_of_pod("shop", "p1") == other
    assert store.drop_pod(pod(7, "helmet")) == other  # whatever its last label was
    assert store.all_pods() == []


def test_pods_come_by_name() -> None:
    store = Store()
    for name in ("b", "a", "c"):
        store.put_pod(pod(5, name=name))
    assert [each["metadata"]["name"] for each in store.pods(HELMET)] == ["a", "b", "c"]


def test_uses_are_replaced_as_a_whole() -> None:
    store = Store()
    other = ServiceKey("shop", "other")
    model, secret = ("Model", "shop", "m"), ("Secret", "shop", "s")
    store.uses(HELMET, {model, secret})
    store.uses(other, {model})
    assert store.users(*model) == {HELMET, other}
    assert store.used("Secret") == {("shop", "s")}
    store.uses(HELMET, {model})
    assert store.used("Secret") == set()
    store.put_service(document(5))
    store.drop_service(document(6))
    assert store.users(*model) == {other}


def test_the_store_keeps_no_managed_fields() -> None:
    store = Store()
    told = document(5, managedFields=[{"manager": "kubectl"}])
    store.put_service(told)
    store.put_model(told)
    store.put_pod(told)
    kept = [store.services[HELMET], store.models["shop", "helmet"], *store.all_pods()]
    assert all("managedFields" not in each["metadata"] for each in kept)
    assert "managedFields" in told["metadata"]  # the event itself is left as it was
