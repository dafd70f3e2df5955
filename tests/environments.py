"""Environments for other projects' clients and servers, whose requirements exclude ours: made once, in the cache, by pip."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.binaries import cache_home


class NoEnvironment(Exception):
    """It cannot be made here; the message says what failed."""


def environment(name: str, packages: Sequence[str], install_s: float) -> Path:
    """Return the Python of an environment that has these packages, and nobody else's; make it if there is none.

    Others who want the same one meanwhile wait. Raises NoEnvironment after `install_s` seconds a step.
    """
    cache = cache_home(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    version = "".join(str(part) for part in sys.version_info[:2])
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    directory = cache / f"{name}-{digest}-py{version}"
    python = directory / "bin" / "python"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            shutil.rmtree(directory, ignore_errors=True)
            _run(install_s, sys.executable, "-m", "venv", str(directory))
            pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
            _run(install_s, *pip, "install", *packages)
            (directory / "complete").touch()
    return python


def _run(seconds: float, *command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)
    except (subprocess.SubprocessError, OSError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NoEnvironment(f"{' '.join(command[1:4])}: {lines[-1] if lines else error}") from error
