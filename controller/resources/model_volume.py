"""The volume that brings a model into a worker: contract section 2.4."""

from __future__ import annotations

from typing import Any

from controller.resources.keyed_lists import Items, invalid, items_of
from sedna_py.api.finding import Place
from sedna_py.api.model_mount import ModelMount, MountKind
from sedna_py.api.wording import show


def with_model(pod: dict[str, Any], mount: ModelMount, place: Place) -> dict[str, Any]:
    """Return the pod's spec with the model mounted in every container.

    What the template has for the same directory already is used. Raises Unbuildable where it has something else there.
    """
    if mount.kind is MountKind.PASSTHROUGH:
        return pod
    volumes = items_of(pod, "volumes", place)
    containers = [
        {**container, "volumeMounts": _mounts(container, volumes, mount, (*place, "containers", index))}
        for index, container in enumerate(items_of(pod, "containers", place))
    ]
    return {**pod, "containers": containers, "volumes": _volumes(volumes, mount, place)}


def model_volume_mount(mount: ModelMount, *, read_only: bool) -> dict[str, Any]:
    """Return the mount of the model's volume in one container."""
    own = {"name": mount.volume_name, "mountPath": mount.container_directory}
    return {**own, "readOnly": True} if read_only else own


def _volumes(volumes: Items, mount: ModelMount, place: Place) -> Items:
    for index, volume in enumerate(volumes):
        if volume.get("name") != mount.volume_name:
            continue
        if _holds_model(volume, mount):
            return volumes
        raise invalid(
            (*place, "volumes", index, "name"),
            f"is {show(mount.volume_name)}, the name of the model's volume, which is {_described(mount)};"
            " write another name",
        )
    source: dict[str, Any] = {"emptyDir": {}}
    if mount.kind is MountKind.HOST_PATH:
        source = {"hostPath": {"path": mount.host_directory, "type": "Directory"}}
    return [*volumes, {"name": mount.volume_name, **source}]


def _mounts(container: dict[str, Any], volumes: Items, mount: ModelMount, place: Place) -> Items:
    mounts = items_of(container, "volumeMounts", place)
    for index, own in enumerate(mounts):
        if _normal(own.get("mountPath")) != _normal(mount.container_directory):
            continue
        if _shows_model(own, volumes, mount):
            return mounts
        raise invalid(
            (*place, "volumeMounts", index, "mountPath"),
            f"is {show(own.get('mountPath'))}, where the model's volume ({_described(mount)}) is mounted;"
            " write another path",
        )
    return [*mounts, model_volume_mount(mount, read_only=mount.kind is MountKind.DOWNLOAD)]


def _shows_model(own: dict[str, Any], volumes: Items, mount: ModelMount) -> bool:
    """Tell whether a mount of the template shows the same directory as the model's would."""
    if own.get("subPath") or own.get("subPathExpr"):
        return False
    if own.get("name") == mount.volume_name:
        return True  # what that volume is, is checked where the volumes are
    # An emptyDir of another name would be another directory; a path on the node is the same under any name.
    return mount.kind is MountKind.HOST_PATH and any(
        volume.get("name") == own.get("name") and _holds_model(volume, mount) for volume in volumes
    )


def _holds_model(volume: dict[str, Any], mount: ModelMount) -> bool:
    if mount.kind is MountKind.DOWNLOAD:
        return "emptyDir" in volume
    host_path = volume.get("hostPath")
    return isinstance(host_path, dict) and _normal(host_path.get("path")) == _normal(mount.host_directory)


def _described(mount: ModelMount) -> str:
    return f"hostPath {mount.host_directory}" if mount.kind is MountKind.HOST_PATH else "an emptyDir"


def _normal(path: Any) -> Any:
    return path.rstrip("/") if isinstance(path, str) else path
