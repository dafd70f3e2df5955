"""The EndpointSlice by which a sleeping cloud worker's Service leads to the controller: pure.

Kubernetes' own controller of slices leaves alone what another manages, and whoever routes to a Service (kube-proxy, also for node
ports) joins all its slices. So the address that edges know stays the same, whatever way it takes into the cluster.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from controller.cluster import FIELD_MANAGER
from sedna_py.api.child_names import (
    BIG_MODEL_PORT_NAME,
    Role,
    activator_slice_name,
    cloud_service_name,
    labels,
)
from sedna_py.api.metadata import API_VERSION

API: Final = "discovery.k8s.io/v1"
PLURAL: Final = "endpointslices"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
SELECTOR: Final = f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"


def endpoint_slice(namespace: str, service: str, uid: str, address: str, port: int) -> dict[str, Any]:
    """Return the slice of the service of that uid, which leads to `address` (an IP address) and `port`."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": "JointInferenceService",
        "name": service,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    marks = {SERVICE_LABEL: cloud_service_name(service), MANAGED_BY_LABEL: FIELD_MANAGER}
    return {
        "apiVersion": API,
        "kind": "EndpointSlice",
        "metadata": {
            "name": activator_slice_name(service),
            "namespace": namespace,
            "labels": {**labels(service, uid, Role.CLOUD), **marks},
            "ownerReferences": [owner],
        },
        "addressType": f"IPv{ip_address(address).version}",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": BIG_MODEL_PORT_NAME, "protocol": "TCP", "port": port}],
    }


def can_be_an_endpoint(address: str) -> bool:
    """Tell whether Kubernetes takes an address into a slice: it must be one that other machines can mean as well."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_link_local or found.is_multicast)
