"""The kernel's settings that a node changes for the whole machine, and their return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROC_SYS = Path("/proc/sys")
# Without the second, traffic between two pods of one node passes by kube-proxy's rules.
WANTED = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
# What kubelet, kube-proxy and CNI plugins write by themselves.
ALSO_CHANGED = (
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def read_settings() -> dict[str, str]:
    """Return the present values of all settings that a cluster may change, where the kernel has them."""
    found = {}
    for name in (*WANTED, *ALSO_CHANGED):
        path = PROC_SYS / name
        if path.exists():
            found[name] = path.read_text(encoding="ascii").strip()
    return found


def write_settings(values: Mapping[str, str]) -> None:
    """Write the values that differ; a setting that the kernel does not have is left out."""
    for name, value in values.items():
        path = PROC_SYS / name
        if path.exists() and path.read_text(encoding="ascii").strip() != value:
            path.write_text(value, encoding="ascii")
