"""One real node: containerd and kubelet in namespaces of their own, so that nothing of it outlives its first process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster.binaries import NodeBinaries
from tests.cluster.errors import StartError
from tests.cluster.node_config import (
    CNI_FOLDERS,
    NodeFacts,
    cni_config,
    containerd_config,
    containerd_socket,
    kubelet_config,
)
from tests.cluster.node_init import OWN_FOLDERS, READY
from tests.cluster.pki import KeyPair
from tests.cluster.processes import ChildProcess
from tests.cluster.system import run_tool, tool

INIT = Path(__file__).with_name("node_init.py")
NAMESPACE_TIMEOUT_S = 20
IMPORT_TIMEOUT_S = 300
POLL_S = 0.02
HOUSEKEEPING = "5s"

Start = Callable[[str, Sequence[str]], ChildProcess]


class Node:
    """A node of the cluster; `start_process` runs a named program of the cluster and keeps its log."""

    def __init__(self, facts: NodeFacts, binaries: NodeBinaries, start_process: Start) -> None:
        """Only remember; nothing runs before `start_containerd`."""
        self.facts = facts
        self._binaries = binaries
        self._start = start_process
        self._pid = 0

    @property
    def pid(self) -> int:
        """The host's number of a process that holds all namespaces of the node."""
        if not self._pid:
            raise StartError(f"{self.facts.name} is not running")
        return self._pid

    def enter_command(self, *command: str) -> list[str]:
        """Return the command line that runs this in the node's namespaces."""
        at = f"/proc/{self.pid}/ns"
        namespaces = [f"--mount={at}/mnt", f"--net={at}/net", f"--uts={at}/uts", f"--pid={at}/pid"]
        return [tool("nsenter"), *namespaces, "--", *command]

    def start_namespaces(self, *, elsewhere: bool) -> None:
        """Start the node's first process and wait until its namespaces are there; `elsewhere` has network and name of its own."""
        self.facts.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in OWN_FOLDERS:
            Path(folder).mkdir(parents=True, exist_ok=True)
        init = [
            sys.executable,
            "-I",
            "-S",
            str(INIT),
            str(self.facts.folder),
            *([self.facts.name] if elsewhere else []),
        ]
        namespaces = ["--mount", "--pid", *(["--net", "--uts"] if elsewhere else [])]
        command = [tool("unshare"), *namespaces, "--fork", "--kill-child", "--mount-proc", *init]
        outer = self._start(f"{self.facts.name}.init", command)
        deadline = time.monotonic() + NAMESPACE_TIMEOUT_S
        while not (self.facts.folder / READY).exists():
            if outer.has_ended() or time.monotonic() > deadline:
                raise StartError(f"{self.facts.name} has no namespaces, log {outer.log}:\n{outer.log_tail()}")
            time.sleep(POLL_S)
        self._pid = only_child(outer.identity.pid)

    def start_containerd(self) -> None:
        """Start containerd, without waiting for it."""
        facts = self.facts
        facts.cni_folder.mkdir(exist_ok=True)
        (facts.cni_folder / "10-pods.conflist").write_text(cni_config(facts), encoding="utf-8")
        config = facts.folder / "containerd.toml"
        config.write_text(containerd_config(facts, tool("runc"), cni_programs()), encoding="utf-8")
        command = self.enter_command(tool("containerd"), "--config", str(config))
        self._start(f"{facts.name}.containerd", command)

    def load_image(self, archive: Path) -> None:
        """Import an OCI or docker archive, under the name that the archive says; waits for containerd."""
        import_image(self.facts.folder, archive)

    def start_kubelet(self, kubeconfig: Path, serving: KeyPair, client_authority: Path) -> None:
        """Start kubelet, which registers the node by itself."""
        facts = self.facts
        (facts.folder / "resolv.conf").write_text("# No resolver: nothing outside is asked.\n", encoding="ascii")
        config = facts.folder / "kubelet.json"
        config.write_text(kubelet_config(facts, serving, client_authority), encoding="utf-8")
        command = [
            str(self._binaries.kubelet),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={facts.kubelet_root}",
            f"--hostname-override={facts.name}",
            f"--node-ip={facts.address}",
            f"--housekeeping-interval={HOUSEKEEPING}",
        ]
        self._start(f"{facts.name}.kubelet", self.enter_command(*command))


def import_image(node_folder: Path, archive: Path) -> None:
    """Import an archive into the containerd of the node with this folder."""
    socket = containerd_socket(node_folder)
    deadline = time.monotonic() + NAMESPACE_TIMEOUT_S
    while not socket.exists():
        if time.monotonic() > deadline:
            raise StartError(f"containerd does not listen on {socket}; see its log")
        time.sleep(POLL_S)
    address = ["--address", str(socket), "--namespace", "k8s.io"]
    run_tool("ctr", *address, "images", "import", str(archive), timeout_s=IMPORT_TIMEOUT_S)


def cni_programs() -> Path:
    """Return the folder of the CNI plugins."""
    for folder in CNI_FOLDERS:
        if os.access(folder / "bridge", os.X_OK):
            return folder
    raise StartError("CNI plugins are not installed: run `python -m tests.cluster packages`")


def only_child(pid: int) -> int:
    """Return the pid of a process's child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    if len(children) != 1:
        raise StartError(f"process {pid} should have one child, it has {len(children)}")
    return int(children[0])
