"""The Service under which the edge finds the cloud worker."""

from __future__ import annotations

from controller.children import Child, ChildKind
from controller.resources.metadata import child_metadata, owner_uid
from sedna_py.api.child_names import BIG_MODEL_PORT, BIG_MODEL_PORT_NAME, Role, cloud_service_name, labels
from sedna_py.api.joint_inference_service import JointInferenceService


def cloud_service(service: JointInferenceService) -> Child:
    """Return the Service in front of the cloud worker's pods; its type and address are the cluster's to choose."""
    selector = labels(service.name, owner_uid(service), Role.CLOUD)
    port = {
        "name": BIG_MODEL_PORT_NAME,
        "protocol": "TCP",
        "port": BIG_MODEL_PORT,
        "targetPort": BIG_MODEL_PORT,
    }
    manifest = {
        "apiVersion": ChildKind.SERVICE.api_version,
        "kind": ChildKind.SERVICE.kind,
        "metadata": child_metadata(service, cloud_service_name(service.name), dict(selector)),
        "spec": {"selector": selector, "ports": [port]},
    }
    return Child(ChildKind.SERVICE, Role.CLOUD, manifest)
