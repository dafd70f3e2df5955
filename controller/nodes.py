"""What a node says about itself, as far as it matters to a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller.status.live import LiveObject, block, condition, items, text

EDGE_LABEL: Final = "node-role.kubernetes.io/edge"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
ADDRESS_TYPES: Final = ("ExternalIP", "InternalIP")
UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"

Nodes = Mapping[str, LiveObject]
"""Nodes by name."""


def is_edge(node: LiveObject) -> bool:
    """Tell whether KubeEdge takes the node for one of the edge."""
    return EDGE_LABEL in block(node, "metadata", "labels")


def is_ready(node: LiveObject) -> bool:
    """Tell whether the node reports and is well."""
    return condition(node, "Ready").get("status") == "True"


def is_away(node: LiveObject) -> bool:
    """Tell whether nothing has been heard of the node for so long that the cluster does not know how it is."""
    tainted = any(text(taint, "key") == UNREACHABLE_TAINT for taint in items(node, "spec", "taints"))
    return condition(node, "Ready").get("status") == "Unknown" or (tainted and not is_ready(node))


def addresses(node: LiveObject) -> list[str]:
    """Return the IP addresses of the node, those for the outside first."""
    said = items(node, "status", "addresses")
    return [text(item, "address") for kind in ADDRESS_TYPES for item in said if text(item, "type") == kind]


def home_of(pod_spec: LiveObject, nodes: Nodes) -> str:
    """Return the name of the one node that a pod is on or is pinned to, "" where there is none."""
    name = text(pod_spec, "nodeName")
    if name:
        return name
    host = text(pod_spec, "nodeSelector", HOSTNAME_LABEL)
    return _named(host, nodes) if host else ""


def _named(host: str, nodes: Nodes) -> str:
    if host in nodes and _hostname(nodes[host]) == host:  # as it nearly always is
        return host
    found: Iterable[str] = (name for name in sorted(nodes) if _hostname(nodes[name]) == host)
    return next(iter(found), host)


def _hostname(node: LiveObject) -> str:
    return text(node, "metadata", "labels", HOSTNAME_LABEL)
