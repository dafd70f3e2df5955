"""The cgroups that a cluster's pods run in, in every hierarchy that the machine has (cgroup v1, v2 or both)."""

from __future__ import annotations

import time
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
REMOVE_TIMEOUT_S = 10


def hierarchies() -> list[tuple[Path, str]]:
    """Return mount point and type (`cgroup` or `cgroup2`) of every hierarchy."""
    lines = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    return [(Path(fields[1]), fields[2]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]


def make_cgroups(path: str) -> None:
    """Make the cgroup everywhere; kubelet insists on finding its root."""
    for root, kind in hierarchies():
        at = root
        for name in path.split("/"):
            if kind == "cgroup2":
                pass_on_controllers(at)
            child = at / name
            child.mkdir(exist_ok=True)
            inherit_cpus(at, child)
            at = child
        if kind == "cgroup2":
            pass_on_controllers(at)


def inherit_cpus(parent: Path, child: Path) -> None:
    """Copy cpus and memory nodes: a v1 cpuset starts without any and takes no process then."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source, target = parent / name, child / name
        if source.exists() and target.exists() and not target.read_text(encoding="ascii").strip():
            target.write_text(source.read_text(encoding="ascii"), encoding="ascii")


def pass_on_controllers(cgroup: Path) -> None:
    """Let the children of a v2 cgroup have every controller that it has itself."""
    for controller in (cgroup / "cgroup.controllers").read_text(encoding="ascii").split():
        try:
            (cgroup / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        except OSError:  # a controller that cannot be passed on here, such as cpu with realtime processes
            continue


def remove_cgroups(path: str) -> None:
    """Remove the cgroup and all below it; the processes must have been killed, their last traces are waited for."""
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        left = [tree for root, _ in hierarchies() if (tree := root / path).exists() and not is_removed(tree)]
        if not left or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def is_removed(tree: Path) -> bool:
    """Try to remove a cgroup with its children; False while one is still in use."""
    folders = sorted((folder for folder in tree.rglob("*") if folder.is_dir()), reverse=True)
    try:
        for folder in [*folders, tree]:
            folder.rmdir()
    except FileNotFoundError:
        return False
    except OSError:
        return False
    return True
