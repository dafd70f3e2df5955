"""Command lines, configuration files and objects of what a cluster with nodes runs beside its control plane.

All run as processes of the host. Those that clients find by a Service have one without a selector, with an EndpointSlice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.binaries import NodeBinaries
from tests.cluster.commands import HOST
from tests.cluster.pki import KeyPair
from tests.cluster.site import (
    CLOUD_ADDRESS,
    CLOUD_NODE,
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    LINK_NETWORK,
    POD_NETWORK,
)

SYSTEM = "/api/v1/namespaces/kube-system"
METRIC_RESOLUTION = "10s"
METRICS_GROUP = "v1beta1.metrics.k8s.io"
# One second: an address that a headless Service lost is gone from answers as soon.
DNS_TTL_S = 1


def scheduler_command(binaries: NodeBinaries, kubeconfig: Path) -> list[str]:
    """Return kube-scheduler's."""
    limits = ["--kube-api-qps=1000", "--kube-api-burst=2000"]
    return [
        str(binaries.kube_scheduler),
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        *limits,
    ]


def proxy_config(kubeconfig: Path, health_port: int, metrics_port: int) -> str:
    """Return kube-proxy's: iptables, NodePorts on the nodes' network only, the machine's conntrack limits left alone."""
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": CLOUD_NODE,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_NETWORK,
        "detectLocalMode": "ClusterCIDR",
        "nodePortAddresses": [LINK_NETWORK],
        "healthzBindAddress": f"{HOST}:{health_port}",
        "metricsBindAddress": f"{HOST}:{metrics_port}",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "100ms"},
    }
    return json.dumps(config, indent=1)


def dns_config(kubeconfig: Path, port: int) -> str:
    """Return CoreDNS's Corefile: the cluster's own names without a cache, every other name does not exist."""
    zones = (CLUSTER_DOMAIN, "in-addr.arpa")
    # Blocks of their own, because CoreDNS asks `template` before `kubernetes`, whatever their order here is.
    return f"""\
{" ".join(f"{zone}:{port}" for zone in zones)} {{
    bind {CLOUD_ADDRESS}
    errors
    kubernetes {" ".join(zones)} {{
        kubeconfig {kubeconfig}
        ttl {DNS_TTL_S}
    }}
}}
.:{port} {{
    bind {CLOUD_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def metrics_command(
    binaries: NodeBinaries, kubeconfig: Path, serving: KeyPair, authority: Path, port: int
) -> list[str]:
    """Return metrics-server's."""
    return [
        str(binaries.metrics_server),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={CLOUD_ADDRESS}",
        f"--secure-port={port}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-certificate-authority={authority}",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        f"--metric-resolution={METRIC_RESOLUTION}",
        # The default, 10 s, must be shorter than the resolution.
        "--kubelet-request-timeout=5s",
    ]


def objects(dns_port: int, metrics_port: int, authority: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return path and body of every object to be made."""
    dns_ports: list[dict[str, Any]] = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    bundle = base64.b64encode(authority.read_bytes()).decode()
    return [
        *service("kube-dns", {str(port["name"]): (port, dns_port) for port in dns_ports}, DNS_SERVICE_ADDRESS),
        *service("metrics-server", {"https": ({"name": "https", "port": 443, "protocol": "TCP"}, metrics_port)}),
        ("/apis/apiregistration.k8s.io/v1/apiservices", metrics_api(bundle)),
    ]


def service(
    name: str, ports: Mapping[str, tuple[Mapping[str, Any], int]], address: str | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return a Service and the EndpointSlice that names a process of the host; ports are the Service's and the process's."""
    spec: dict[str, Any] = {"ports": [port for port, _ in ports.values()]}
    if address is not None:
        spec["clusterIP"] = address
    ends = [{"name": key, "port": end, "protocol": port["protocol"]} for key, (port, end) in ports.items()]
    slice_body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-host", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [CLOUD_ADDRESS], "conditions": {"ready": True}}],
        "ports": ends,
    }
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    return [(f"{SYSTEM}/services", body), (slices, slice_body)]


def metrics_api(bundle: str) -> dict[str, Any]:
    """Return the APIService that puts metrics-server behind the API server."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": METRICS_GROUP},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "caBundle": bundle,
        },
    }
