"""A deleted service leaves nothing behind and nothing comes back; nothing of its neighbours is touched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from controller.children import ChildKind
from sedna_py.api.child_names import UID_LABEL
from tests.cluster.control_plane import ControlPlane
from tests.integration.normalise import normalise
from tests.integration.replica import Replica, seconds_until
from tests.integration.services import (
    MERGE,
    SERVICES,
    Service,
    Site,
    eventually,
    example_documents,
    serving,
    site_of,
    start,
)

GONE_S = 30.0
Object = dict[str, Any]


@pytest.fixture(scope="module")
def namespaces(control_plane: ControlPlane) -> Iterator[list[str]]:
    made = [control_plane.create_namespace() for _ in range(2)]
    yield made
    for name in made:
        control_plane.delete_namespace(name)


@pytest.fixture(scope="module")
def controller(
    control_plane: ControlPlane, namespaces: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    with serving(control_plane, tmp_path_factory.mktemp("deletion"), ",".join(namespaces)) as running:
        yield running


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, namespaces: list[str], controller: Replica) -> Iterator[Site]:
    with site_of(control_plane, namespaces[0]) as made:
        wait_for_the_garbage_collector(made)
        yield made


@pytest.fixture(scope="module")
def elsewhere(control_plane: ControlPlane, namespaces: list[str], controller: Replica) -> Iterator[Site]:
    with site_of(control_plane, namespaces[1]) as made:
        yield made


def wait_for_the_garbage_collector(site: Site) -> None:
    """Wait until it knows our kinds; it looks for new ones twice a minute, and the CRDs may be that young."""
    service = site.settled_service("first")
    service.delete()
    eventually(lambda: ", ".join(service.traces()), "a first service gone", 90)


_numbers = itertools.count()


def fresh(site: Site) -> Service:
    return site.settled_service(f"s{next(_numbers)}")


def gone(service: Service) -> float:
    return eventually(lambda: ", ".join(service.traces()), f"nothing left of {service.name}", GONE_S)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_nothing_is_left_and_nothing_comes_back(site: Site, elsewhere: Site, controller: Replica, policy: str) -> None:
    service, neighbour = fresh(site), fresh(site)
    namesake = elsewhere.settled_service(service.name)
    others = [
        (other, {str(key): live["metadata"]["uid"] for key, live in other.children().items()})
        for other in (neighbour, namesake)
    ]
    specs = [other.specs() for other in (neighbour, namesake)]

    service.delete(policy)
    print(f"{gone(service):.3f} s")  # to be seen with pytest -rP

    # The controller has handled everything that it heard of meanwhile when it has handled what it hears of now.
    fresh(site)
    assert service.traces() == []
    for (other, uids), before in zip(others, specs, strict=True):
        assert {str(key): live["metadata"]["uid"] for key, live in other.children().items()} == uids
        assert other.specs() == before


def test_a_deletion_by_kubectl_waits_for_no_finalizer_of_ours(site: Site) -> None:
    service = fresh(site)
    assert "finalizers" not in service.document()["metadata"]
    site.kubectl("delete", "ji", service.name, "--cascade=foreground", "--timeout=30s")
    gone(service)


def test_orphans_are_set_free_and_left_alone(site: Site, controller: Replica) -> None:
    """--cascade=orphan: the workers go on, the controller neither adopts nor repairs them."""
    service = fresh(site)
    before = service.children()
    service.delete("Orphan")
    seconds_until(lambda: site.get(SERVICES, service.name) is None, "the service to be gone", GONE_S)

    free = service.children()
    assert {key: live["metadata"]["uid"] for key, live in free.items()} == {
        key: live["metadata"]["uid"] for key, live in before.items()
    }
    assert all("ownerReferences" not in live["metadata"] for live in free.values())
    key = service.key(ChildKind.SERVICE)
    edited = service.json_patch(key, {"op": "replace", "path": "/spec/ports/0/port", "value": 81})
    fresh(site)
    assert service.live(key)["metadata"]["resourceVersion"] == edited["metadata"]["resourceVersion"]
    assert all(
        normalise(live)["spec"] == normalise(free[key])["spec"]
        for key, live in service.children().items()
        if key.kind is not ChildKind.SERVICE
    )

    # The same service again: its predecessor's orphans have its children's names and are not its own.
    again = site.service(service.name, models=False)
    seconds_until(lambda: again.condition("CloudReady").get("reason") == "NameTaken", "a condition", GONE_S)
    assert {key: live["metadata"]["uid"] for key, live in again.children().items()} == {
        key: live["metadata"]["uid"] for key, live in before.items()
    }
    for key in again.child_keys():
        site.delete(key.kind.plural, key.name)
    settled_as_its_own(again)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_the_same_name_at_once_again_is_a_new_service(site: Site, policy: str) -> None:
    service = fresh(site)
    old = service.document()["metadata"]["uid"]
    service.delete(policy)
    document = example_documents("helmet_detection_hpa", service.name)[-1]
    seconds_until(lambda: site.create(SERVICES, document), "the name to be free", GONE_S)
    assert service.document()["metadata"]["uid"] != old
    print(f"{settled_as_its_own(service):.3f} s")


def settled_as_its_own(service: Service) -> float:
    """Wait until every child belongs to the service that there is now; return the seconds."""
    uid = service.document()["metadata"]["uid"]

    def lacks() -> str:
        live = service.children()
        foreign = [
            str(key)
            for key, child in live.items()
            if [owner["uid"] for owner in child["metadata"].get("ownerReferences", ())] != [uid]
            or child["metadata"]["labels"][UID_LABEL] != uid
        ]
        return ", ".join([*foreign, *(str(key) for key in set(service.child_keys()) - set(live))])

    return eventually(lacks, f"children of the new {service.name}", GONE_S)


def test_a_service_that_waits_for_its_finalizer_is_neither_made_again_nor_repaired(site: Site) -> None:
    service = fresh(site)
    key = service.key(ChildKind.HPA)
    finalizers: Object = {"metadata": {"finalizers": ["example.com/backup"]}}
    assert site.patch(SERVICES, service.name, finalizers)
    service.delete()
    eventually(lambda: "" if service.document()["metadata"].get("deletionTimestamp") else "not marked", "the mark")
    fresh(site)  # by now the controller has seen it
    site.delete(key.kind.plural, key.name)
    fresh(site)
    assert service.child(key) is None

    assert site.patch(SERVICES, service.name, {"metadata": {"finalizers": None}}, MERGE)
    gone(service)


def test_what_was_deleted_while_the_controller_was_away_stays_deleted(site: Site, controller: Replica) -> None:
    deleted, replaced = fresh(site), fresh(site)
    old = replaced.document()["metadata"]["uid"]
    controller.stop()
    deleted.delete()
    replaced.delete()
    gone(deleted)
    gone(replaced)
    replaced = site.service(replaced.name, models=False)
    start(controller)
    settled_as_its_own(replaced)
    assert replaced.document()["metadata"]["uid"] != old
    assert deleted.traces() == []
