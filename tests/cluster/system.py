"""Run the machine's own tools: ip, iptables, openssl, ctr."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.cluster.errors import StartError

TOOL_TIMEOUT_S = 60
# A user's PATH often lacks the folders of the system's administrator.
ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_tool(name: str) -> str | None:
    """Return the path of one of the machine's tools, None when it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMIN_FOLDERS]))


def tool(name: str) -> str:
    """Return the path of one of the machine's tools; StartError when it is not installed."""
    path = find_tool(name)
    if path is None:
        raise StartError(f"{name} is not installed: run `python -m tests.cluster packages`")
    return path


def run_tool(name: str, *arguments: str, stdin: str = "", timeout_s: float = TOOL_TIMEOUT_S) -> str:
    """Run one tool and return what it prints; StartError with its complaint when it fails."""
    try:
        done = subprocess.run(
            [tool(name), *arguments], input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise StartError(f"{shown(name, arguments)} took more than {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise StartError(f"{shown(name, arguments)}: {done.stderr.strip()}")
    return done.stdout


def try_tool(name: str, *arguments: str) -> bool:
    """Return whether the tool did it; for undoing what may be undone already."""
    try:
        run_tool(name, *arguments)
    except StartError:
        return False
    return True


def shown(name: str, arguments: Sequence[str]) -> str:
    """Return the command line for a message."""
    return " ".join([name, *arguments])
