"""Which events make which services wait for a worker, and the framework's settings."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import kopf
import pytest

from controller.children import ChildKind
from controller.handlers import Intake, make_registry, make_settings
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import NAME_LABEL

HELMET = ServiceKey("shop", "helmet")


def document(version: int = 5, uid: str = "one", name: str = "helmet", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": str(version), **metadata}}


def owned(version: int, owner: str | None = "one", uid: str = "c", service: str = "helmet") -> dict[str, Any]:
    owners = [{"kind": "JointInferenceService", "controller": True, "uid": owner}] if owner else []
    return document(version, uid, "helmet-deployment-edge", labels={NAME_LABEL: service}, ownerReferences=owners)


class Desk:
    """An intake with the keys that it enqueued since the last look."""

    def __init__(self) -> None:
        self.store = Store()
        self._keys: list[ServiceKey] = []
        self.intake = Intake(self.store, self._keys.append)

    def keys(self) -> list[str]:
        keys = [str(key) for key in self._keys]
        self._keys.clear()
        return keys


@pytest.mark.parametrize(
    ("changes", "wakes"),
    [
        ({"generation": 2}, True),
        ({"labels": {"team": "a"}}, False),
        ({"annotations": {"note": "1"}}, False),
        ({"annotations": {"autoscaling.knative.dev/target": "5"}}, True),
        ({"annotations": {"sedna.io/shared-streams": "enabled"}}, True),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, True),
        ({"uid": "two"}, True),
    ],
)
def test_a_service_is_looked_at_when_what_it_asks_for_may_differ(changes: dict[str, Any], wakes: bool) -> None:
    desk = Desk()
    desk.intake.service("ADDED", document(5, generation=1))
    assert desk.keys() == ["shop/helmet"]
    desk.intake.service("MODIFIED", document(6, **{"generation": 1, **changes}))
    assert desk.keys() == (["shop/helmet"] if wakes else [])


def test_the_end_of_a_service_is_looked_at_once_and_not_when_another_has_its_name() -> None:
    desk = Desk()
    desk.intake.service(None, document(5, "one"))
    desk.intake.service("ADDED", document(9, "two"))
    desk.keys()
    desk.intake.service("DELETED", document(8, "one"))
    assert (desk.keys(), HELMET in desk.store.services) == ([], True)
    desk.intake.service("MODIFIED", document(7, "one", deletionTimestamp="t"))  # even later
    assert desk.store.services[HELMET]["metadata"]["uid"] == "two"
    desk.keys()
    desk.intake.service("DELETED", document(12, "two"))
    assert (desk.keys(), HELMET in desk.store.services) == (["shop/helmet"], False)
    desk.intake.service("DELETED", document(12, "two"))
    assert desk.keys() == []


def test_a_model_wakes_its_users_when_it_changes_comes_or_goes() -> None:
    desk = Desk()
    desk.store.uses(HELMET, {("Model", "shop", "m")})
    steps = [
        ("ADDED", document(5, name="m", generation=1), True),
        ("MODIFIED", document(6, name="m", generation=1, labels={"a": "b"}), False),
        ("MODIFIED", document(7, name="m", generation=2), True),
        ("MODIFIED", document(6, name="m", generation=1), False),  # late
        ("ADDED", document(8, name="other", generation=1), False),
        ("DELETED", document(9, name="m", generation=2), True),
        ("MODIFIED", document(7, name="m", generation=2), False),  # from a list made before
        ("DELETED", document(9, name="m", generation=2), False),
    ]
    for event, told, wakes in steps:
        desk.intake.model(event, told)
        assert desk.keys() == (["shop/helmet"] if wakes else []), (event, told)
    assert ("shop", "m") not in desk.store.models


def test_a_secret_wakes_its_users() -> None:
    desk = Desk()
    desk.store.uses(HELMET, {("Secret", "shop", "s")})
    desk.intake.secret(("shop", "other"))
    assert desk.keys() == []
    desk.intake.secret(("shop", "s"))
    assert desk.keys() == ["shop/helmet"]


def test_a_child_wakes_the_service_that_owns_it() -> None:
    desk = Desk()
    desk.intake.service("ADDED", document(5, "one"))
    desk.keys()
    for event, told, wakes in [
        ("ADDED", owned(6), True),
        ("MODIFIED", owned(7), True),
        ("DELETED", owned(9), True),
        ("ADDED", owned(10, owner="somebody", service="stranger"), False),
    ]:
        desk.intake.child(ChildKind.DEPLOYMENT, event, told)
        assert set(desk.keys()) == ({"shop/helmet"} if wakes else set()), (event, told)


def test_the_end_of_an_earlier_services_child_wakes_the_service_that_waits_for_its_name() -> None:
    desk = Desk()
    desk.intake.child(ChildKind.DEPLOYMENT, None, owned(5, owner="one"))
    desk.intake.service("ADDED", document(8, "two"))
    desk.keys()
    desk.intake.child(ChildKind.DEPLOYMENT, "DELETED", owned(9, owner="one"))
    assert set(desk.keys()) == {"shop/helmet"}


def test_a_child_of_no_known_service_wakes_nobody() -> None:
    desk = Desk()
    desk.intake.child(ChildKind.SERVICE, "ADDED", owned(5))
    desk.intake.child(ChildKind.SERVICE, "DELETED", owned(6))
    assert desk.keys() == []


def test_a_node_wakes_those_on_it_when_its_readiness_changes_and_not_at_every_heartbeat() -> None:
    def node(version: int, status: str, beat: str = "1") -> dict[str, Any]:
        ready = {"type": "Ready", "status": status, "lastHeartbeatTime": beat}
        return {
            "metadata": {"name": "edge-1", "resourceVersion": str(version)},
            "status": {"conditions": [{"type": "MemoryPressure", "status": beat}, ready], "images": ["many"]},
        }

    desk = Desk()
    desk.store.uses(HELMET, {("Node", "", "edge-1")})
    steps = [
        ("ADDED", node(5, "True"), True),
        ("MODIFIED", node(6, "True", beat="2"), False),
        ("MODIFIED", node(7, "False"), True),
        ("MODIFIED", node(6, "True", beat="2"), False),  # a list made before
        ("DELETED", node(9, "False"), True),
        ("MODIFIED", node(7, "False"), False),
    ]
    for event, told, wakes in steps:
        desk.intake.node(event, told)
        assert desk.keys() == (["shop/helmet"] if wakes else []), (event, told)
    assert desk.store.nodes == {}


def test_nothing_but_readiness_taints_and_addresses_is_kept_of_a_node() -> None:
    desk = Desk()
    told = {"metadata": {"name": "n", "resourceVersion": "1"}, "spec": {"taints": [1], "podCIDR": "x"}}
    addresses = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "192.0.2.1", "x": 1}]
    told["status"] = {"addresses": addresses, "images": []}
    desk.intake.node(None, told)
    assert desk.store.nodes["n"]["spec"] == {"taints": [1]}
    assert desk.store.nodes["n"]["status"] == {
        "conditions": [],
        "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
    }


async def no_login() -> kopf.ConnectionInfo:
    raise AssertionError("nobody logs in here")


def registered(*, nodes: bool) -> tuple[Desk, dict[str, Any]]:
    desk = Desk()
    registry = make_registry(desk.intake, nodes=nodes, log_in=no_login)
    handlers = registry._watching.get_all_handlers()
    return desk, {f"{handler.selector.group}/{handler.selector.any_name}": handler for handler in handlers}


@pytest.mark.parametrize("nodes", [True, False])
def test_nodes_are_watched_only_where_that_is_allowed(nodes: bool) -> None:
    _, handlers = registered(nodes=nodes)
    expected = {"sedna.io/jointinferenceservices", "sedna.io/models", "/pods", "/services"}
    expected |= {"apps/deployments", "autoscaling/horizontalpodautoscalers"}
    assert set(handlers) == expected | ({"/nodes"} if nodes else set())


def test_each_handler_takes_its_event_to_the_store() -> None:
    desk, handlers = registered(nodes=True)
    numbers = itertools.count(10)
    for name, handler in handlers.items():
        told = owned(next(numbers)) if name != "/nodes" else document(next(numbers), name="node")
        asyncio.run(handler.fn(event={"type": "ADDED", "object": told}))
    assert len(desk.store.services) == len(desk.store.models) == len(desk.store.all_pods()) == 1
    assert [len(desk.store.children(kind)) for kind in ChildKind] == [1, 1, 1]
    assert list(desk.store.nodes) == ["node"]


def test_the_framework_writes_nothing_and_waits_for_the_server_without_an_end() -> None:
    settings = make_settings(failed=lambda: None)
    assert not settings.posting.enabled
    assert settings.peering.standalone
    waits = list(itertools.islice(iter(settings.networking.error_backoffs), 50))
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.5, 5.0)
    assert settings.watching.label_selectors["apps", "v1", "deployments"] == NAME_LABEL
    assert settings.watching.label_selectors["", "v1", "pods"] == NAME_LABEL
    assert isinstance(settings.persistence.diffbase_storage, kopf.DiffBaseStorage)
