"""What the cluster tells of the way from the edge to the cloud worker, read from live objects."""

from __future__ import annotations

from controller.nodes import Nodes
from controller.resources.cloud_address import SeenExposure
from controller.status.live import LiveObject, block, items, number, text, variable
from sedna_py.api.child_names import BIG_MODEL_PORT


def seen_exposure(front: LiveObject | None, edge: LiveObject | None, nodes: Nodes | None) -> SeenExposure:
    """Return it from the cloud worker's Service, the edge worker's Deployment (None: not there) and the nodes."""
    service = front or {}
    kind = text(service, "spec", "type")
    return SeenExposure(
        node_port=_node_port(service) if kind == "NodePort" else None,
        ingress=_ingress(service) if kind == "LoadBalancer" else "",
        nodes=nodes,
        current=variable(block(edge, "spec", "template", "spec"), "BIG_MODEL_IP"),
    )


def _node_port(service: LiveObject) -> int | None:
    ports = (port for port in items(service, "spec", "ports") if number(port, "port") == BIG_MODEL_PORT)
    return next((found for port in ports if (found := number(port, "nodePort"))), None)


def _ingress(service: LiveObject) -> str:
    points = items(service, "status", "loadBalancer", "ingress")
    found = (text(point, "ip") or text(point, "hostname") for point in points)
    return next((address for address in found if address), "")
