"""The network of the two nodes: a bridge with cloud1's address on it, and a cable from there to edge1's namespace."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cluster.site import (
    CLOUD_ADDRESS,
    CLOUD_NODE,
    EDGE_ADDRESS,
    EDGE_NODE,
    POD_NETWORKS,
    PREFIX_LENGTH,
    SERVICE_NETWORK,
    Site,
)
from tests.cluster.system import run_tool, tool, try_tool

EDGE_DEVICE = "eth0"
EDGE_POD_BRIDGE = "pods"
# Pods at the edge have a routing table of their own, because only what has a route reaches the chain that refuses it.
POD_TABLE = "100"
REFUSALS = "SEDNA-E2E-REFUSE"
# What EdgeMesh would make reachable from an edge node.
MESH_NETWORKS = (SERVICE_NETWORK, POD_NETWORKS[CLOUD_NODE])


@dataclass(frozen=True)
class Link:
    """The bridge, and the cable once edge1's network namespace exists."""

    site: Site

    def make_bridge(self) -> None:
        """Give cloud1 its address; needed before the API server starts."""
        bridge = self.site.bridge
        run_tool("ip", "link", "add", bridge, "type", "bridge")
        run_tool("ip", "address", "add", f"{CLOUD_ADDRESS}/{PREFIX_LENGTH}", "dev", bridge)
        run_tool("ip", "link", "set", bridge, "up")
        # Without these, packets to a Service that does not exist or to a pod at the edge would leave the machine.
        for network in (SERVICE_NETWORK, POD_NETWORKS[EDGE_NODE]):
            run_tool("ip", "route", "add", network, "dev", bridge, "src", CLOUD_ADDRESS)

    def connect(self, edge_pid: int) -> None:
        """Lay the cable into the network namespace of this process; there is no default route there."""
        ends = ["link", "add", self.site.edge_link, "type", "veth", "peer", "name", EDGE_DEVICE]
        run_tool("ip", *ends, "netns", str(edge_pid))
        run_tool("ip", "link", "set", self.site.edge_link, "master", self.site.bridge, "up")
        at_edge(edge_pid, "link", "set", "lo", "up")
        at_edge(edge_pid, "address", "add", f"{EDGE_ADDRESS}/{PREFIX_LENGTH}", "dev", EDGE_DEVICE)
        at_edge(edge_pid, "link", "set", EDGE_DEVICE, "up")
        at_edge(edge_pid, "rule", "add", "iif", EDGE_POD_BRIDGE, "lookup", POD_TABLE)
        for network in MESH_NETWORKS:
            at_edge(edge_pid, "route", "add", network, "via", CLOUD_ADDRESS, "table", POD_TABLE)
        in_edge_network(edge_pid, "iptables", "--new-chain", REFUSALS)
        in_edge_network(edge_pid, "iptables", "--insert", "FORWARD", "--in-interface", EDGE_POD_BRIDGE, "-j", REFUSALS)
        # A refusal is one packet, and a pod that asks for several names gets every one.
        in_edge_network(edge_pid, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit")

    def add_mesh_routes(self, edge_pid: int) -> None:
        """Make Services and cloud1's pods reachable from edge1; once more changes nothing."""
        in_edge_network(edge_pid, "iptables", "--flush", REFUSALS)
        for network in MESH_NETWORKS:
            at_edge(edge_pid, "route", "replace", network, "via", CLOUD_ADDRESS)

    def remove_mesh_routes(self, edge_pid: int) -> None:
        """Make them unreachable at once, as on a KubeEdge node without EdgeMesh; once more changes nothing."""
        self.add_mesh_routes(edge_pid)
        for network in MESH_NETWORKS:
            at_edge(edge_pid, "route", "delete", network)
            # A UDP socket takes no notice when a router says `network unreachable`: pods would wait ten seconds for DNS.
            refuse = ["--destination", network, "--jump", "REJECT", "--reject-with", "icmp-host-prohibited"]
            in_edge_network(edge_pid, "iptables", "--append", REFUSALS, *refuse)

    def cut(self) -> None:
        """Pull the cable."""
        run_tool("ip", "link", "set", self.site.edge_link, "down")

    def restore(self) -> None:
        """Plug it in again."""
        run_tool("ip", "link", "set", self.site.edge_link, "up")


def at_edge(edge_pid: int, *arguments: str) -> None:
    """Run ip in the network namespace of this process."""
    in_edge_network(edge_pid, "ip", *arguments)


def in_edge_network(edge_pid: int, name: str, *arguments: str) -> None:
    """Run a tool in the network namespace of this process."""
    run_tool("nsenter", f"--net=/proc/{edge_pid}/ns/net", tool(name), *arguments)


def remove_devices(site: Site) -> None:
    """Remove what the host's network has of this cluster; routes go with their device."""
    for device in site.devices:
        try_tool("ip", "link", "delete", device)
