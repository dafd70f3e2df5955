"""The configuration files of a node's containerd, CNI plugins and kubelet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.pki import KeyPair
from tests.cluster.site import CLUSTER_DOMAIN, DNS_SERVICE_ADDRESS

PAUSE_IMAGE = "sedna-py.test/pause:1"
# Debian's first; the other is where the projects' own archives are usually unpacked.
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
MAX_PODS = 40
STATUS_PERIOD = "5s"


@dataclass(frozen=True)
class NodeFacts:
    """What distinguishes a node; `folder` is its own, paths in it are short enough for sockets."""

    name: str
    address: str
    kubelet_port: int
    pod_bridge: str
    pod_network: str
    masquerade: bool
    folder: Path
    cgroup: str
    taints: tuple[dict[str, str], ...] = ()

    @property
    def containerd_socket(self) -> Path:
        return containerd_socket(self.folder)

    @property
    def kubelet_root(self) -> Path:
        return self.folder / "kubelet"

    @property
    def cni_folder(self) -> Path:
        return self.folder / "cni"


def containerd_socket(node_folder: Path) -> Path:
    """Return where the containerd of the node with this folder listens."""
    return node_folder / "containerd.sock"


def containerd_config(facts: NodeFacts, runc: str, cni_programs: Path) -> str:
    """Return config.toml of containerd 1.6 and newer 1.x."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{facts.folder / "containerd"}"
state = "{facts.folder / "state"}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = "{facts.containerd_socket}"
[debug]
level = "warn"
[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
# A machine without CAP_SYS_RESOURCE may not lower the score of a process.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
[{cri}.cni]
bin_dir = "{cni_programs}"
conf_dir = "{facts.cni_folder}"
"""


def cni_config(facts: NodeFacts) -> str:
    """Return the list of plugins: pods on a bridge of their node, host ports."""
    bridge = {
        "type": "bridge",
        "bridge": facts.pod_bridge,
        "isGateway": True,
        "ipMasq": facts.masquerade,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": facts.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(facts.folder / "addresses"),
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": facts.pod_bridge, "plugins": [bridge, portmap]})


def kubelet_config(facts: NodeFacts, serving: KeyPair, client_authority: Path) -> str:
    """Return a KubeletConfiguration that reserves nothing, evicts nearly nothing and reports often."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": facts.address,
        "port": facts.kubelet_port,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{facts.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{facts.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(facts.folder / "resolv.conf"),
        "volumePluginDir": str(facts.folder / "volume-plugins"),
        "maxPods": MAX_PODS,
        "registerWithTaints": list(facts.taints),
        "nodeStatusUpdateFrequency": STATUS_PERIOD,
        "nodeStatusReportFrequency": STATUS_PERIOD,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi"},
    }
    return json.dumps(config, indent=1)
