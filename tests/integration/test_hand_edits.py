"""Edits of children by hand, on a real API server: each is seen and undone; what others may change is neither."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller.children import Child, ChildKind
from controller.foreign_fields import foreign_fields, ownership
from sedna_py.api.child_names import Role
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.integration.normalise import normalise
from tests.integration.service_on_cluster import (
    JSON_PATCH,
    MANAGER,
    MERGE,
    Children,
    Cluster,
    create,
    example,
    install_crds,
)

POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"


@dataclass(frozen=True)
class Site:
    """One service with everything, as its controller leaves it."""

    control_plane: ControlPlane
    children: Children

    def child(self, kind: ChildKind) -> Child:
        found = (child for child in self.children.state.children if (child.kind, child.role) == (kind, Role.CLOUD))
        return next(found)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.control_plane.kubectl("-n", self.children.namespace, *arguments, stdin=stdin)

    def patch(self, child: Child, body: Any, kind: str = MERGE) -> None:
        reply = self.children.cluster.patch(self.children.path(child), kind, body, fieldManager="somebody")
        assert reply.is_success, reply.text


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    install_crds(control_plane)
    cluster = Cluster.of(control_plane)
    namespace = control_plane.create_namespace()
    manifests = example("helmet_detection_hpa", tmp_path_factory.mktemp("site"))
    children = create(cluster, namespace, manifests)
    children.apply_all()
    yield Site(control_plane, children)
    cluster.http.close()
    control_plane.delete_namespace(namespace)


Edit = Callable[[Site, Child, str], object]
"""Do it to a child of the site, whose name as kubectl takes it is the last argument."""


def merge(body: dict[str, Any]) -> Edit:
    return lambda site, child, _: site.patch(child, body)


def operation(op: str, path: str, value: Any = None) -> Edit:
    return lambda site, child, _: site.patch(child, [{"op": op, "path": path, "value": value}], JSON_PATCH)


def kubectl(*arguments: str) -> Edit:
    """Run kubectl with the child's name in place of `{}`."""
    return lambda site, _, name: site.kubectl(*(argument.replace("{}", name) for argument in arguments))


def in_pod(field: str, value: Any) -> Edit:
    return operation("add", f"{POD}/{field}", value)


def in_container(field: str, value: Any) -> Edit:
    return operation("add", f"{CONTAINER}/{field}", value)


def applied_by_another(site: Site, child: Child, name: str) -> None:
    """Apply with kubectl, as somebody who takes a part of the object for theirs, one default among it."""
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": child.name},
        "spec": {
            "revisionHistoryLimit": 10,
            "minReadySeconds": 3,
            "template": {"spec": {"containers": [{"name": "helper", "image": "i"}]}},
        },
    }
    arguments = ("apply", "--server-side", "--force-conflicts", "--field-manager=another", "-f", "-")
    site.kubectl(*arguments, stdin=json.dumps(document))


def replaced(site: Site, child: Child, name: str) -> None:
    """Replace the whole object by one that differs in many places."""
    live = site.children.live(child)
    live["spec"]["template"]["spec"]["containers"][0]["env"].reverse()
    live["spec"]["template"]["spec"]["containers"].insert(0, {"name": "helper", "image": "i"})
    live["spec"]["template"]["spec"]["volumes"] = [{"name": "data-big-modelz", "emptyDir": {}}]
    live["metadata"]["labels"] = {}
    live["spec"]["strategy"] = {"type": "Recreate"}
    del live["metadata"]["resourceVersion"], live["metadata"]["managedFields"]
    for attempt in range(5):
        try:
            site.kubectl("replace", "-f", "-", stdin=json.dumps(live))
            return
        except KubectlError as error:
            # kubectl names the version that it has just read, and a controller may write its status in between.
            if "(Conflict)" not in error.stderr or attempt == 4:
                raise


def without_managed_fields(site: Site, child: Child, name: str) -> None:
    """Take everybody's ownership away, which gives all fields to nobody in particular."""
    site.patch(child, {"metadata": {"managedFields": [{}]}})


