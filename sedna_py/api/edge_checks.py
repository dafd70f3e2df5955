"""What will not work as it was written at the edge, and for edges that look for the cloud worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sedna_py.api.child_names import cloud_pods_name
from sedna_py.api.finding import Finding, Place, warning
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.pod_template import ContainerPort, PodSpec

_POD: Final[Place] = ("spec", "edgeWorker", "template", "spec")
_HOSTNAME: Final = "kubernetes.io/hostname"


def edge_findings(service: JointInferenceService) -> Iterator[Finding]:
    """Find what a service's edges will miss: ports that only one of several pods can have, and the list of cloud pods."""
    worker = service.spec.edge_worker
    most = worker.hpa.max_replicas if worker.hpa is not None else 1
    if most > 1:
        yield from _port_findings(worker.template.spec, most)
    if cloud_pods_name(service.name) is None and service.spec.cloud_worker.exposure.type == "ClusterIP":
        yield warning(
            ("metadata", "name"),
            f"has {len(service.name)} characters, which leaves no room for Service <name>-cloud-pods, so edges get no list"
            " of the cloud pods; write one less",
        )


def _port_findings(pod: PodSpec, most: int) -> Iterator[Finding]:
    for index, container in enumerate(pod.containers):
        for position, port in enumerate(container.ports or ()):
            place = (*_POD, "containers", index, "ports", position)
            if _host_port(port):
                if _is_pinned(pod):
                    yield warning(
                        (*place, "hostPort"),
                        f"is {_host_port(port)}, which one pod of the node can have, and maxReplicas is {most}; remove"
                        " hostPort, or write maxReplicas: 1",
                    )
            elif pod.host_network:
                yield warning(
                    place,
                    f"is left out: with hostNetwork it becomes a port of the node, which one of {most} pods could have;"
                    " remove it, or write maxReplicas: 1",
                )


def _host_port(port: ContainerPort) -> Any:
    return (port.model_extra or {}).get("hostPort")


def _is_pinned(pod: PodSpec) -> bool:
    """Tell whether all pods land on one node."""
    selector = pod.placing["nodeSelector"]
    return bool(pod.node_name) or (isinstance(selector, dict) and _HOSTNAME in selector)
