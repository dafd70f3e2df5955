"""What the autoscaler of a worker is told, from the service's YAML: pure."""

from __future__ import annotations

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.autoscaler import Goals
from sedna_py.autoscaling.hpa import milli
from sedna_py.autoscaling.scale_metric import autoscaler_block, signal_targets, window_settings
from sedna_py.autoscaling.windows import WindowSettings


def goals_of(service: JointInferenceService, role: Role) -> Goals | None:
    """Return what the worker's autoscaler is told, None where there is to be none."""
    block = autoscaler_block(service, role)
    if block is None:
        return None
    worker = service.spec.edge_worker if role is Role.EDGE else service.spec.cloud_worker
    resources = worker.template.spec.containers[0].resources
    requests, limits = (resources.requests or {}, resources.limits or {}) if resources else ({}, {})
    return Goals(
        block=block,
        targets=signal_targets(service, role),
        windows=WindowSettings(*window_settings(service.metadata.annotations)),
        cpu_request=milli(requests.get("cpu", limits.get("cpu", 0))),
        cpu_limit=milli(limits.get("cpu", 0)),
    )
