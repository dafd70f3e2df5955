"""A whole cluster on this machine: control plane, add-ons, and the real nodes cloud1 and edge1."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.cluster.addons import dns_config, metrics_command, objects, proxy_config, scheduler_command
from tests.cluster.binaries import NodeBinaries
from tests.cluster.cgroups import make_cgroups
from tests.cluster.control_plane import ControlPlane, free_port
from tests.cluster.credentials import Credentials
from tests.cluster.errors import StartError
from tests.cluster.firewall import open_for
from tests.cluster.leftovers import Record, take_lock, undo, undo_leftovers, write_record
from tests.cluster.link import EDGE_POD_BRIDGE, Link
from tests.cluster.node import Node
from tests.cluster.node_config import NodeFacts
from tests.cluster.node_images import PAUSE, provide_image
from tests.cluster.processes import TIED, ChildProcess, start_process
from tests.cluster.reaper import start_reaper
from tests.cluster.site import CLOUD_ADDRESS, CLOUD_NODE, EDGE_ADDRESS, EDGE_NODE, NODES, POD_NETWORKS, Site
from tests.cluster.sysctls import WANTED, write_settings
from tests.cluster.system import tool

READY_TIMEOUT_S = 120
POLL_S = 0.1
REAPER_TIMEOUT_S = 60
EDGE_KUBELET_PORT = 10250
EDGE_TAINT = {"key": "node-role.kubernetes.io/edge", "effect": "NoSchedule"}
# What KubeEdge's agent gives its node; a kubelet may not give itself such labels.
EDGE_LABELS = {"node-role.kubernetes.io/edge": "", "node-role.kubernetes.io/agent": ""}
ADDRESSES = {CLOUD_NODE: CLOUD_ADDRESS, EDGE_NODE: EDGE_ADDRESS}


class E2eCluster:
    """One per machine. Use it as a context manager, from the main thread, as root.

    A `tied` one goes with this process, however that ends: the kernel kills the programs, another process cleans up.
    """

    cloud_address = CLOUD_ADDRESS
    edge_address = EDGE_ADDRESS
    nodes = NODES

    def __init__(
        self, binaries: NodeBinaries, folder: Path, *, tied: bool = True, manager_options: Sequence[str] = ()
    ) -> None:
        """Choose names and ports; nothing is made before `start`. Logs and credentials go to the folder.

        `manager_options` come last on the command line of the controller manager, so they win.
        """
        self.folder = folder.absolute()
        self.site = Site(secrets.token_hex(3))
        self.timings: dict[str, float] = {}
        self._binaries = binaries
        self._tied = tied
        self._credentials = Credentials(self.folder / "plane" / "certificates")
        access = self._credentials.node_access(self.site.command_prefix)
        self.plane = ControlPlane(
            binaries.plane, self.folder / "plane", tied=tied, nodes=access, manager_options=manager_options
        )
        self._link = Link(self.site)
        self._nodes = {name: Node(self._facts(name), binaries, self._start) for name in NODES}
        self._children: list[ChildProcess] = []
        self._lock: IO[str] | None = None
        self._record: Record | None = None
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start all; returns once both nodes are Ready and their metrics are known. StartError with a log's end if not."""
        try:
            with self._timed("machine"):
                self._prepare_machine()
            with self._timed("namespaces"):
                self._start_namespaces()
            with self._timed("control plane"):
                self.plane.start()
            with self._timed("programs"):
                self._start_programs()
            with self._timed("nodes ready"):
                self._wait("the nodes to be Ready", self._nodes_are_ready)
            with self._timed("metrics"):
                self._wait("metrics of both nodes", self._has_metrics)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything and put the machine back as it was; a second call changes nothing."""
        self.plane.stop()
        if self._record is not None:
            undo(self._record)
            self._record = None
        while self._children:
            self._children.pop().kill()
        if self._reaper is not None:
            self._reaper.communicate(timeout=REAPER_TIMEOUT_S)
            self._reaper = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """Run kubectl as the admin; see ControlPlane.kubectl."""
        return self.plane.kubectl(*arguments, **options)

    def load_image(self, archive: Path, nodes: Iterable[str] = NODES) -> None:
        """Import an OCI or docker archive into the nodes' containerd."""
        for name in nodes:
            self._nodes[name].load_image(archive)

    def cut_link(self) -> None:
        """Pull edge1's cable."""
        self._link.cut()

    def restore_link(self) -> None:
        """Plug it in again."""
        self._link.restore()

    def remove_service_route(self) -> None:
        """Make Services, cluster DNS and cloud1's pods unreachable from edge1: a KubeEdge node without EdgeMesh."""
        self._link.remove_mesh_routes(self._nodes[EDGE_NODE].pid)

    def add_service_route(self) -> None:
        """Make them reachable again, which they are after the start."""
        self._link.add_mesh_routes(self._nodes[EDGE_NODE].pid)

    def run_in_edge_netns(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program of the host in edge1's network; it ends with the cluster, or with this process. As Popen."""
        network = f"--net=/proc/{self._nodes[EDGE_NODE].pid}/ns/net"
        tied = [sys.executable, "-I", "-S", str(TIED), str(os.getpid())]
        return subprocess.Popen([*tied, *self.site.command_prefix, tool("nsenter"), network, "--", *command], **options)

    def enter_command(self, node: str, *command: str) -> list[str]:
        """Return the command line that runs this in all namespaces of a node, where its mounts are."""
        return self._nodes[node].enter_command(*command)

    def _facts(self, name: str) -> NodeFacts:
        at_edge = name == EDGE_NODE
        return NodeFacts(
            name=name,
            address=ADDRESSES[name],
            kubelet_port=EDGE_KUBELET_PORT if at_edge else free_port(),
            pod_bridge=EDGE_POD_BRIDGE if at_edge else self.site.cloud_pod_bridge,
            pod_network=POD_NETWORKS[name],
            # Nobody knows the way back to a pod at the edge; cloud1's pods are to reach nothing that needs it.
            masquerade=at_edge,
            folder=self.site.folder / name,
            cgroup=f"{self.site.cgroup}/{name}",
            taints=(EDGE_TAINT,) if at_edge else (),
        )

    def _prepare_machine(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = take_lock()
        undo_leftovers()
        self._record = write_record(self.site, self.folder, detached=not self._tied)
        if self._tied:
            self._reaper = start_reaper(self.site.id)
        self._credentials.make(ADDRESSES)
        self._link.make_bridge()
        open_for((self.site.bridge, self.site.cloud_pod_bridge), self.plane.layout.port)
        write_settings(WANTED)
        for node in self._nodes.values():
            make_cgroups(node.facts.cgroup)

    def _start_namespaces(self) -> None:
        for name, node in self._nodes.items():
            node.start_namespaces(elsewhere=name == EDGE_NODE)
            node.start_containerd()
        edge = self._nodes[EDGE_NODE].pid
        self._link.connect(edge)
        self._link.add_mesh_routes(edge)

    def _start_programs(self) -> None:
        self.load_image(provide_image(PAUSE, os.environ))
        for node in self._nodes.values():
            kubeconfig = self._kubeconfig(node.facts.name, CLOUD_ADDRESS)
            node.start_kubelet(kubeconfig, self._credentials.pair(node.facts.name), self._credentials.authority)
        self._start("kube-scheduler", scheduler_command(self._binaries, self._kubeconfig("kube-scheduler")))
        proxy = self._file("kube-proxy.json", proxy_config(self._kubeconfig("kube-proxy"), free_port(), free_port()))
        self._start("kube-proxy", [str(self._binaries.kube_proxy), f"--config={proxy}"])
        dns_port, metrics_port = free_port(), free_port()
        corefile = self._file("Corefile", dns_config(self._kubeconfig("coredns"), dns_port))
        self._start("coredns", [str(self._binaries.coredns), "-conf", str(corefile)])
        client, serving = self._kubeconfig("metrics-server"), self._credentials.pair("metrics-server")
        metrics = metrics_command(self._binaries, client, serving, self._credentials.authority, metrics_port)
        self._start("metrics-server", metrics)
        for path, body in objects(dns_port, metrics_port, self._credentials.authority):
            self.plane.api.create(path, body)

    def _kubeconfig(self, name: str, host: str | None = None) -> Path:
        server = f"https://{host}:{self.plane.layout.port}" if host else self.plane.layout.server
        return self._credentials.kubeconfig(name, server)

    def _file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def _start(self, name: str, command: Sequence[str]) -> ChildProcess:
        child = start_process(name, [*self.site.command_prefix, *command], self.folder, tied=self._tied)
        self._children.append(child)
        return child

    def _nodes_are_ready(self) -> bool:
        """Label the edge as soon as it has registered itself; Ready counts with the label only."""
        for name in NODES:
            node = self.plane.api.get(f"/api/v1/nodes/{name}")
            if node is None:
                return False
            if name == EDGE_NODE and not EDGE_LABELS.items() <= node["metadata"]["labels"].items():
                self.plane.api.merge(f"/api/v1/nodes/{name}", {"metadata": {"labels": EDGE_LABELS}})
                return False
            if not is_ready(node):
                return False
        return True

    def _has_metrics(self) -> bool:
        found = self.plane.api.get("/apis/metrics.k8s.io/v1beta1/nodes")
        return found is not None and len(found["items"]) == len(NODES)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not condition():
            for child in self._children:
                if child.has_ended():
                    raise StartError(f"{child.name} ended by itself, log {child.log}:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"waited {READY_TIMEOUT_S} s for {what}; logs are in {self.folder}")
            time.sleep(POLL_S)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.timings[part] = time.monotonic() - started


def is_ready(node: Mapping[str, Any]) -> bool:
    """Return whether the Node object says Ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
