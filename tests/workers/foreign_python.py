"""Pythons that have other projects' clients and servers of the Open Inference Protocol, in environments of their own.

Their requirements exclude each other's and ours. An environment is made once, in the cache, by pip, in about a minute; with
other packages it is another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster.binaries import cache_home

# The name of each environment: what is in it.
PACKAGES = {
    "clients": ("kserve==0.21.0", "tritonclient[http]==2.73.0", "schemathesis==4.32.5", "pillow==13.0.0"),
    "mlserver": ("mlserver==1.7.1", "pillow==13.0.0"),
}
INSTALL_S = 400  # a test that uses one needs as much time
CLEAN = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "NO_PROXY": "*", "no_proxy": "*"}


class NoForeignPython(Exception):
    """The environment cannot be made here."""


def foreign_python(name: str) -> Path:
    """Return the Python of an environment; make it if there is none. Raises NoForeignPython."""
    packages = PACKAGES[name]
    cache = cache_home(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    version = "".join(str(part) for part in sys.version_info[:2])
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    directory = cache / f"oip-{name}-{digest}-py{version}"
    python = directory / "bin" / "python"
    with (cache / f"oip-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            shutil.rmtree(directory, ignore_errors=True)
            _command(sys.executable, "-m", "venv", str(directory))
            _command(str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *packages)
            (directory / "complete").touch()
    return python


def _command(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NoForeignPython(f"{' '.join(command[1:4])}: {lines[-1] if lines else error}") from error
