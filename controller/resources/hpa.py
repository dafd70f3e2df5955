"""The HorizontalPodAutoscaler of one worker."""

from __future__ import annotations

from controller.children import Child, ChildKind
from controller.resources.as_written import as_written
from controller.resources.metadata import child_metadata, owner_uid
from sedna_py.api.child_names import Role, deployment_name, hpa_name, labels
from sedna_py.api.hpa import Hpa
from sedna_py.api.joint_inference_service import JointInferenceService


def autoscaler(service: JointInferenceService, role: Role, block: Hpa) -> Child:
    """Return the autoscaler of a worker's Deployment; `block` has fields of autoscaling/v2 only and is passed on as it is."""
    target = {
        "apiVersion": ChildKind.DEPLOYMENT.api_version,
        "kind": ChildKind.DEPLOYMENT.kind,
        "name": deployment_name(service.name, role),
    }
    manifest = {
        "apiVersion": ChildKind.HPA.api_version,
        "kind": ChildKind.HPA.kind,
        "metadata": child_metadata(
            service, hpa_name(service.name, role), labels(service.name, owner_uid(service), role)
        ),
        "spec": {"scaleTargetRef": target, **as_written(block)},
    }
    return Child(ChildKind.HPA, role, manifest)
