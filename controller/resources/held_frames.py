"""Where an edge worker keeps hard frames while the cloud worker has no pod: in its offline queue, on the pod's own disk.

It is an emptyDir: every namespace allows it, and it outlasts the container, though not the pod. What the template says of the
queue by itself counts, as does a format that the queue does not keep.
"""

from __future__ import annotations

from typing import Any, Final

from controller.resources.environment import EnvVars
from controller.resources.keyed_lists import items_of
from sedna_py.api.finding import Place
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.pod_template import EnvVar
from sedna_py.autoscaling.scale_to_zero import may_sleep

VOLUME: Final = "sedna-held-frames"
MOUNT_PATH: Final = "/run/sedna-py/held"
MOST_BYTES: Final = 64 * 1024 * 1024
"""Over a thousand frames of 50 kB: half a minute of a video in which every frame is hard."""

QUEUE_DIR: Final = "OFFLINE_QUEUE_DIR"
QUEUE_BYTES: Final = "OFFLINE_QUEUE_BYTES"
FORMAT: Final = "OFFLOAD_FORMAT"
_KEPT: Final = frozenset({"", "jpeg", "png"})


def holds_frames(service: JointInferenceService) -> bool:
    """Tell whether the controller gives the edge worker a place for hard frames."""
    if not may_sleep(service):
        return False
    return not any(
        container.variable(QUEUE_DIR) is not None or not _is_kept(container.variable(FORMAT))
        for container in service.spec.edge_worker.template.spec.containers
    )


def held_variables() -> EnvVars:
    """Return what tells a worker of the place; a worker that knows nothing of it takes no notice."""
    return [{"name": QUEUE_DIR, "value": MOUNT_PATH}, {"name": QUEUE_BYTES, "value": str(MOST_BYTES)}]


def with_held_frames(pod: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return the pod's spec with the place in every container; what the template has under the same name is taken for it."""
    volumes = items_of(pod, "volumes", place)
    if any(volume.get("name") == VOLUME for volume in volumes):
        return pod
    mount = {"name": VOLUME, "mountPath": MOUNT_PATH}
    containers = [
        {
            **container,
            "volumeMounts": [*items_of(container, "volumeMounts", (*place, "containers", index)), mount],
        }
        for index, container in enumerate(items_of(pod, "containers", place))
    ]
    return {**pod, "containers": containers, "volumes": [*volumes, {"name": VOLUME, "emptyDir": {}}]}


def _is_kept(form: EnvVar | None) -> bool:
    return form is None or (form.value_from is None and (form.value or "").strip().lower() in _KEPT)
