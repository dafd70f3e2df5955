"""What a cluster with nodes changes on the machine: written down before it is made, undone whoever is still there to do it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tests.cluster.cgroups import remove_cgroups
from tests.cluster.errors import ClusterError, StartError
from tests.cluster.firewall import present_chains, remove_chains
from tests.cluster.kubeconfig import write_private
from tests.cluster.link import remove_devices
from tests.cluster.processes import ProcessIdentity, read_stat
from tests.cluster.site import HOME, Site
from tests.cluster.sysctls import read_settings, write_settings

END_TIMEOUT_S = 30


@dataclass(frozen=True)
class Record:
    """One cluster and the machine as it was before; a detached one belongs to no process."""

    id: str
    detached: bool
    folder: str
    settings: dict[str, str]
    chains: dict[str, list[str]]

    @property
    def site(self) -> Site:
        return Site(self.id)


def write_record(site: Site, folder: Path, *, detached: bool) -> Record:
    """Write down what is to be restored."""
    record = Record(site.id, detached, str(folder), read_settings(), present_chains())
    foreign = [chain for chains in record.chains.values() for chain in chains if " KUBE-" in chain]
    if foreign:
        raise StartError(
            f"another Kubernetes node uses this machine's iptables ({foreign[0]}): end it, or run `kube-proxy --cleanup`"
        )
    site.folder.mkdir(mode=0o711, parents=True)
    write_private(site.record, json.dumps(asdict(record)))
    return record


def records() -> list[Record]:
    """Return the clusters of this machine, running or left over."""
    found = []
    for path in sorted(HOME.glob("*/record.json")):
        try:
            found.append(Record(**json.loads(path.read_text(encoding="utf-8"))))
        except FileNotFoundError:  # cleaned up meanwhile
            continue
    return found


def undo(record: Record) -> None:
    """End the cluster's processes and remove everything that it made; what is gone already is passed over."""
    with cleaning_alone():
        end_processes(record.site)
        remove_devices(record.site)
        remove_chains(record.chains)
        write_settings(record.settings)
        remove_cgroups(record.site.cgroup)
        shutil.rmtree(record.site.folder, ignore_errors=True)


def undo_leftovers() -> None:
    """Undo every cluster whose owner is gone; only for the holder of the lock, because then no other owner lives."""
    for record in records():
        if record.detached and marked_processes(record.site):
            raise StartError("a cluster with nodes is running for a person: end it with `make cluster-down`")
        undo(record)


def end_processes(site: Site) -> None:
    """Kill every process of the cluster; those of its pods end with the first process of their node."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while processes := marked_processes(site):
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {[process.pid for process in processes]} do not end")
        for process in processes:
            process.kill()


def marked_processes(site: Site) -> list[ProcessIdentity]:
    """Return the processes that carry the cluster's mark, but this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            marked = site.mark.encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        stat = read_stat(int(entry.name)) if marked else None
        if stat is not None and stat[0] not in "ZX":
            found.append(ProcessIdentity(int(entry.name), stat[1]))
    return found


def take_lock() -> IO[str]:
    """Return the lock of the one cluster that may run on this machine, held while the file is open; StartError if taken."""
    HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = (HOME / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise StartError(
            f"another cluster with nodes is running on this machine (process {holder}): only one can, wait for it"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


@contextmanager
def cleaning_alone() -> Iterator[None]:
    """Wait until no other process cleans up."""
    HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    with (HOME / "cleaning.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
