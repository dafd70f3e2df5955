"""The one control plane for people: it outlives the command that starts it and is found again by its folder."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.binaries import Binaries
from tests.cluster.commands import Layout
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import ProcessIdentity

PROGRAM_COUNT = 3


@dataclass(frozen=True)
class Detached:
    """The control plane of this folder, running or not; one command at a time changes it, others wait."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The admin's, where it is or would be."""
        return self._layout.kubeconfig

    def is_up(self) -> bool:
        """Return whether all of its programs are running."""
        running = [process for process in self._processes() if process.is_running()]
        return len(running) == PROGRAM_COUNT and self.kubeconfig.exists()

    def up(self, binaries: Binaries) -> bool:
        """Start it, return False when it is up already; the rest of a broken one is removed first."""
        with self._alone():
            if self.is_up():
                return False
            self._remove()
            ControlPlane(binaries, self.folder, tied=False).start()
            return True

    def down(self) -> bool:
        """End exactly its own processes and remove its folder; return False when there was none."""
        with self._alone():
            return self._remove()

    @property
    def _layout(self) -> Layout:
        return Layout(self.folder, port=0)

    def _processes(self) -> list[ProcessIdentity]:
        try:
            recorded = json.loads(self._layout.processes.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [ProcessIdentity(**process) for process in recorded.values()]

    def _remove(self) -> bool:
        processes = [process for process in self._processes() if process.is_running()]
        for process in reversed(processes):
            process.kill()
        existed = self.folder.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        return existed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_name(f"{self.folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
