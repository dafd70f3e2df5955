"""What all children have in their metadata."""

from __future__ import annotations

from typing import Any

from sedna_py.api.joint_inference_service import JointInferenceService


def child_metadata(service: JointInferenceService, name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return the metadata of a child: the service owns it, so it goes with the service."""
    owner = {
        "apiVersion": service.api_version,
        "kind": service.kind,
        "name": service.name,
        "uid": owner_uid(service),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"name": name, "namespace": service.namespace, "labels": labels, "ownerReferences": [owner]}


def owner_uid(service: JointInferenceService) -> str:
    """Return the service's uid; ValueError for one that no API server has seen."""
    if not service.metadata.uid:
        raise ValueError(f"service {service.namespace}/{service.name} has no uid; children need one to be owned by")
    return service.metadata.uid
