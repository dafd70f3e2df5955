"""Pythons that have other projects' clients and servers of the Open Inference Protocol, in environments of their own.

Their requirements exclude each other's. An environment takes about a minute or two to make.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.environments import environment

# The name of each environment: what is in it.
PACKAGES = {
    "clients": ("kserve==0.21.0", "tritonclient[http]==2.73.0", "schemathesis==4.32.5", "pillow==13.0.0"),
    "mlserver": ("mlserver==1.7.1", "pillow==13.0.0"),
}
INSTALL_S = 400  # a test that uses one needs as much time
CLEAN = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "NO_PROXY": "*", "no_proxy": "*"}


def foreign_python(name: str) -> Path:
    """Return the Python of an environment; make it if there is none. Raises NoEnvironment."""
    return environment(f"oip-{name}", PACKAGES[name], INSTALL_S)
