"""The one cluster with nodes for people: it outlives the command that starts it and is found again by its record."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.binaries import NodeBinaries
from tests.cluster.commands import Layout
from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.errors import StartError
from tests.cluster.leftovers import Record, marked_processes, records, take_lock, undo
from tests.cluster.link import Link
from tests.cluster.node import import_image
from tests.cluster.site import NODES, Site

# By the name that the kernel knows, which has 15 bytes.
PROGRAMS = Counter(
    {
        **dict.fromkeys(("etcd", "kube-apiserver", "kube-controller", "kube-scheduler"), 1),
        **dict.fromkeys(("kube-proxy", "coredns", "metrics-server"), 1),
        **dict.fromkeys(("containerd", "kubelet"), len(NODES)),
    }
)


@dataclass(frozen=True)
class DetachedE2e:
    """The cluster whose logs and kubeconfig are in this folder, running or not."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The admin's, where it is or would be."""
        return Layout(self.folder / "plane", port=0).kubeconfig

    def record(self) -> Record | None:
        """Return what is known of the cluster, None when there is none."""
        found = [record for record in records() if record.detached and Path(record.folder) == self.folder]
        return found[0] if found else None

    def is_up(self) -> bool:
        """Return whether all of its programs are running."""
        record = self.record()
        return record is not None and running_programs(record.site) >= PROGRAMS and self.kubeconfig.exists()

    def up(self, binaries: NodeBinaries) -> bool:
        """Start it, return False when it is up already; the rest of a broken one is removed first."""
        if self.is_up():
            return False
        self.down()
        E2eCluster(binaries, self.folder, tied=False).start()
        return True

    def down(self) -> bool:
        """End it and put the machine back; return False when there was none."""
        record = self.record()
        if record is not None:
            with take_lock():
                undo(record)
        shutil.rmtree(self.folder, ignore_errors=True)
        return record is not None

    def load(self, archive: Path) -> None:
        """Import an image archive into both nodes."""
        for name in NODES:
            import_image(self._running().site.folder / name, archive)

    def cut(self) -> None:
        """Pull edge1's cable."""
        Link(self._running().site).cut()

    def restore(self) -> None:
        """Plug it in again."""
        Link(self._running().site).restore()

    def _running(self) -> Record:
        record = self.record()
        if record is None:
            raise StartError("no cluster with nodes is running: start one with `make cluster-e2e`")
        return record


def running_programs(site: Site) -> Counter[str]:
    """Return how often each program of the cluster runs."""
    names: Counter[str] = Counter()
    for process in marked_processes(site):
        try:
            names[Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()] += 1
        except OSError:  # it has just ended
            continue
    return names
