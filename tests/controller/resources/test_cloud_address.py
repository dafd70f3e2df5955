"""Where edges find the cloud worker, for each way in which it is exposed and each state of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from controller.reasons import Reason
from controller.resources.cloud_address import SeenExposure, edge_target
from controller.resources.unbuildable import Unbuildable
from sedna_py.api.exposure import HostPort
from tests.controller.wanted_objects import parsed_service

EXPOSE = "spec.cloudWorker.expose"
CLOUD_NODE = "spec.cloudWorker.template.spec.nodeName"


def node(*addresses: str, ready: str = "True", edge: bool = False) -> dict[str, Any]:
    """Make a node; of each address it is written which kind it is."""
    found = [{"type": kind, "address": host} for kind, _, host in (text.partition(" ") for text in addresses)]
    return {
        "metadata": {"labels": {"node-role.kubernetes.io/edge": ""} if edge else {}},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "addresses": found},
    }


NODES = {
    "a-edge": node("InternalIP 10.0.0.1", edge=True),
    "b-down": node("InternalIP 10.0.0.2", ready="Unknown"),
    "c-bare": node(),
    "d": node("InternalIP 10.0.0.4", "ExternalIP 192.0.2.4"),
    "e": node("InternalIP 10.0.0.5"),
}


def target(expose: dict[str, Any] | None, seen: SeenExposure, **more: Any) -> str:
    """Return where edges connect to, or why that is not known."""
    changes = {EXPOSE: expose} if expose is not None else {}
    try:
        found = edge_target(parsed_service({**changes, **more.get("changes", {})}), seen)
    except Unbuildable as failure:
        kind = "pending" if failure.reason is Reason.CLOUD_ADDRESS_PENDING else failure.reason
        return f"{kind}{', lasting' if failure.lasting else ''}: {failure}"
    return found.text()


NODE_PORT = {"type": "NodePort"}
BALANCED = {"type": "LoadBalancer"}


@pytest.mark.parametrize(
    ("expose", "seen", "expected"),
    [
        (None, SeenExposure(), "helmet-cloud.shop:5000"),
        ({"type": "ClusterIP"}, SeenExposure(), "helmet-cloud.shop:5000"),
        ({}, SeenExposure(), "helmet-cloud.shop:5000"),
        ({"type": "Address", "address": "h"}, SeenExposure(), "h:5000"),
        ({"type": "Address", "address": "10.1.1.1:81"}, SeenExposure(), "10.1.1.1:81"),
        ({"type": "Address", "address": "2001:db8::1"}, SeenExposure(), "[2001:db8::1]:5000"),
        ({**NODE_PORT, "address": "h"}, SeenExposure(30001), "h:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES), "192.0.2.4:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES, current="10.0.0.4"), "10.0.0.4:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES, current="10.0.0.5"), "10.0.0.5:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES, current="10.0.0.2"), "10.0.0.2:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES, current="10.0.0.1"), "192.0.2.4:30001"),
        (NODE_PORT, SeenExposure(30001, nodes=NODES, current="helmet-cloud.shop"), "192.0.2.4:30001"),
        (BALANCED, SeenExposure(ingress="lb.example"), "lb.example:5000"),
    ],
)
def test_what_edges_are_given(expose: dict[str, Any] | None, seen: SeenExposure, expected: str) -> None:
    assert target(expose, seen) == expected


@pytest.mark.parametrize(
    ("wanted", "current", "expected"),
    [
        ("e", "", "10.0.0.5"),
        ("e", "10.0.0.4", "10.0.0.5"),
        ("b-down", "", "10.0.0.2"),
        ("a-edge", "", "192.0.2.4"),
        ("nosuch", "10.0.0.5", "10.0.0.5"),
    ],
)
def test_the_node_of_the_cloud_worker_is_preferred_where_edges_can_reach_it(
    wanted: str, current: str, expected: str
) -> None:
    seen = SeenExposure(30001, nodes=NODES, current=current)
    assert target(NODE_PORT, seen, changes={CLOUD_NODE: wanted}) == f"{expected}:30001"


@pytest.mark.parametrize(
    ("expose", "seen", "said"),
    [
        (NODE_PORT, SeenExposure(nodes=NODES), "pending: Service helmet-cloud has no node port yet"),
        (
            NODE_PORT,
            SeenExposure(30001, nodes={name: NODES[name] for name in ("a-edge", "b-down", "c-bare")}),
            "pending: no node that is ready and not of the edge has an address; write one that edges reach in"
            " spec.cloudWorker.expose.address",
        ),
        (
            NODE_PORT,
            SeenExposure(30001, nodes=None),
            "pending, lasting: this controller may not read nodes, so it knows no node's address; write one that edges reach in"
            " spec.cloudWorker.expose.address",
        ),
        (
            BALANCED,
            SeenExposure(30001),
            "pending: no load balancer has given Service helmet-cloud an address yet; in a cluster without one write"
            " type: NodePort in spec.cloudWorker.expose",
        ),
    ],
)
def test_what_is_not_known_yet_is_said(expose: dict[str, Any], seen: SeenExposure, said: str) -> None:
    assert target(expose, seen) == said


def test_a_target_has_its_parts() -> None:
    assert edge_target(parsed_service(), SeenExposure()) == HostPort("helmet-cloud.shop", 5000)
