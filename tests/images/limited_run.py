"""Run a tool that mounts file systems: in namespaces of its own, with an end in time, nothing of it left afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.cluster.errors import BuildError
from tests.cluster.processes import TIED
from tests.cluster.progress import Progress
from tests.cluster.system import tool

TAIL_LINES = 15
POLL_S = 1.0
# When its first process dies, the kernel ends all others of the namespace and undoes its mounts.
OPTIONS = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
# What a user has set for these tools must not reach a build that others shall repeat; proxies are the machine's.
PASSED_ON = ("PATH", "LANG", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class LimitedRun:
    """Tools share a scratch folder and the moment (of time.monotonic) at which all must be done."""

    scratch: Path
    environ: Mapping[str, str]
    deadline: float
    progress: Progress

    def run(self, command: Sequence[str], title: str = "") -> str:
        """Run one tool and return what it prints, with a progress line where there is a title; BuildError when it fails."""
        started = time.monotonic()
        if title:
            self.progress.start(title)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TIED), str(os.getpid()), tool("unshare"), *OPTIONS, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaints,
                env=self._environment(),
                cwd=self.scratch,
                start_new_session=True,
            )
            self._wait(process, command[0], title, started)
            said = read_all(output)
            if process.returncode != 0:
                lines = [*said.splitlines(), *read_all(complaints).splitlines()]
                raise BuildError("\n".join([f"{title or command[0]} failed:", *lines[-TAIL_LINES:]]))
        if title:
            self.progress.end(title, time.monotonic() - started)
        return said

    def _wait(self, process: subprocess.Popen[bytes], name: str, title: str, started: float) -> None:
        with process:
            try:
                while process.poll() is None:
                    now = time.monotonic()
                    if now > self.deadline:
                        raise BuildError(f"{title or name} did not end in time; try again, what is done is kept")
                    if title:
                        self.progress.tick(title, now - started)
                    try:
                        process.wait(POLL_S)
                    except subprocess.TimeoutExpired:
                        continue
            finally:
                process.kill()

    def _environment(self) -> dict[str, str]:
        kept = {name: self.environ[name] for name in PASSED_ON if name in self.environ}
        return {"PATH": os.defpath, **kept, "HOME": str(self.scratch), "TMPDIR": str(self.scratch)}


def read_all(file: IO[bytes]) -> str:
    """Return all that was written."""
    file.seek(0)
    return file.read().decode(errors="replace")
