"""At which address an edge finds the cloud worker, for each way in which it can be exposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.nodes import Nodes, addresses, is_edge, is_ready
from controller.reasons import Reason
from controller.resources.unbuildable import Unbuildable
from sedna_py.api.child_names import BIG_MODEL_PORT, cloud_address, cloud_service_name
from sedna_py.api.exposure import Exposure, HostPort
from sedna_py.api.joint_inference_service import JointInferenceService

_HERE = "spec.cloudWorker.expose"


@dataclass(frozen=True)
class SeenExposure:
    """What the cluster has given the cloud worker's Service, and what there is to choose an address from.

    `nodes` None: they may not be read. `current` is the host that edges are given now, "" where there is none.
    """

    node_port: int | None = None
    ingress: str = ""
    nodes: Nodes | None = field(default_factory=dict)
    current: str = ""


def edge_target(service: JointInferenceService, seen: SeenExposure) -> HostPort:
    """Return where edges connect to. Raises Unbuildable while that is not known."""
    exposure = service.spec.cloud_worker.exposure
    if exposure.written is not None and exposure.type == "Address":
        return HostPort(exposure.written.host, exposure.written.port or BIG_MODEL_PORT)
    if exposure.type == "NodePort":
        return HostPort(_node_host(service, exposure, seen), _node_port(service, seen))
    if exposure.type == "LoadBalancer":
        return HostPort(_ingress(service, seen), BIG_MODEL_PORT)
    return HostPort(cloud_address(service.name, service.namespace), BIG_MODEL_PORT)


def needs_node(service: JointInferenceService) -> bool:
    """Tell whether the address is that of a node that has to be chosen."""
    exposure = service.spec.cloud_worker.exposure
    return exposure.type == "NodePort" and exposure.address is None


def _ingress(service: JointInferenceService, seen: SeenExposure) -> str:
    if not seen.ingress:
        raise _pending(
            f"no load balancer has given Service {cloud_service_name(service.name)} an address yet; in a cluster without"
            f" one write type: NodePort in {_HERE}"
        )
    return seen.ingress


def _node_port(service: JointInferenceService, seen: SeenExposure) -> int:
    if seen.node_port is None:
        raise _pending(f"Service {cloud_service_name(service.name)} has no node port yet")
    return seen.node_port


def _node_host(service: JointInferenceService, exposure: Exposure, seen: SeenExposure) -> str:
    if exposure.written is not None:
        return exposure.written.host
    if seen.nodes is None:
        raise Unbuildable(
            Reason.CLOUD_ADDRESS_PENDING,
            f"this controller may not read nodes, so it knows no node's address; write one that edges reach in"
            f" {_HERE}.address",
        )
    found = _chosen(seen.nodes, seen.current, service.spec.cloud_worker.template.spec.node_name)
    if found is None:
        raise _pending(
            f"no node that is ready and not of the edge has an address; write one that edges reach in {_HERE}.address"
        )
    return found


def _chosen(nodes: Nodes, current: str, wanted: str | None) -> str | None:
    """Return the address of the wanted node, else the current one while its node exists, else that of the first ready."""
    candidates = {
        name: found for name in sorted(nodes) if not is_edge(nodes[name]) and (found := addresses(nodes[name]))
    }
    if wanted in candidates:
        candidates = {wanted: candidates[wanted]}
    if any(current in found for found in candidates.values()):
        return current
    return _first(nodes, candidates, wanted)


def _first(nodes: Nodes, candidates: Mapping[str, list[str]], wanted: str | None) -> str | None:
    usable = (found[0] for name, found in candidates.items() if name == wanted or is_ready(nodes[name]))
    return next(usable, None)


def _pending(message: str) -> Unbuildable:
    return Unbuildable(Reason.CLOUD_ADDRESS_PENDING, message, lasting=False)
