"""Where a container's paths are on this machine: pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sedna_py.api.model_mount import ModelMount
from sedna_py.api.pod_template import Container, PodSpec


@dataclass(frozen=True, slots=True)
class HostDirectory:
    """A hostPath that the worker needs, under the host root."""

    path: Path
    must_exist: bool  # type Directory; otherwise it is made


@dataclass(frozen=True, slots=True)
class PathMap:
    """Container paths to host paths, for processes that run without a container.

    `host_root` stands for the node's `/`, so that a service written for a node can run from any folder.
    """

    host_root: Path = Path("/")
    mounts: Mapping[PurePosixPath, PurePosixPath] = field(default_factory=dict)

    def on_host(self, path: str | PurePosixPath) -> Path:
        """Return where a path of the node is here."""
        return self.host_root / absolute(path).relative_to("/")

    def translate(self, value: str) -> str:
        """Return an environment value with the container path that it begins with replaced by the path here."""
        if not value.startswith("/") and not value.startswith("file:/"):
            return value
        scheme, path = ("file:", value.removeprefix("file:")) if value.startswith("file:") else ("", value)
        inside = absolute(path)
        for mount in sorted(self.mounts, key=lambda m: len(m.parts), reverse=True):
            if inside.is_relative_to(mount):
                host = self.on_host(self.mounts[mount] / inside.relative_to(mount))
                return f"{scheme}{host}" + ("/" if value.endswith("/") else "")
        return value


def absolute(path: str | PurePosixPath) -> PurePosixPath:
    """Return a path of a container or node from its `/`, without `..` and doubled slashes."""
    return PurePosixPath(posixpath.normpath("/" + str(path).lstrip("/")))


def map_paths(pod: PodSpec, container: Container, mount: ModelMount, host_root: Path) -> PathMap:
    """Return the paths of one container: its hostPath volumes, and the model's mount.

    What an init container would download is looked for in `/downloads` of the host root.
    """
    volumes = {volume.name: volume.host_path for volume in pod.volumes or () if volume.host_path is not None}
    mounts: dict[PurePosixPath, PurePosixPath] = {}
    for entry in container.volume_mounts or ():
        host = volumes.get(entry.name)
        if host is not None:
            mounts[absolute(entry.mount_path)] = absolute(host.path) / (entry.sub_path or "").lstrip("/")
    if mount.container_directory:
        mounts[absolute(mount.container_directory)] = absolute(mount.host_directory or mount.container_directory)
    return PathMap(host_root, mounts)


def host_directories(pod: PodSpec, paths: PathMap) -> list[HostDirectory]:
    """Return the directories that the pod's hostPath volumes name."""
    kinds = {"Directory": True, "DirectoryOrCreate": False, "": False, None: False}
    return [
        HostDirectory(paths.on_host(volume.host_path.path), kinds[volume.host_path.type])
        for volume in pod.volumes or ()
        if volume.host_path is not None and volume.host_path.type in kinds
    ]
