"""The directory of a node in which the edge pods of one service share their sources.

It is below the node's /dev/shm: in memory, gone with a restart of the node as locks and sockets should be, and of a mode (1777)
that lets any user write. A hostPath of its own would be made for root alone. By `subPath` a pod sees the directory of its
service and nothing else of /dev/shm; the kubelet makes it where it is missing, with the mode that /dev/shm has, so that
user 65532 of our image, and any other, can write there.
"""

from __future__ import annotations

from typing import Any, Final

from controller.resources.environment import EnvVars
from controller.resources.keyed_lists import items_of
from sedna_py.api.finding import Place
from sedna_py.api.shared_streams import SHARED_DIR

VOLUME: Final = "sedna-shared-streams"
MOUNT_PATH: Final = "/run/sedna-py/shared"
HOST_PATH: Final = "/dev/shm"  # noqa: S108 - on the node


def shared_variables() -> EnvVars:
    """Return what tells a worker of the directory; a worker that knows nothing of it takes no notice."""
    return [{"name": SHARED_DIR, "value": MOUNT_PATH}]


def with_shared_directory(pod: dict[str, Any], namespace: str, service: str, place: Place) -> dict[str, Any]:
    """Return the pod's spec with the directory in every container.

    What the template has under the same name or at the same path stays, and is taken for it.
    """
    volumes = items_of(pod, "volumes", place)
    # Not type Directory: where a node has no /dev/shm the pod still starts, and the worker says that it cannot write there.
    ours = {"name": VOLUME, "hostPath": {"path": HOST_PATH, "type": "DirectoryOrCreate"}}
    mount = {"name": VOLUME, "mountPath": MOUNT_PATH, "subPath": f"sedna-py.{namespace}.{service}"}
    if any(volume.get("name") == VOLUME for volume in volumes):
        return pod
    containers = [
        {
            **container,
            "volumeMounts": _with_mount(items_of(container, "volumeMounts", (*place, "containers", index)), mount),
        }
        for index, container in enumerate(items_of(pod, "containers", place))
    ]
    return {**pod, "containers": containers, "volumes": [*volumes, ours]}


def _with_mount(own: list[dict[str, Any]], mount: dict[str, Any]) -> list[dict[str, Any]]:
    taken = any(str(other.get("mountPath")).rstrip("/") == mount["mountPath"] for other in own)
    return own if taken else [*own, mount]