def edited(site: Site, child: Child, name: str) -> None:
    """Run `kubectl edit` with an editor that rewrites two lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "KUBE_EDITOR",
            "sed -i -e 's/image: .*/image: evil/' -e 's/terminationGracePeriodSeconds: .*/terminationGracePeriodSeconds: 3/'",
        )
        site.kubectl("edit", name)


DEPLOYMENT: dict[str, Edit] = {
    "kubectl set env, a new one": kubectl("set", "env", "{}", "EXTRA=1"),
    "kubectl set env, ours": kubectl("set", "env", "{}", "MODEL_URL=/else"),
    "kubectl set env, the user's removed": kubectl("set", "env", "{}", "input_shape-"),
    "kubectl set image": kubectl("set", "image", "{}", "big-model=other"),
    "kubectl set resources": kubectl("set", "resources", "{}", "--limits=cpu=2,memory=3Gi", "--requests=cpu=1"),
    "kubectl set serviceaccount": kubectl("set", "serviceaccount", "{}", "robot"),
    "kubectl edit": edited,
    "kubectl replace": replaced,
    "kubectl rollout pause": kubectl("rollout", "pause", "{}"),
    "kubectl apply by another": applied_by_another,
    "kubectl label, ours": kubectl("label", "{}", "app.sedna.io=other", "--overwrite"),
    "kubectl label, ours removed": kubectl("label", "{}", "app.sedna.io-"),
    "owner removed": merge({"metadata": {"ownerReferences": None}}),
    "managedFields reset": without_managed_fields,
    "label of the pods": merge({"spec": {"template": {"metadata": {"labels": {"extra": "1", "a/b": "2"}}}}}),
    "a container": operation("add", f"{POD}/containers/0", {"name": "helper", "image": "i"}),
    "containers around ours": lambda site, child, _: site.patch(
        child,
        [
            {"op": "add", "path": f"{POD}/containers/0", "value": {"name": "before", "image": "i"}},
            {"op": "add", "path": f"{POD}/containers/-", "value": {"name": "behind", "image": "i"}},
            {"op": "add", "path": f"{POD}/containers/1/env/0", "value": {"name": "FIRST", "value": "1"}},
            {"op": "add", "path": f"{POD}/containers/1/env/-", "value": {"name": "LAST", "value": "2"}},
        ],
        JSON_PATCH,
    ),
    "an init container": in_pod("initContainers", [{"name": "helper", "image": "i"}]),
    "a variable twice": in_container("env/-", {"name": "MODEL_URL", "value": "/else"}),
    "somebody's variable twice": lambda site, child, _: site.patch(
        child,
        [{"op": "add", "path": f"{CONTAINER}/env/-", "value": {"name": "NEW", "value": text}} for text in "ab"],
        JSON_PATCH,
    ),
    "another kind of value": operation(
        "replace",
        f"{CONTAINER}/env/0",
        {"name": "input_shape", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
    ),
    "another kind of volume": operation("replace", f"{POD}/volumes/0", {"name": "data-big-modelz", "emptyDir": {}}),
    "order of variables": lambda site, child, _: site.patch(
        child, [{"op": "move", "from": f"{CONTAINER}/env/0", "path": f"{CONTAINER}/env/4"}], JSON_PATCH
    ),
    "a probe": in_container("livenessProbe", {"tcpSocket": {"port": 1}}),
    "a port": in_container("ports", [{"containerPort": 9}]),
    "a mount removed": operation("remove", f"{CONTAINER}/volumeMounts/0"),
    "a volume": in_pod("volumes/0", {"name": "more", "emptyDir": {}}),
    "the pods' security": in_pod("securityContext", {"runAsUser": 5}),
    "node selector": in_pod("nodeSelector", {"a": "b"}),
    "tolerations": in_pod("tolerations", [{"operator": "Exists"}]),
    "service account": in_pod("serviceAccountName", "robot"),
    "dns": operation("replace", f"{POD}/dnsPolicy", "Default"),
    "strategy": merge({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    "surge": merge({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 3}}}}),
    "history and deadline": merge(
        {"spec": {"revisionHistoryLimit": 1, "progressDeadlineSeconds": 60, "minReadySeconds": 2}}
    ),
}
SERVICE: dict[str, Edit] = {
    "a port": operation("add", "/spec/ports/0", {"name": "extra", "port": 80}),
    "our port's target": operation("replace", "/spec/ports/0/targetPort", 81),
    "our port's name": operation("replace", "/spec/ports/0/name", "other"),
    "our port's number": operation("replace", "/spec/ports/0/port", 81),
    "protocol": operation("add", "/spec/ports/0/appProtocol", "http"),
    "selector": merge({"spec": {"selector": {"extra": "1"}}}),
    "affinity": merge({"spec": {"sessionAffinity": "ClientIP"}}),
    "traffic": merge({"spec": {"internalTrafficPolicy": "Local"}}),
    "addresses": merge({"spec": {"externalIPs": ["10.9.8.7"]}}),
    "node port": merge({"spec": {"type": "NodePort"}}),
    "a chosen node port": merge(
        {
            "spec": {
                "type": "NodePort",
                "ports": [{"name": "tcp-0", "port": 5000, "targetPort": 5000, "nodePort": 30080}],
            }
        }
    ),
    "load balancer": merge({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}),
    "external name": merge({"spec": {"type": "ExternalName", "externalName": "example.invalid"}}),
    "kubectl label, ours": kubectl("label", "{}", "jointinferenceservice.sedna.io/name=other", "--overwrite"),
}
HPA: dict[str, Edit] = {
    "most": merge({"spec": {"maxReplicas": 9}}),
    "least": merge({"spec": {"minReplicas": 2}}),
    "metrics": operation(
        "add",
        "/spec/metrics/-",
        {
            "type": "Resource",
            "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 9}},
        },
    ),
    "metrics removed": merge({"spec": {"metrics": None}}),
    "behavior": merge({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}}}),
    "target": merge({"spec": {"scaleTargetRef": {"name": "other"}}}),
}
EDITS = [
    pytest.param(kind, edit, id=f"{kind.kind}: {name}")
    for kind, edits in ((ChildKind.DEPLOYMENT, DEPLOYMENT), (ChildKind.SERVICE, SERVICE), (ChildKind.HPA, HPA))
    for name, edit in edits.items()
]


def is_seen(before: dict[str, Any], live: dict[str, Any]) -> bool:
    """Tell whether the controller, which knows the ownership of its last apply, sees that somebody was here."""
    return ownership(live, MANAGER) != ownership(before, MANAGER) or bool(foreign_fields(live, MANAGER))


@pytest.mark.parametrize(("kind", "edit"), EDITS)
def test_an_edit_is_seen_and_undone(site: Site, kind: ChildKind, edit: Edit) -> None:
    child = site.child(kind)
    before = site.children.repair(child)
    assert not is_seen(before, site.children.live(child))
    edit(site, child, f"{kind.kind}/{child.name}")
    assert is_seen(before, site.children.live(child))
    after = site.children.repair(child)
    assert normalise(after) == normalise(before)
    assert ownership(after, MANAGER) == ownership(before, MANAGER)


HARMLESS: dict[str, tuple[ChildKind, Edit]] = {
    "kubectl scale": (ChildKind.DEPLOYMENT, kubectl("scale", "{}", "--replicas=3")),
    "replicas by patch": (ChildKind.DEPLOYMENT, merge({"spec": {"replicas": 2}})),
    "kubectl rollout restart": (ChildKind.DEPLOYMENT, kubectl("rollout", "restart", "{}")),
    "annotation": (ChildKind.DEPLOYMENT, kubectl("annotate", "{}", "note=1", "--overwrite")),
    "label": (ChildKind.DEPLOYMENT, kubectl("label", "{}", "team=vision", "--overwrite")),
    "label of the service": (ChildKind.SERVICE, kubectl("label", "{}", "team=vision", "--overwrite")),
    "finalizer": (ChildKind.HPA, merge({"metadata": {"finalizers": ["example.com/mine"]}})),
    "finalizer removed": (ChildKind.HPA, merge({"metadata": {"finalizers": None}})),
    "status": (
        ChildKind.DEPLOYMENT,
        kubectl("patch", "{}", "--subresource=status", "--type=merge", "-p", '{"status":{"collisionCount":1}}'),
    ),
    "status of the service": (
        ChildKind.SERVICE,
        kubectl("patch", "{}", "--subresource=status", "--type=merge", "-p", '{"status":{"conditions":[]}}'),
    ),
    "nothing": (ChildKind.HPA, merge({})),
}


@pytest.mark.parametrize(("kind", "edit"), HARMLESS.values(), ids=HARMLESS)
def test_what_others_may_change_is_not_seen_and_stays(site: Site, kind: ChildKind, edit: Edit) -> None:
    child = site.child(kind)
    before = site.children.repair(child)
    edit(site, child, f"{kind.kind}/{child.name}")
    edited_by_hand = site.children.live(child)
    assert not is_seen(before, edited_by_hand)
    assert normalise(site.children.repair(child)) == normalise(edited_by_hand)


def test_a_restart_survives_an_overwritten_template(site: Site) -> None:
    child = site.child(ChildKind.DEPLOYMENT)
    restarted = {"kubectl.kubernetes.io/restartedAt": "now"}  # kubectl itself does it once a second only
    site.patch(child, {"spec": {"template": {"metadata": {"annotations": restarted}}}})
    operation("replace", f"{POD}/volumes/0", {"name": "data-big-modelz", "emptyDir": {}})(site, child, "")
    repaired = site.children.repair(child)
    assert repaired["spec"]["template"]["metadata"]["annotations"] == restarted
    assert repaired["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"] == "/data/big-model/"


def test_a_patch_for_an_older_version_is_a_conflict(site: Site) -> None:
    child = site.child(ChildKind.DEPLOYMENT)
    site.patch(child, {"spec": {"paused": True}})
    operations = foreign_fields(site.children.live(child), MANAGER)
    site.kubectl("annotate", f"Deployment/{child.name}", "note=2", "--overwrite")
    reply = site.children.cluster.patch(site.children.path(child), JSON_PATCH, operations)
    assert reply.status_code == 409
    assert "paused" not in site.children.repair(child)["spec"]


def test_what_another_manager_shares_goes_with_the_service(site: Site) -> None:
    """Apply leaves a field that another manager has taken for its own as well; here it goes all the same."""
    child = site.child(ChildKind.DEPLOYMENT)
    before = site.children.repair(child)
    smaller = json.loads(json.dumps(child.manifest))
    variable = smaller["spec"]["template"]["spec"]["containers"][0]["env"].pop(0)
    shared = {"name": "big-model", "env": [variable]}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": child.name},
        "spec": {"template": {"spec": {"containers": [shared]}}},
    }
    site.kubectl("apply", "--server-side", "--field-manager=another", "-f", "-", stdin=json.dumps(document))
    assert not is_seen(before, site.children.live(child))  # it changed nothing
    after = site.children.repair(replace(child, manifest=smaller))
    assert variable["name"] not in json.dumps(after["spec"])
    assert normalise(site.children.repair(child)) == normalise(before)


def test_an_object_that_somebody_else_made_becomes_what_is_wanted(site: Site) -> None:
    """As after a move from another controller: its manager owns every field and default of the objects that it posted."""
    child = site.child(ChildKind.DEPLOYMENT)
    site.children.cluster.http.delete(site.children.path(child)).raise_for_status()
    wanted = normalise(site.children.apply(child).json())
    site.children.cluster.http.delete(site.children.path(child)).raise_for_status()
    posted = json.loads(json.dumps(child.manifest))
    pod = posted["spec"]["template"]["spec"]
    pod["containers"][0]["env"] = [{"name": "OLD", "value": "1"}, *reversed(pod["containers"][0]["env"])]
    pod["initContainers"] = [{"name": "old", "image": "i"}]
    posted["spec"]["minReadySeconds"] = 7
    site.children.cluster.post(site.children.path(child).rsplit("/", 1)[0], posted)
    assert normalise(site.children.repair(child)) == wanted
