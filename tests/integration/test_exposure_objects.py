"""Ways to expose the cloud worker and kinds of roll-out, on a real API server: from any one to any other by one apply."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.children import Child, ChildKind
from controller.desired_state import Placement, Surroundings, desired_state
from controller.foreign_fields import foreign_fields, ownership
from controller.resources.cloud_address import SeenExposure
from sedna_py.api.child_names import Role
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from tests.cluster.control_plane import ControlPlane
from tests.controller.wanted_objects import parsed_model
from tests.integration.normalise import normalise
from tests.integration.service_on_cluster import MANAGER, Children, Cluster, create, example, install_crds

Object = dict[str, Any]
SEEN = SeenExposure(30001, "192.0.2.1", {}, "")


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    install_crds(control_plane)
    made = Cluster.of(control_plane)
    yield made
    made.http.close()


@pytest.fixture
def first(cluster: Cluster, namespace: str, tmp_path: Path) -> Children:
    return create(cluster, namespace, example("helmet_detection_hpa", tmp_path))


def changed(children: Children, side: str, **fields: Any) -> Children:
    """Return the children of the same service with fields of one worker changed."""
    document = children.service.model_dump(by_alias=True, exclude_unset=True)
    document["spec"][side].update(fields)
    service, findings = parse_document(document)
    assert isinstance(service, JointInferenceService), findings
    names = (service.spec.edge_worker.model.name, service.spec.cloud_worker.model.name)
    around = Surroundings({name: parsed_model(name=name) for name in names}, exposure=SEEN)
    return Children(children.cluster, children.namespace, service, desired_state(service, around, Placement()))


def child(children: Children, kind: ChildKind, role: Role) -> Child:
    return next(found for found in children.state.children if (found.kind, found.role) == (kind, role))


def applied(children: Children, wanted: Child) -> Object:
    """Apply once; it must be taken as it is, leave nothing to clean up, and cost nothing the second time."""
    reply = children.apply(wanted)
    assert reply.status_code in {httpx.codes.OK, httpx.codes.CREATED}, reply.text
    live: Object = reply.json()
    assert foreign_fields(live, MANAGER) == []
    again: Object = children.apply(wanted).json()
    # The generation of a Service is not counted; a Deployment's status may be written in between.
    assert again.get("spec") == live.get("spec")
    assert ownership(again, MANAGER) == ownership(live, MANAGER)
    if wanted.kind is ChildKind.SERVICE:
        assert again["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    else:
        assert again["metadata"]["generation"] == live["metadata"]["generation"]
    return live


EXPOSURES: dict[str, Object] = {
    "absent": {},
    "ClusterIP": {"expose": {"type": "ClusterIP"}},
    "NodePort": {"expose": {"type": "NodePort"}},
    "LoadBalancer": {"expose": {"type": "LoadBalancer"}},
    "Address": {"expose": {"type": "Address", "address": "192.0.2.7"}},
}


def chosen_port(number: int) -> Object:
    return {"expose": {"type": "NodePort", "nodePort": number}}


def test_the_service_goes_from_any_type_to_any_other_and_keeps_its_address(first: Children) -> None:
    steps = [name for pair in itertools.permutations([*EXPOSURES, "chosen"], 2) for name in pair]
    fresh = {name: normalise(applied_anew(first, name)) for name in dict.fromkeys(steps)}
    start = applied(first, front(first, "absent"))
    for name in steps:
        live = applied(first, front(first, name))
        spec = live["spec"]
        assert spec["clusterIP"] == start["spec"]["clusterIP"], name
        assert without_ports(normalise(live)) == without_ports(fresh[name]), name
        numbers = [port.get("nodePort") for port in spec["ports"]]
        assert (numbers == [None]) is (name in {"absent", "ClusterIP", "Address"}), (name, numbers)
        assert name != "chosen" or numbers == [30083]


def front(children: Children, name: str) -> Child:
    """Return the wanted Service in front of the pods for an exposure."""
    fields = chosen_port(30083) if name == "chosen" else EXPOSURES[name]
    return child(changed(children, "cloudWorker", **fields), ChildKind.SERVICE, Role.CLOUD)


def applied_anew(children: Children, name: str) -> Object:
    """Return the Service as it is where none was before."""
    live = applied(children, front(children, name))
    children.cluster.http.delete(children.path(front(children, name))).raise_for_status()
    return live


def without_ports(service: Object) -> Object:
    """Return it without the numbers of node ports, which the server chooses."""
    ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in service["spec"]["ports"]]
    return {**service, "spec": {**service["spec"], "ports": ports}}


def test_a_chosen_node_port_can_be_changed_and_let_go(first: Children) -> None:
    for number in (30082, 30081):
        wanted = child(changed(first, "cloudWorker", **chosen_port(number)), ChildKind.SERVICE, Role.CLOUD)
        assert applied(first, wanted)["spec"]["ports"][0]["nodePort"] == number
    let_go = applied(first, front(first, "NodePort"))
    assert let_go["spec"]["ports"][0]["nodePort"] == 30081, "a port that edges use is not changed without need"


def test_the_list_of_pods_has_no_address_and_waits_for_readiness(first: Children) -> None:
    found = [one for one in first.state.children if one.name.endswith("-cloud-pods")]
    [pods] = found
    spec = applied(first, pods)["spec"]
    assert (spec["clusterIP"], spec["type"], spec["ports"][0]["name"]) == ("None", "ClusterIP", "tcp-0")
    assert "publishNotReadyAddresses" not in spec


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
PORT = {"containerPort": 8080, "hostPort": 8080}


def with_port(children: Children, port: Object | None) -> Child:
    template = children.service.model_dump(by_alias=True, exclude_unset=True)["spec"]["edgeWorker"]["template"]
    if port is not None:
        template["spec"]["containers"][0]["ports"] = [port]
    return child(changed(children, "edgeWorker", template=template), ChildKind.DEPLOYMENT, Role.EDGE)


def test_a_deployment_goes_over_to_recreate_and_back(first: Children) -> None:
    """The server has filled in what does not go with Recreate, and only an overwrite takes that away."""
    rolling, recreated = with_port(first, None), with_port(first, PORT)
    for _ in range(2):
        assert applied(first, rolling)["spec"]["strategy"] == ROLLING
        assert "rollingUpdate" in first.apply(recreated).json()["message"]
        first.repair(recreated)
        assert applied(first, recreated)["spec"]["strategy"] == {"type": "Recreate"}


def test_an_edge_deployment_that_begins_with_recreate_goes_back_too(first: Children) -> None:
    assert applied(first, with_port(first, PORT))["spec"]["strategy"] == {"type": "Recreate"}
    assert applied(first, with_port(first, None))["spec"]["strategy"] == ROLLING


@pytest.mark.parametrize(
    "edit",
    [
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": None}},
    ],
)
def test_another_strategy_written_by_hand_is_undone(first: Children, edit: Object) -> None:
    recreated = with_port(first, PORT)
    before = applied(first, recreated)
    reply = first.cluster.patch(first.path(recreated), "merge-patch+json", {"spec": edit}, fieldManager="somebody")
    assert reply.is_success, reply.text
    after = first.repair(recreated)
    assert normalise(after) == normalise(before)
    assert ownership(after, MANAGER) == ownership(before, MANAGER)
