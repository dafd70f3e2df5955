"""All certificates of one cluster with nodes, and the kubeconfigs made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import FRONT_PROXY_AUTHORITY, FRONT_PROXY_CLIENT, HOST, NodeAccess
from tests.cluster.kubeconfig import Access, write_kubeconfig
from tests.cluster.pki import RSA_KEY, Authority, KeyPair, Subject, pair_in
from tests.cluster.site import API_SERVICE_ADDRESS, CLOUD_ADDRESS, CLUSTER_DOMAIN

AUTHORITY = "ca"
API_SERVER, KUBELET_CLIENT = "apiserver", "apiserver-kubelet-client"
MASTERS = "system:masters"
API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
# Programs beside the control plane. The last two have no role that Kubernetes brings along.
CLIENTS = {
    "kube-scheduler": Subject("system:kube-scheduler"),
    "kube-proxy": Subject("system:kube-proxy"),
    "coredns": Subject("coredns", MASTERS),
    "metrics-server": Subject("metrics-server", MASTERS, ("DNS:metrics-server.kube-system.svc",)),
}


@dataclass(frozen=True)
class Credentials:
    """Key pairs in the folder that the API server looks for its own in."""

    folder: Path

    def pair(self, name: str) -> KeyPair:
        """Return where the key pair of this program or node is."""
        return pair_in(self.folder, name)

    @property
    def authority(self) -> Path:
        """The certificate that everybody checks the others by."""
        return self.pair(AUTHORITY).certificate

    def node_access(self, prefix: tuple[str, ...]) -> NodeAccess:
        """Return what the control plane is to know; the files may be made later."""
        return NodeAccess(
            address=CLOUD_ADDRESS,
            authority=self.pair(AUTHORITY),
            kubelet_client=self.pair(KUBELET_CLIENT),
            front_proxy_authority=self.pair(FRONT_PROXY_AUTHORITY),
            front_proxy_client=self.pair(FRONT_PROXY_CLIENT),
            prefix=prefix,
        )

    def make(self, node_addresses: Mapping[str, str]) -> None:
        """Make all of them."""
        authority = Authority.create(self.folder, AUTHORITY)
        addresses = [f"IP:{address}" for address in (HOST, CLOUD_ADDRESS, API_SERVICE_ADDRESS)]
        names = [f"DNS:{name}" for name in ("localhost", *API_NAMES)]
        server = authority.issue(API_SERVER, Subject("kube-apiserver", "", [*addresses, *names]), key=RSA_KEY)
        # Clients take this one file for the authority, as they do where the API server made it by itself.
        with server.certificate.open("ab") as file:
            file.write(authority.pair.certificate.read_bytes())
        authority.issue(KUBELET_CLIENT, Subject("kube-apiserver-kubelet-client", MASTERS))
        for name, subject in CLIENTS.items():
            authority.issue(name, subject)
        for node, address in node_addresses.items():
            authority.issue(node, Subject(f"system:node:{node}", "system:nodes", [f"IP:{address}", f"DNS:{node}"]))
        front = Authority.create(self.folder, FRONT_PROXY_AUTHORITY)
        front.issue(FRONT_PROXY_CLIENT, Subject("front-proxy-client"))

    def kubeconfig(self, name: str, server: str) -> Path:
        """Write the kubeconfig of this program or node, and return its path."""
        path = self.folder / f"{name}.kubeconfig"
        access = Access(server, self.authority.read_bytes(), "", name, client=self.pair(name))
        write_kubeconfig(path, access)
        return path
