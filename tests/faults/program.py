"""Where Toxiproxy is: built once from the Go module that tests/cluster/go/toxiproxy pins, and kept in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.binaries import cache_home
from tests.cluster.errors import BuildError, TierUnavailableError
from tests.cluster.go_build import build_missing, find_go
from tests.cluster.progress import Progress

NAME = "toxiproxy-server"
VERSION = "v2.5.0"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder that this version is kept in."""
    return cache_home(environ) / "toxiproxy" / VERSION


def locate(environ: Mapping[str, str]) -> Path:
    """Return the program without building it; TierUnavailableError says what to do where it is missing."""
    program = cache_folder(environ) / NAME
    if not os.access(program, os.X_OK):
        raise TierUnavailableError(f"{NAME} not found: run `python -m tests.faults`, which builds it with Go")
    return program


def provide(environ: Mapping[str, str], progress: Progress) -> Path:
    """Return the program, built if it is missing; TierUnavailableError or BuildError when that cannot be."""
    folder = cache_folder(environ)
    if not os.access(folder / NAME, os.X_OK):
        try:
            go = find_go(environ)
        except BuildError as error:
            raise TierUnavailableError(f"{NAME} is not in the cache, and {error}") from None
        build_missing((NAME,), go, folder, progress)
    return locate(environ)
