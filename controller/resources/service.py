"""The Services under which the edge finds the cloud worker: one address for all pods, or each pod by itself."""

from __future__ import annotations

from typing import Any

from controller.children import Child, ChildKind
from controller.resources.metadata import child_metadata, owner_uid
from sedna_py.api.child_names import (
    BIG_MODEL_PORT,
    BIG_MODEL_PORT_NAME,
    Role,
    cloud_pods_name,
    cloud_service_name,
    labels,
)
from sedna_py.api.joint_inference_service import JointInferenceService


def cloud_service(service: JointInferenceService) -> Child:
    """Return the Service in front of the cloud worker's pods; what is not asked for is the cluster's to choose."""
    exposure = service.spec.cloud_worker.exposure
    # A type that is the default is not written: the object stays as upstream makes it.
    kind = {"type": exposure.type} if exposure.type in {"NodePort", "LoadBalancer"} else {}
    port = {"nodePort": exposure.node_port} if exposure.type == "NodePort" and exposure.node_port else {}
    return _service(service, cloud_service_name(service.name), kind, port)


def cloud_pods(service: JointInferenceService) -> Child | None:
    """Return the headless Service that lists the cloud worker's ready pods, for edges that reach them and the cluster's DNS.

    None where edges are to use another way in, or the service's name leaves no room for it.
    """
    name = cloud_pods_name(service.name)
    if name is None or service.spec.cloud_worker.exposure.type != "ClusterIP":
        return None
    return _service(service, name, {"clusterIP": "None"}, {})


def _service(service: JointInferenceService, name: str, fields: dict[str, Any], port_fields: dict[str, Any]) -> Child:
    selector = labels(service.name, owner_uid(service), Role.CLOUD)
    port = {
        "name": BIG_MODEL_PORT_NAME,
        "protocol": "TCP",
        "port": BIG_MODEL_PORT,
        "targetPort": BIG_MODEL_PORT,
        **port_fields,
    }
    manifest = {
        "apiVersion": ChildKind.SERVICE.api_version,
        "kind": ChildKind.SERVICE.kind,
        "metadata": child_metadata(service, name, dict(selector)),
        "spec": {**fields, "selector": selector, "ports": [port]},
    }
    return Child(ChildKind.SERVICE, Role.CLOUD, manifest)
