"""Where the Kubernetes programs are: the user's folder, else the cache, else built into the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.cluster.errors import BuildError, TierUnavailableError
from tests.cluster.go_build import PROGRAMS, build_missing, find_go
from tests.cluster.progress import Progress

KUBERNETES_VERSION = "v1.36.3"
USER_FOLDER = "KUBEBUILDER_ASSETS"


@dataclass(frozen=True)
class Binaries:
    """What a control plane needs, one file per program."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


@dataclass(frozen=True)
class NodeBinaries:
    """What a cluster with nodes needs besides."""

    plane: Binaries
    kube_scheduler: Path
    kubelet: Path
    kube_proxy: Path
    coredns: Path
    metrics_server: Path


PLANE_PROGRAMS = tuple(field.name.replace("_", "-") for field in fields(Binaries))
NODE_PROGRAMS = tuple(field.name.replace("_", "-") for field in fields(NodeBinaries) if field.name != "plane")


def cache_home(environ: Mapping[str, str]) -> Path:
    """Return this project's folder in the user's cache."""
    chosen = environ.get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path counts as none.
    home = Path(chosen) if chosen.startswith("/") else Path.home() / ".cache"
    return home / "sedna-py"


def binary_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder that built programs are kept in, one per Kubernetes version."""
    return cache_home(environ) / "kubernetes" / KUBERNETES_VERSION


def find_programs(environ: Mapping[str, str]) -> dict[str, Path]:
    """Return the programs that exist, by name; each is looked for by itself because the user's folder often lacks some."""
    folders = [binary_cache(environ)]
    if environ.get(USER_FOLDER):
        folders.insert(0, Path(environ[USER_FOLDER]))
    found = {}
    for name in PROGRAMS:
        candidates = [folder / name for folder in folders if os.access(folder / name, os.X_OK)]
        if candidates:
            found[name] = candidates[0].absolute()
    return found


def locate(environ: Mapping[str, str], platform: str = sys.platform) -> Binaries:
    """Return the control plane's programs without building any; TierUnavailableError says what is missing and what to do."""
    return as_binaries(require_programs(environ, PLANE_PROGRAMS, platform))


def locate_with_nodes(environ: Mapping[str, str], platform: str = sys.platform) -> NodeBinaries:
    """Return every program without building any; TierUnavailableError says what is missing and what to do."""
    return as_node_binaries(require_programs(environ, (*PLANE_PROGRAMS, *NODE_PROGRAMS), platform))


def require_programs(environ: Mapping[str, str], names: Sequence[str], platform: str) -> dict[str, Path]:
    """Return the programs with these names; TierUnavailableError when one is missing."""
    require_linux(platform)
    found = find_programs(environ)
    missing = [name for name in names if name not in found]
    if missing:
        raise TierUnavailableError(
            f"{', '.join(missing)} not found: run `make kubernetes-binaries` or set {USER_FOLDER}"
        )
    return found


def provide(environ: Mapping[str, str], progress: Progress, platform: str = sys.platform) -> Binaries:
    """Return the control plane's programs, the missing ones built; TierUnavailableError or BuildError when that cannot be."""
    provide_programs(environ, PLANE_PROGRAMS, progress, platform)
    return locate(environ, platform)


def provide_with_nodes(environ: Mapping[str, str], progress: Progress, platform: str = sys.platform) -> NodeBinaries:
    """Return every program, the missing ones built; TierUnavailableError or BuildError when that cannot be."""
    provide_programs(environ, (*PLANE_PROGRAMS, *NODE_PROGRAMS), progress, platform)
    return locate_with_nodes(environ, platform)


def provide_programs(environ: Mapping[str, str], names: Sequence[str], progress: Progress, platform: str) -> None:
    """Build those that are missing into the cache."""
    require_linux(platform)
    found = find_programs(environ)
    missing = [name for name in names if name not in found]
    if missing:
        try:
            go = find_go(environ)
        except BuildError as error:
            raise TierUnavailableError(
                f"{', '.join(missing)} not found in {USER_FOLDER} or the cache, and {error}"
            ) from None
        build_missing(missing, go, binary_cache(environ), progress)


def require_linux(platform: str) -> None:
    """Raise TierUnavailableError on other systems: processes are tied to their parent and found again by Linux means."""
    if platform != "linux":
        raise TierUnavailableError(f"the control plane runs on Linux only, this is {platform}")


def as_binaries(found: Mapping[str, Path]) -> Binaries:
    """Return the paths by field."""
    return Binaries(**{name.replace("-", "_"): found[name] for name in PLANE_PROGRAMS})


def as_node_binaries(found: Mapping[str, Path]) -> NodeBinaries:
    """Return the paths by field."""
    return NodeBinaries(as_binaries(found), **{name.replace("-", "_"): found[name] for name in NODE_PROGRAMS})
