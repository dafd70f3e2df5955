"""A cgroup with a cpu limit of its own, as a container's; v1 or v2, whichever the machine has. Needs root."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
V1 = TOP / "cpu"
PERIOD_US = 100_000  # Kubernetes'
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Throttling:
    """`cpu.stat` of a cgroup: periods in which something ran, and those in which the limit stopped it."""

    periods: int
    throttled: int


@dataclass(frozen=True)
class Group:
    """A cgroup; start a program in it with `command`."""

    folder: Path

    def command(self, *program: str) -> list[str]:
        """Return the command that enters the cgroup and becomes the program."""
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *program]

    def throttling(self) -> Throttling:
        """Return the counts so far."""
        lines = (self.folder / "cpu.stat").read_text().splitlines()
        counts = {name: int(value) for name, value in (line.split() for line in lines)}
        return Throttling(counts.get("nr_periods", 0), counts.get("nr_throttled", 0))


@contextmanager
def cpu_group(limit: float | None) -> Iterator[Group]:
    """Make a cgroup, limited to so many cpus, and remove it; what runs in it must have ended.

    Raises OSError where it cannot be made.
    """
    folder = (V1 if V1.is_dir() else TOP) / f"sedna-bench-{os.getpid()}-{next(_NUMBERS)}"
    folder.mkdir()
    try:
        for name, value in _settings(limit).items():
            (folder / name).write_text(value)
        yield Group(folder)
    finally:
        folder.rmdir()


def _settings(limit: float | None) -> dict[str, str]:
    # The highest weight there is: what else runs on this machine shall disturb the figures as little as possible.
    if V1.is_dir():
        quota = -1 if limit is None else int(limit * PERIOD_US)
        return {"cpu.shares": "262144", "cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    most = "max" if limit is None else str(int(limit * PERIOD_US))
    return {"cpu.weight": "10000", "cpu.max": f"{most} {PERIOD_US}"}
