"""How many cpus this process may use: its container's cpu limit, as the kernel's cgroups (v1 and v2) state it.

A limit is a quota: so many microseconds of processor time in every period of 100 ms. More threads than the quota is worth use
it up early in the period, and then all of them stand still until the next one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_V2 = ""  # /proc/self/cgroup names no controllers in the line of the unified hierarchy
_CPU = "cpu"


@dataclass(frozen=True, slots=True)
class CpuBudget:
    """`quota` in cpus, None without a limit; `cpus` that the process may run on; `threads` that may compute at once."""

    quota: float | None
    cpus: int
    threads: int

    @property
    def bound(self) -> int:
        """How many threads may compute at once, 0 where that is left to the libraries: nothing is limited."""
        return 0 if self.quota is None and self.threads == self.cpus else self.threads

    def __str__(self) -> str:
        return (
            f"no cpu limit, {self.cpus} cpus" if self.quota is None else f"cpu limit {self.quota:g} of {self.cpus} cpus"
        )


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted cgroup hierarchy: which cgroup is visible at which place. `controllers` is empty for v2."""

    controllers: frozenset[str]
    root: PurePosixPath
    place: PurePosixPath


def cpu_budget(quota: float | None, cpus: int, threads: int = 0) -> CpuBudget:
    """Return the budget; `threads` 0 takes the quota, rounded, and at least one.

    A half counts as a whole: with a quota of 1.5 two threads answer a third more than one does, though they stand still for a
    part of each period; with one of 1.2 the gain is too small for that.
    """
    available = cpus if quota is None else min(max(int(quota + 0.5), 1), cpus)
    return CpuBudget(quota, cpus, threads or available)


def read_cpu_budget(threads: int = 0, root: Path = Path("/")) -> CpuBudget:
    """Return what this process may use; `root` is where /proc and /sys are found. What cannot be read is no limit."""
    return cpu_budget(read_quota(root), len(os.sched_getaffinity(0)), threads)


def read_quota(root: Path = Path("/")) -> float | None:
    """Return the smallest quota, in cpus, of this process's cgroup and of those around it; None if there is none."""
    memberships = parse_memberships(_read(root / "proc/self/cgroup"))
    quotas = [
        quota
        for mount in parse_mounts(_read(root / "proc/self/mountinfo"))
        for folder in visible_folders(mount, memberships)
        if (quota := _quota_in(root / folder.relative_to("/"), mount.controllers)) is not None
    ]
    return min(quotas, default=None)


def parse_memberships(text: str) -> dict[str, PurePosixPath]:
    """Return this process's cgroup by controller, of `id:controllers:path` lines; v2's under the empty name."""
    found = {}
    for line in text.splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                found[controller] = PurePosixPath(fields[2])
    return found


def parse_mounts(text: str) -> list[Mount]:
    """Return the mounts of /proc/self/mountinfo that can limit processor time (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 6 or len(kind) < 3:
            continue
        controllers = frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset[str]()
        if kind[0] == "cgroup2" or _CPU in controllers:
            root, place = (PurePosixPath(_unescaped(field)) for field in fields[3:5])
            mounts.append(Mount(controllers, root, place))
    return mounts


def visible_folders(mount: Mount, memberships: dict[str, PurePosixPath]) -> Iterator[PurePosixPath]:
    """Yield the folders of the process's cgroup and of those around it, as far as the mount shows them.

    A container without a cgroup namespace is told its path on the host, while the mount shows only what is below its `root`.
    """
    own = memberships.get(_CPU if mount.controllers else _V2)
    if own is None:
        return
    # Where the path leads outside of what is mounted, the mount's own top is the container's cgroup.
    inside = own.relative_to(mount.root) if own.is_relative_to(mount.root) else PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    yield mount.place / inside
    for parent in inside.parents:
        yield mount.place / parent


def parse_cfs(quota: str, period: str) -> float | None:
    """Return v1's quota in cpus of `cpu.cfs_quota_us` and `cpu.cfs_period_us`; -1 is none."""
    with contextlib.suppress(ValueError, ZeroDivisionError):
        cpus = int(quota) / int(period)
        return cpus if cpus > 0 else None
    return None


def parse_cpu_max(text: str) -> float | None:
    """Return v2's quota in cpus of `cpu.max`, which has the quota and the period; `max` is none."""
    fields = text.split()
    return parse_cfs(*fields) if len(fields) == 2 else None


def _quota_in(folder: Path, controllers: frozenset[str]) -> float | None:
    if controllers:
        return parse_cfs(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
    return parse_cpu_max(_read(folder / "cpu.max"))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:  # no such file in a cgroup's root, no cgroups at all, or not for us
        return ""


def _unescaped(field: str) -> str:
    # The kernel writes blanks and backslashes of a path as \040 and so on.
    for code in ("\\040", "\\011", "\\012", "\\134"):
        field = field.replace(code, chr(int(code[1:], 8)))
    return field
