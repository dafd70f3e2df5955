"""What is well formed about scaling and will not do what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator

from sedna_py.api.child_names import Role
from sedna_py.api.finding import Finding, Place, warning
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.scaling_annotations import TARGET, annotation_findings
from sedna_py.api.wording import plain
from sedna_py.autoscaling.scale_metric import goal


def scaling_findings(service: JointInferenceService) -> Iterator[Finding]:
    """Find annotations that are left out, and targets that a pod can only reach with a line in front of the model."""
    yield from annotation_findings(service)
    worker, wanted = service.spec.cloud_worker, goal(service, Role.CLOUD)
    most = worker.container_concurrency
    if wanted is None or wanted.metric != "concurrency" or most is None or wanted.target <= most:
        return
    field = worker.hpa is not None and worker.hpa.scale_target is not None
    place: Place = ("spec", "cloudWorker", "hpa", "scaleTarget") if field else ("metadata", "annotations", TARGET)
    yield warning(
        place,
        f"is {plain(wanted.target)}, more than the {most} of containerConcurrency, so pods come only when requests wait in"
        f" line; write at most {most}",
    )
