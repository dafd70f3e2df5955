"""Whether the pods of an edge worker share their sources by a directory of their node: pure.

That takes a hostPath, which a namespace under the pod security standard `baseline` or `restricted` refuses, and the pod with it.
Nothing in the service says under which standard it lives; where its edge pods have a hostPath anyway, one more changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sedna_py.api.finding import Finding, Place, warning
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model_mount import ModelMount, MountKind
from sedna_py.api.pod_template import PodSpec
from sedna_py.api.wording import show

ANNOTATION: Final = "sedna.io/shared-streams"
SHARED_DIR: Final = "SHARED_DIR"
FRAME_QUEUE: Final = "FRAME_QUEUE"
_ANNOTATION_PLACE: Final[Place] = ("metadata", "annotations", ANNOTATION)
_VOLUMES_PLACE: Final[Place] = ("spec", "edgeWorker", "template", "spec", "volumes")


class Choice(StrEnum):
    """What the annotation of the service may say."""

    ENABLED = "enabled"
    DISABLED = "disabled"


def shares_streams(service: JointInferenceService, mount: ModelMount) -> bool:
    """Tell whether the edge pods get a directory of their node; `mount` is how their model comes to them."""
    pod = service.spec.edge_worker.template.spec
    choice = _choice(service)
    if choice == Choice.DISABLED or _says_itself(pod):
        return False
    return choice == Choice.ENABLED or (_several(service) and _has_host_path(pod, mount))


def sharing_findings(service: JointInferenceService, mount: ModelMount) -> list[Finding]:
    """Say where pods that could share do not, and where the annotation says what nobody understands."""
    choice, pod = _choice(service), service.spec.edge_worker.template.spec
    if choice is not None and choice not in {*Choice}:
        return [warning(_ANNOTATION_PLACE, f"is {show(choice)}, which is left out; write {' or '.join(Choice)}")]
    if choice is not None or not _several(service) or _says_itself(pod) or _has_host_path(pod, mount):
        return []
    return [
        warning(
            _VOLUMES_PLACE,
            "has no hostPath, which this namespace may forbid, so pods on one node do not share their sources: each reads all"
            f" of them; write the annotation {ANNOTATION} with {Choice.ENABLED} where it is allowed, or env {FRAME_QUEUE},"
            f" else {Choice.DISABLED}",
        )
    ]


def _choice(service: JointInferenceService) -> str | None:
    return (service.metadata.annotations or {}).get(ANNOTATION)


def _several(service: JointInferenceService) -> bool:
    hpa = service.spec.edge_worker.hpa
    return hpa is not None and hpa.max_replicas > 1


def _says_itself(pod: PodSpec) -> bool:
    """Tell whether the template decides by a variable, also by an empty one."""
    return any(container.variable(name) for container in pod.containers for name in (SHARED_DIR, FRAME_QUEUE))


def _has_host_path(pod: PodSpec, mount: ModelMount) -> bool:
    return mount.kind is MountKind.HOST_PATH or any(volume.host_path for volume in pod.volumes or ())
