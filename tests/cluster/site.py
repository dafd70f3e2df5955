"""Names and addresses of one cluster with nodes; every name holds its random id, so that leftovers never collide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The folder of all such clusters of this machine: short, because paths of sockets may have 107 bytes only.
HOME = Path("/var/lib/sedna-py-e2e")
CLOUD_NODE, EDGE_NODE = "cloud1", "edge1"
NODES = (CLOUD_NODE, EDGE_NODE)
# One at a time per machine, so the addresses can be the same every time.
PREFIX_LENGTH = 24
CLOUD_ADDRESS, EDGE_ADDRESS = "10.200.0.1", "10.200.0.2"
LINK_NETWORK = "10.200.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS, DNS_SERVICE_ADDRESS = "10.96.0.1", "10.96.0.10"
POD_NETWORK = "10.244.0.0/16"
POD_NETWORKS = {CLOUD_NODE: "10.244.1.0/24", EDGE_NODE: "10.244.2.0/24"}
CLUSTER_DOMAIN = "cluster.local"
# In the environment of every process that belongs to a cluster: so it is found again, whoever its parent is now.
MARK = "SEDNA_PY_E2E_CLUSTER"


@dataclass(frozen=True)
class Site:
    """What belongs to the cluster with this id."""

    id: str

    @property
    def folder(self) -> Path:
        """What the nodes write: images, volumes, sockets. It goes with the cluster."""
        return HOME / self.id

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    @property
    def bridge(self) -> str:
        """The network between the nodes; cloud1's address is on it."""
        return f"sd{self.id}"

    @property
    def edge_link(self) -> str:
        """The bridge's end of edge1's cable."""
        return f"sd{self.id}-v"

    @property
    def cloud_pod_bridge(self) -> str:
        return f"sd{self.id}-c"

    @property
    def devices(self) -> tuple[str, ...]:
        """All in the host's network."""
        return (self.edge_link, self.bridge, self.cloud_pod_bridge)

    @property
    def cgroup(self) -> str:
        """Relative to the root of every hierarchy."""
        return f"sedna-py-{self.id}"

    @property
    def mark(self) -> str:
        return f"{MARK}={self.id}"

    @property
    def command_prefix(self) -> tuple[str, ...]:
        """What marks a process; and no proxy stands between programs of one machine."""
        return ("/usr/bin/env", self.mark, "NO_PROXY=*", "no_proxy=*")
