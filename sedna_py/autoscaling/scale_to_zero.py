"""Whether a cloud worker may have no pod at all, and how long it must have been idle for that: pure.

The times are Knative's (knative.dev/docs/serving/autoscaling/scale-to-zero): the stable window, and on top of it how long the
last pod is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.scaling_annotations import scaling_annotations
from sedna_py.autoscaling.scale_metric import autoscaler_class, window_settings


def may_sleep(service: JointInferenceService) -> bool:
    """Tell whether the controller may take the cloud worker's last pod; not where somebody else scales it."""
    hpa = service.spec.cloud_worker.hpa
    return hpa is not None and hpa.fewest == 0 and autoscaler_class(service, Role.CLOUD) == "hpa"


def idle_window_s(annotations: Mapping[str, str] | None) -> float:
    """Return the seconds without a request after which the last pod goes."""
    return window_settings(annotations)[0] + (scaling_annotations(annotations).retention_s or 0.0)
