"""Where the Kubernetes programs are: the user's folder, else the cache, else built into the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import BuildError, TierUnavailableError
from tests.cluster.go_build import PROGRAMS, build_missing, find_go
from tests.cluster.progress import Progress

KUBERNETES_VERSION = "v1.36.3"
USER_FOLDER = "KUBEBUILDER_ASSETS"


@dataclass(frozen=True)
class Binaries:
    """One file per program."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


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
    """Return every program without building any; TierUnavailableError says what is missing and what to do."""
    require_linux(platform)
    found = find_programs(environ)
    missing = [name for name in PROGRAMS if name not in found]
    if missing:
        raise TierUnavailableError(
            f"{', '.join(missing)} not found: run `make kubernetes-binaries` or set {USER_FOLDER}"
        )
    return as_binaries(found)


def provide(environ: Mapping[str, str], progress: Progress, platform: str = sys.platform) -> Binaries:
    """Return every program and build those that are missing; TierUnavailableError or BuildError when that cannot be."""
    require_linux(platform)
    missing = [name for name in PROGRAMS if name not in find_programs(environ)]
    if missing:
        try:
            go = find_go(environ)
        except BuildError as error:
            raise TierUnavailableError(
                f"{', '.join(missing)} not found in {USER_FOLDER} or the cache, and {error}"
            ) from None
        build_missing(missing, go, binary_cache(environ), progress)
    return locate(environ, platform)


def require_linux(platform: str) -> None:
    """Raise TierUnavailableError on other systems: processes are tied to their parent and found again by Linux means."""
    if platform != "linux":
        raise TierUnavailableError(f"the control plane runs on Linux only, this is {platform}")


def as_binaries(found: Mapping[str, Path]) -> Binaries:
    """Return the paths by field."""
    return Binaries(**{name.replace("-", "_"): path for name, path in found.items()})
