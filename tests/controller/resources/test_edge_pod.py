"""Edge pods: they stay where their link is lost, and do not fight for the ports of a node."""

from __future__ import annotations

from typing import Any

import pytest

from controller.children import ChildKind
from sedna_py.api.child_names import Role
from tests.controller.wanted_objects import CLOUD_POD, EDGE_POD, child, pod, wanted

UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
SEVERAL = {"spec.edgeWorker.hpa": {"maxReplicas": 2}}
RECREATE = {"type": "Recreate"}


def written(ports: list[Any] | None = None, container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    one = {"name": "c", "image": "i", **({"ports": ports} if ports is not None else {}), **(container or {})}
    return {"containers": [one], **spec}


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ([], [UNREACHABLE, NOT_READY]),
        ([{"key": "node-role.kubernetes.io/edge", "operator": "Exists"}], [UNREACHABLE, NOT_READY]),
        ([{**UNREACHABLE, "tolerationSeconds": 30}], [NOT_READY]),
        ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}], [UNREACHABLE]),
        ([{**NOT_READY, "effect": "NoSchedule"}], [UNREACHABLE, NOT_READY]),
        ([{"operator": "Exists"}], []),
        ([{"operator": "Exists", "effect": "NoExecute"}], []),
        ([{"operator": "Exists", "effect": "NoSchedule"}], [UNREACHABLE, NOT_READY]),
    ],
)
def test_a_lost_link_is_tolerated_for_ever_unless_the_template_says_otherwise(own: list[Any], added: list[Any]) -> None:
    spec = written(tolerations=own)
    assert pod(wanted({EDGE_POD: spec}), Role.EDGE)["tolerations"] == [*own, *added]
    assert pod(wanted({CLOUD_POD: spec}))["tolerations"] == own


def test_cloud_pods_get_no_tolerations() -> None:
    assert "tolerations" not in pod(wanted())


def test_tolerations_that_are_no_list_say_what_to_write() -> None:
    [blocked] = wanted({EDGE_POD: written(tolerations="all")}).blocked
    assert blocked.message == 'spec.edgeWorker.template.spec.tolerations is "all"; write a list'


@pytest.mark.parametrize(
    ("spec", "changes", "recreated"),
    [
        (written(), {}, False),
        (written([{"containerPort": 80}]), {}, False),
        (written([{"containerPort": 80, "hostPort": 80}]), {}, True),
        (written([{"containerPort": 80, "hostPort": 80}]), SEVERAL, True),
        (written([{"containerPort": 80}], hostNetwork=True), {}, True),
        (written([{"containerPort": 80}], hostNetwork=True), SEVERAL, False),
        (written([{"containerPort": 80}], hostNetwork=False), {}, False),
        (written(hostNetwork=True), {}, False),
        (
            written(initContainers=[{"name": "s", "image": "i", "ports": [{"containerPort": 1, "hostPort": 1}]}]),
            {},
            True,
        ),
    ],
)
def test_an_edge_worker_with_ports_of_the_node_ends_before_it_begins_anew(
    spec: dict[str, Any], changes: dict[str, Any], recreated: bool
) -> None:
    made = child(wanted({EDGE_POD: spec, **changes}), ChildKind.DEPLOYMENT, Role.EDGE)
    assert made.manifest["spec"].get("strategy") == (RECREATE if recreated else None)
    cloud = child(wanted({CLOUD_POD: spec}), ChildKind.DEPLOYMENT, Role.CLOUD)
    assert "strategy" not in cloud.manifest["spec"]


def test_several_pods_on_the_hosts_network_declare_no_ports_and_probes_ask_the_number() -> None:
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 3}
    container = {
        "livenessProbe": probe,
        "readinessProbe": {"tcpSocket": {"port": 5}},
        "startupProbe": {"grpc": {"port": 6}},
        "lifecycle": {"preStop": {"httpGet": {"port": "http"}}, "postStart": {"exec": {"command": ["x"]}}},
    }
    ports = [{"containerPort": 8080, "name": "http"}, {"containerPort": 9, "hostPort": 9, "name": "fixed"}]
    spec = written(ports, container, hostNetwork=True)
    made = pod(wanted({EDGE_POD: spec, **SEVERAL}), Role.EDGE)["containers"][0]
    assert made["ports"] == ports[1:]
    assert made["livenessProbe"] == {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 3}
    assert (made["readinessProbe"], made["startupProbe"]) == (container["readinessProbe"], container["startupProbe"])
    assert made["lifecycle"] == {"preStop": {"httpGet": {"port": 8080}}, "postStart": {"exec": {"command": ["x"]}}}
    alone = pod(wanted({EDGE_POD: spec}), Role.EDGE)["containers"][0]
    assert (alone["ports"], alone["livenessProbe"]) == (ports, probe)


@pytest.mark.parametrize("host_network", [True, False])
def test_a_list_of_ports_that_becomes_empty_goes_and_any_other_stays(host_network: bool) -> None:
    spec = written([{"containerPort": 8080}], hostNetwork=host_network)
    made = pod(wanted({EDGE_POD: spec, **SEVERAL}), Role.EDGE)["containers"][0]
    assert ("ports" in made) is not host_network
