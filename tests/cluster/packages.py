"""The machine's packages that a cluster with nodes needs, and their installation where apt-get does that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.cluster.errors import StartError, TierUnavailableError
from tests.cluster.node import cni_programs
from tests.cluster.system import find_tool, run_tool

# Package by command; the command tells that the package is there, whoever installed it.
PACKAGE_OF = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
    "gcc": "gcc libc6-dev",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
# Servers that single tests start for themselves, on ports of their own: on a machine with systemd Debian starts one more of each.
# Nodes do without.
SERVERS = {
    "mosquitto": "mosquitto",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
# A camera of the tests: GStreamer's RTSP server, its encoder, and what the system's Python needs for them.
RTSP_PACKAGES = (
    *("python3-gi", "gir1.2-gst-rtsp-server-1.0"),
    *("gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good", "gstreamer1.0-plugins-ugly"),
)
SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's packages of Python modules are for this one
RTSP_CHECK = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(Gst.ElementFactory.find(name) for name in ("videotestsrc", "x264enc", "rtph264pay"))
"""
CNI_PACKAGE = "containernetworking-plugins"
APT_TIMEOUT_S = 600


def missing_packages() -> list[str]:
    """Return Debian's names of what is not installed, for nodes and for single tests."""
    rtsp = () if has_rtsp_server() else RTSP_PACKAGES
    return sorted({*missing_for_nodes(), *_absent(SERVERS), *rtsp})


def has_rtsp_server() -> bool:
    """Return whether the system's Python can serve an RTSP stream."""
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", RTSP_CHECK], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def missing_for_nodes() -> list[str]:
    """Return Debian's names of what nodes need and is not installed."""
    names = _absent(PACKAGE_OF)
    try:
        cni_programs()
    except StartError:
        names.append(CNI_PACKAGE)
    return sorted(set(names))


def _absent(package_of: Mapping[str, str]) -> list[str]:
    return [name for command, package in package_of.items() if find_tool(command) is None for name in package.split()]


def require_machine(platform: str = sys.platform) -> None:
    """Raise TierUnavailableError when this machine cannot run nodes; the text says what would help."""
    if platform != "linux":
        raise TierUnavailableError(f"nodes run on Linux only, this is {platform}")
    if os.geteuid() != 0:
        raise TierUnavailableError("nodes need root: run as root, for example in a virtual machine")
    missing = missing_for_nodes()
    if missing:
        raise TierUnavailableError(
            f"{', '.join(missing)} not installed: run `python -m tests.cluster packages` as root"
        )
    try:
        run_tool("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "true")
    except StartError as error:
        raise TierUnavailableError(f"this root may not make namespaces ({error}): use a virtual machine") from None


def install_missing(platform: str = sys.platform) -> list[str]:
    """Install what is missing and return the names; TierUnavailableError where that cannot be done, with the reason."""
    if platform != "linux":
        raise TierUnavailableError(f"nodes run on Linux only, this is {platform}")
    missing = missing_packages()
    if not missing:
        return []
    if find_tool("apt-get") is None:
        raise TierUnavailableError(f"there is no apt-get: install {', '.join(missing)} by your system's means")
    if os.geteuid() != 0:
        raise TierUnavailableError(f"only root can install {', '.join(missing)}")
    apt_get("update")
    apt_get("install", "--yes", "--no-install-recommends", *missing)
    return missing


def apt_get(*arguments: str) -> None:
    """Run apt-get without questions; TierUnavailableError with the last line of what it said."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise TierUnavailableError(f"apt-get {arguments[0]} took more than {APT_TIMEOUT_S // 60} minutes") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason"]
        raise TierUnavailableError(f"apt-get {arguments[0]} failed: {said[-1]}")
