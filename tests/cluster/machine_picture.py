"""What a machine looks like to somebody who asks whether a cluster left anything behind."""

from __future__ import annotations

import time
from collections.abc import Set
from pathlib import Path

from tests.cluster.cgroups import hierarchies
from tests.cluster.firewall import families, read_tables
from tests.cluster.site import HOME, MARK
from tests.cluster.sysctls import read_settings
from tests.cluster.system import run_tool

# Words in paths and mounts of nodes; other work on the machine may come and go.
OF_NODES = ("sedna-py", "kubepods", "kubelet", "/run/containerd", "/run/netns", "/var/lib/cni")
GONE_TIMEOUT_S = 20


def machine_picture() -> Set[str]:
    """Return one line for each device, network namespace, mount, cgroup, firewall rule, setting and process."""
    devices = [line.split(":")[1].split("@")[0].strip() for line in run_tool("ip", "-o", "link").splitlines()]
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return frozenset(
        [
            *(f"device {name}" for name in devices),
            *(f"network namespace {line}" for line in run_tool("ip", "netns").splitlines()),
            *(f"route {line}" for line in run_tool("ip", "route").splitlines()),
            *(f"mount {line}" for line in mounts if any(word in line for word in OF_NODES)),
            *(f"cgroup {path}" for path in cgroups_of_nodes()),
            *firewall(),
            *(f"setting {name}={value}" for name, value in read_settings().items()),
            *(f"process {line}" for line in processes_of_nodes()),
            *(f"folder {path}" for path in HOME.glob("*/")),
        ]
    )


def left_behind(before: Set[str]) -> list[str]:
    """Return what is new since that picture; the kernel's own tidying is waited for."""
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while (new := machine_picture() - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    return sorted(new)


def cgroups_of_nodes() -> list[Path]:
    """Return the topmost cgroups that nodes make."""
    return [path for root, _ in hierarchies() for word in OF_NODES[:2] for path in root.glob(f"{word}*/")]


def firewall() -> list[str]:
    """Return chains and rules; tables that are empty do not count."""
    lines = []
    for family in families():
        for name, table in read_tables(run_tool(f"{family}-save")).items():
            lines += [f"{family} {name} {line}" for line in (*table.chains, *table.rules)]
    return lines


def processes_of_nodes() -> list[str]:
    """Return pid and name of those that carry a cluster's mark or run in one of its containers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marked = entry.name.isdecimal() and MARK.encode() in (entry / "environ").read_bytes()
            in_pod = entry.name.isdecimal() and "/sedna-py-" in (entry / "cgroup").read_text(encoding="utf-8")
            if marked or in_pod:
                found.append(f"{entry.name} {(entry / 'comm').read_text(encoding='utf-8').strip()}")
        except OSError:  # ended meanwhile
            continue
    return found
