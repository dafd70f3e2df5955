"""The command lines of the control plane's programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.binaries import Binaries
from tests.cluster.pki import KeyPair, pair_in

HOST = "127.0.0.1"
FRONT_PROXY_AUTHORITY, FRONT_PROXY_CLIENT = "front-proxy-ca", "front-proxy-client"
# Sockets in the control plane's own folder, relative because a socket's path may have 107 bytes only: nobody else on the
# machine reaches etcd, which asks for no password. etcd insists on a port in the peer's; it becomes part of the file name.
ETCD_URL = "unix://etcd:0"
PEER_URL = "unix://peer:0"
# A node whose kubelet has said nothing for so long is NotReady; Kubernetes' own default is ten seconds more.
NODE_MONITOR_GRACE_PERIOD_S = 40


@dataclass(frozen=True)
class NodeAccess:
    """What a control plane with nodes has besides: an address that they reach, and the certificates that both sides show.

    `prefix` comes before each command; the certificates are in the layout's folder before the API server starts.
    """

    address: str
    authority: KeyPair
    kubelet_client: KeyPair
    front_proxy_authority: KeyPair
    front_proxy_client: KeyPair
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The files of one control plane, and the port of its API server."""

    folder: Path
    port: int

    @property
    def server(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def authority(self) -> Path:
        """The API server writes itself a certificate and its authority in this one file."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def key(self) -> Path:
        return self.folder / "certificates" / "apiserver.key"

    @property
    def front_proxy(self) -> tuple[KeyPair, KeyPair]:
        """The authority and the certificate by which an API server behind this one knows it; where there are no nodes."""
        folder = self.folder / "front-proxy"
        return pair_in(folder, FRONT_PROXY_AUTHORITY), pair_in(folder, FRONT_PROXY_CLIENT)

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def etcd_data(self) -> Path:
        return self.folder / "etcd-data"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def controller_manager_kubeconfig(self) -> Path:
        return self.folder / "controller-manager.kubeconfig"

    @property
    def audit_policy(self) -> Path:
        return self.folder / "audit-policy.yaml"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def processes(self) -> Path:
        return self.folder / "processes.json"


def etcd_command(binaries: Binaries, layout: Layout) -> list[str]:
    """Return etcd's; it is to run in the layout's folder."""
    return [
        str(binaries.etcd),
        "--name=etcd",
        f"--data-dir={layout.etcd_data}",
        "--unsafe-no-fsync",
        "--log-level=error",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={PEER_URL}",
        f"--initial-advertise-peer-urls={PEER_URL}",
        f"--initial-cluster=etcd={PEER_URL}",
    ]


def api_server_command(binaries: Binaries, layout: Layout, *, audit: bool, nodes: NodeAccess | None) -> list[str]:
    """Return the API server's; it is to run in the layout's folder."""
    command = [
        str(binaries.kube_apiserver),
        f"--etcd-servers={ETCD_URL}",
        f"--secure-port={layout.port}",
        f"--cert-dir={layout.authority.parent}",
        f"--token-auth-file={layout.tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.key}",
        f"--service-account-signing-key-file={layout.key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        "--profiling=false",
        *(alone_options() if nodes is None else node_options(nodes)),
        *front_proxy_options(
            *(layout.front_proxy if nodes is None else (nodes.front_proxy_authority, nodes.front_proxy_client))
        ),
    ]
    if audit:
        command += [f"--audit-policy-file={layout.audit_policy}", f"--audit-log-path={layout.audit_log}"]
    return command


def alone_options() -> list[str]:
    """Return the options of an API server that only this machine's loopback reaches."""
    return [
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        "--authorization-mode=RBAC",
        # A loopback address is not allowed in the endpoints of the service `kubernetes`.
        "--endpoint-reconciler-type=none",
    ]


def node_options(nodes: NodeAccess) -> list[str]:
    """Return the options for kubelets and pods."""
    return [
        "--bind-address=0.0.0.0",
        f"--advertise-address={nodes.address}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={nodes.authority.certificate}",
        f"--kubelet-client-certificate={nodes.kubelet_client.certificate}",
        f"--kubelet-client-key={nodes.kubelet_client.key}",
        f"--kubelet-certificate-authority={nodes.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def front_proxy_options(authority: KeyPair, client: KeyPair) -> list[str]:
    """Return the options for API servers behind this one, which it reaches at their endpoints without a kube-proxy."""
    return [
        f"--requestheader-client-ca-file={authority.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={client.certificate}",
        f"--proxy-client-key-file={client.key}",
        "--enable-aggregator-routing=true",
    ]


def controller_manager_command(binaries: Binaries, layout: Layout) -> list[str]:
    """Return the controller manager's, quick enough for tests: many workers, no limit on its requests, short HPA periods."""
    return [
        str(binaries.kube_controller_manager),
        f"--kubeconfig={layout.controller_manager_kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.key}",
        f"--root-ca-file={layout.authority}",
        f"--node-monitor-grace-period={NODE_MONITOR_GRACE_PERIOD_S}s",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-gc-syncs=40",
        "--concurrent-namespace-syncs=20",
        "--concurrent-horizontal-pod-autoscaler-syncs=20",
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=10s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=20s",
        "--horizontal-pod-autoscaler-downscale-stabilization=20s",
    ]
