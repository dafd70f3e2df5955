"""The peers' virtual environments: made once, by pip, under the cache.

Each peer has its own, because their requirements exclude each other's and ours. The model's runtime is the very version that the
worker runs on, so that what differs is the server alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.cluster.binaries import cache_home

# What the program of every peer needs beside its server: the model, the pictures, and what `sedna_py` imports.
COMMON: Final = (
    f"openvino=={version('openvino')}",
    "opencv-python-headless>=4.10",
    "pydantic>=2.11",
    "httpx>=0.27",
    "prometheus-client>=0.20",
)
# The first one of each names the folder.
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "fastapi": ("fastapi>=0.165", "uvicorn>=0.54", "uvloop>=0.21", "httptools>=0.6"),
    "kserve": ("kserve>=0.21", "uvloop>=0.21", "httptools>=0.6"),
    "mlserver": ("mlserver>=1.7.1", "uvloop>=0.21", "httptools>=0.6"),
    "litserve": ("litserve>=0.2.19", "pyzmq>=26", "uvloop>=0.21", "httptools>=0.6"),
}
INSTALL_S: Final = 900


class NoPeer(Exception):
    """The environment of a peer cannot be made here."""


def environment(name: str) -> Path:
    """Return the Python of a peer's environment; make it if there is none. Raises NoPeer."""
    packages = PACKAGES[name]
    cache = cache_home(os.environ) / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / packages[0].replace(">=", "-")
    python = directory / "bin" / "python"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_complete(directory, packages):
            print(f"  installing {name} into {directory} ...", flush=True)
            shutil.rmtree(directory, ignore_errors=True)
            _command(sys.executable, "-m", "venv", str(directory))
            pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
            _command(*pip, "install", *packages, *COMMON)
            (directory / "complete").write_text("\n".join((*packages, *COMMON)))
    return python


def installed_version(name: str) -> str:
    """Return the version of a peer that is in its environment, which must be there."""
    program = f"import importlib.metadata as m; print(m.version({name!r}))"
    said = subprocess.run([environment(name), "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return said.stdout.strip()


def _is_complete(directory: Path, packages: tuple[str, ...]) -> bool:
    try:
        return (directory / "complete").read_text() == "\n".join((*packages, *COMMON))
    except OSError:
        return False


def _command(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NoPeer(f"{' '.join(command[1:4])}: {lines[-1] if lines else error}") from error


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PACKAGES:
        try:
            print(environment(chosen), installed_version(chosen))
        except NoPeer as problem:
            print(f"{chosen} cannot be installed: {problem}")
