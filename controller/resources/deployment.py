"""The Deployment of one worker."""

from __future__ import annotations

from typing import Any

from controller.children import Child, ChildKind
from controller.resources.metadata import child_metadata, owner_uid
from sedna_py.api.child_names import Role, deployment_name, pod_labels
from sedna_py.api.joint_inference_service import JointInferenceService


def deployment(
    service: JointInferenceService, role: Role, template: dict[str, Any], *, recreate: bool = False
) -> Child:
    """Return the Deployment that runs `template`; `recreate` ends the old pods before it begins new ones.

    It has no `replicas`: their number is the autoscaler's, or that of `kubectl scale`.
    """
    labels = pod_labels(service.name, owner_uid(service), role)
    # Of one that rolled so far the server refuses this, as it keeps its own rollingUpdate: the refusal leads to `overwrite`.
    strategy = {"strategy": {"type": "Recreate"}} if recreate else {}
    manifest = {
        "apiVersion": ChildKind.DEPLOYMENT.api_version,
        "kind": ChildKind.DEPLOYMENT.kind,
        "metadata": child_metadata(service, deployment_name(service.name, role), labels),
        "spec": {**strategy, "selector": {"matchLabels": dict(labels)}, "template": template},
    }
    return Child(ChildKind.DEPLOYMENT, role, manifest)
