"""Whatever is done to a child by hand, the running controller undoes within seconds; what is not its own it never touches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controller.child_sync import MOST_REPAIRS
from controller.children import ChildKey, ChildKind
from sedna_py.api.child_names import APP_LABEL, NAME_LABEL, UID_LABEL, WORKER_TYPE_LABEL
from tests.cluster.control_plane import ControlPlane
from tests.integration.normalise import normalise
from tests.integration.replica import seconds_until
from tests.integration.services import SERVICES, SOON_S, Service, Site, difference, eventually, serving, site_of

Object = dict[str, Any]
DEPLOYMENT, SERVICE, HPA = ChildKind.DEPLOYMENT, ChildKind.SERVICE, ChildKind.HPA
POD = "/spec/template/spec"
PORT = {"name": "extra", "port": 80, "targetPort": 80}
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    namespace = control_plane.create_namespace()
    folder = tmp_path_factory.mktemp("repair")
    with site_of(control_plane, namespace) as made, serving(control_plane, folder, namespace):
        yield made
    control_plane.delete_namespace(namespace)


_numbers = itertools.count()


@pytest.fixture
def service(site: Site) -> Service:
    """A service of its own for each test, with all its children."""
    return site.settled_service(f"s{next(_numbers)}")


Edit = Callable[[Service, ChildKey], object]


def merge(body: Object) -> Edit:
    return lambda service, key: service.patch(key, body)


def operation(op: str, path: str, value: Any = None) -> Edit:
    return lambda service, key: service.json_patch(key, {"op": op, "path": path, "value": value})


def kubectl(*words: str) -> Edit:
    """Run kubectl with the child in place of `{}`."""

    def run(service: Service, key: ChildKey) -> None:
        service.site.kubectl(*(word.replace("{}", f"{key.kind.plural}/{key.name}") for word in words))

    return run


def delete(cascade: str) -> Edit:
    return kubectl("delete", "{}", f"--cascade={cascade}", "--wait=false")


def label(name: str, value: str | None) -> Edit:
    return merge({"metadata": {"labels": {name: value}}})


OWNERLESS = merge({"metadata": {"ownerReferences": None}})
BARE = merge({"metadata": {"ownerReferences": None, "labels": {NAME_LABEL: None, UID_LABEL: None}}})

OF_EVERY_KIND: dict[str, Edit] = {
    "deleted": delete("background"),
    "deleted, foreground": delete("foreground"),
    "deleted, orphan": delete("orphan"),
    "the watched label removed": label(NAME_LABEL, None),
    "the watched label changed": label(NAME_LABEL, "other"),
    "the uid changed": label(UID_LABEL, "other"),
    "all labels removed": merge({"metadata": {"labels": None}}),
    "owner removed": OWNERLESS,
    "owner and labels removed": BARE,
    "owner is no controller any more": operation("replace", "/metadata/ownerReferences/0/controller", False),
}
EDITS: dict[ChildKind, dict[str, Edit]] = {
    DEPLOYMENT: {
        "kubectl set image": kubectl("set", "image", "{}", "*=evil:1"),
        "kubectl set env": kubectl("set", "env", "{}", "EXTRA=1"),
        "kubectl set env, ours": kubectl("set", "env", "{}", "MODEL_URL=/else"),
        "kubectl rollout pause": kubectl("rollout", "pause", "{}"),
        "a label of the selector": label(APP_LABEL, "other"),
        "a container": operation("add", f"{POD}/containers/0", {"name": "helper", "image": "i"}),
        "another kind of volume": operation("replace", f"{POD}/volumes/0", {"name": "data-big-modelz", "emptyDir": {}}),
        "node selector": operation("add", f"{POD}/nodeSelector", {"a": "b"}),
        "strategy": merge({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    },
    SERVICE: {
        "our port's number": operation("replace", "/spec/ports/0/port", 81),
        "our port's target": operation("replace", "/spec/ports/0/targetPort", 81),
        "our port's name": operation("replace", "/spec/ports/0/name", "other"),
        "a port": operation("add", "/spec/ports/0", PORT),
        "a label of the selector": merge({"spec": {"selector": {WORKER_TYPE_LABEL: "edge"}}}),
        "more in the selector": merge({"spec": {"selector": {"a": "b"}}}),
        "a node port": merge({"spec": {"type": "NodePort"}}),
    },
    HPA: {
        "least": merge({"spec": {"minReplicas": 2}}),
        "most": merge({"spec": {"maxReplicas": 9}}),
        "a metric's target": operation("replace", "/spec/metrics/0/resource/target/averageUtilization", 99),
        "a metric": operation("add", "/spec/metrics/-", MEMORY),
        "no metric": merge({"spec": {"metrics": None}}),
        "behavior": merge({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}}}),
        "target": merge({"spec": {"scaleTargetRef": {"name": "other"}}}),
    },
}


EDITS_PER_SERVICE = 8
"""A child that is repaired more often than that in a minute is repaired more slowly."""


@pytest.mark.parametrize(
    ("name", "kind", "edit"),
    [
        pytest.param(f"edited{number // EDITS_PER_SERVICE}", kind, edit, id=f"{kind.kind}: {name}")
        for kind in ChildKind
        for number, (name, edit) in enumerate({**OF_EVERY_KIND, **EDITS[kind]}.items())
    ],
)
def test_what_is_done_to_a_child_by_hand_is_undone(site: Site, name: str, kind: ChildKind, edit: Edit) -> None:
    service = Service(site, name) if site.get(SERVICES, name) else site.settled_service(name)
    key, all_before = service.key(kind), service.specs()
    before = service.live(key)

    edit(service, key)

    print(f"{repaired(service, key, before):.3f} s")  # to be seen with pytest -rP
    assert service.specs() == all_before


def repaired(service: Service, key: ChildKey, before: Object) -> float:
    """Wait until a child is as it was, in another version; return the seconds."""

    def lacks() -> str:
        live = service.child(key)
        if live is None:
            return f"{key} is gone"
        if live["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
            return "nothing has been done to it"
        return difference(normalise(before), normalise(live))

    return eventually(lacks, str(key))


def test_many_edits_in_a_row_are_all_undone(service: Service) -> None:
    """A person, or a test, that goes on and on; a program that does so is only slowed down."""
    key = service.key(HPA)
    for most in range(6, 6 + MOST_REPAIRS + 1):
        before = service.live(key)
        service.patch(key, {"spec": {"maxReplicas": most}})
        repaired(service, key, before)


def test_all_children_deleted_at_once_are_back(service: Service) -> None:
    before = service.children()
    for key in before:
        service.site.delete(key.kind.plural, key.name)
    for key in before:
        repaired(service, key, before[key])


def test_all_children_edited_at_once_are_repaired(service: Service) -> None:
    before = service.children()
    for key in before:
        service.patch(key, {"metadata": {"labels": None}})
    for key in before:
        repaired(service, key, before[key])


@pytest.mark.parametrize("with_hpa", [True, False], ids=["with autoscaler", "without"])
def test_replicas_are_somebody_elses(site: Site, with_hpa: bool) -> None:
    change: Object = {} if with_hpa else {"cloudWorker": {"hpa": None}}
    service = site.settled_service(f"s{next(_numbers)}", change)
    key = service.key(DEPLOYMENT)
    site.kubectl("scale", f"deployment/{key.name}", "--replicas=3")
    site.kubectl("rollout", "restart", f"deployment/{key.name}")
    scaled = normalise(service.live(key))
    assert scaled["spec"]["replicas"] == 3
    assert "kubectl.kubernetes.io/restartedAt" in scaled["spec"]["template"]["metadata"]["annotations"]

    before = service.live(key)
    service.json_patch(key, {"op": "replace", "path": f"{POD}/containers/0/image", "value": "evil"})
    repaired(service, key, before)
    assert normalise(service.live(key)) == scaled

    service.edit({"cloudWorker": {"template": {"metadata": {"labels": {"team": "vision"}}}}})
    seconds_until(
        lambda: "team" in service.live(key)["spec"]["template"]["metadata"]["labels"], "the service's edit", SOON_S
    )
    assert service.live(key)["spec"]["replicas"] == 3


def sibling(like: Object, name: str, **metadata: Any) -> Object:
    """Return an object like a child under another name, owned by nobody."""
    copy = {"apiVersion": like["apiVersion"], "kind": like["kind"], "spec": {**like["spec"]}}
    for field in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
        copy["spec"].pop(field, None)
    return {**copy, "metadata": {"name": name, "labels": like["metadata"]["labels"], **metadata}}


def test_objects_of_similar_names_are_never_touched(service: Service) -> None:
    """Prefix, suffix, our labels without our ownership, the name of a service that does not exist."""
    site, strangers = service.site, {}
    for key, live in service.children().items():
        for name in (f"{key.name}-2", f"x-{key.name}", key.name.replace(service.name, "nobody")):
            assert site.create(key.kind.plural, sibling(live, name))
            strangers[key.kind.plural, name] = ""
    # Another Deployment of the same selector would take over pods: nothing of that is to be seen here.
    quiet = {place: site.get(*place) for place in strangers}
    for key, before in service.children().items():
        service.patch(key, {"metadata": {"labels": None}})
        repaired(service, key, before)
    service.delete()
    eventually(lambda: ", ".join(map(str, service.children())), "no child any more", 30)
    for place, before in quiet.items():
        after = site.get(*place)
        assert before is not None
        assert after is not None, f"{place} is gone"
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert normalise(after) == normalise(before)
        if place[0] == SERVICE.plural:  # those of other kinds get a status of Kubernetes' own controllers
            assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        managers = {entry["manager"] for entry in after["metadata"]["managedFields"]}
        assert "sedna-controller" not in managers


@pytest.mark.parametrize("labelled", [True, False], ids=["with our label", "without labels"])
def test_an_object_that_has_a_childs_name_already_is_left_alone_until_it_is_deleted(
    site: Site, service: Service, labelled: bool
) -> None:
    taken = {Service(site, f"s{next(_numbers)}"): kind for kind in ChildKind}
    for late, kind in taken.items():
        labels = {NAME_LABEL: late.name} if labelled else {}
        stranger = sibling(service.live(service.key(kind)), late.key(kind).name, labels=labels)
        assert site.create(kind.plural, stranger)
        site.service(late.name)

    for late, kind in taken.items():
        key = late.key(kind)
        seconds_until(lambda late=late, kind=kind: is_taken(late, kind), f"the condition for {key}", SOON_S)
        assert f"delete {key}" in late.condition(CONDITION[kind])["message"]
        missing = set(late.child_keys()) - set(late.children())
        assert not missing, "what has its name is made all the same"
        live = late.live(key)
        assert "ownerReferences" not in live["metadata"]
        assert "sedna-controller" not in {entry["manager"] for entry in live["metadata"]["managedFields"]}

    for late, kind in taken.items():
        site.delete(kind.plural, late.key(kind).name)
    for late, kind in taken.items():
        eventually(
            lambda late=late, kind=kind: "" if is_ours(late, kind) else "still the other one", str(late.key(kind))
        )
        seconds_until(lambda late=late, kind=kind: not is_taken(late, kind), "a condition without it", SOON_S)


CONDITION = {DEPLOYMENT: "CloudReady", SERVICE: "CloudReady", HPA: "CloudScaling"}


def is_taken(service: Service, kind: ChildKind) -> bool:
    found = service.condition(CONDITION[kind])
    return (found.get("status"), found.get("reason")) == ("False", "NameTaken")


def is_ours(service: Service, kind: ChildKind) -> bool:
    live = service.child(service.key(kind))
    return live is not None and "ownerReferences" in live["metadata"]
