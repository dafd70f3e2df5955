"""Names, labels and addresses of everything that is made for a service: contract section 2.1."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LABEL_PREFIX: Final = "jointinferenceservice.sedna.io"
NAME_LABEL: Final = f"{LABEL_PREFIX}/name"
UID_LABEL: Final = f"{LABEL_PREFIX}/uid"
WORKER_TYPE_LABEL: Final = f"{LABEL_PREFIX}/worker-type"
APP_LABEL: Final = "app.sedna.io"

BIG_MODEL_PORT: Final = 5000
# EdgeMesh reads the protocol from the part before the dash.
BIG_MODEL_PORT_NAME: Final = "tcp-0"
_SERVICE_NAME_MAX: Final = 63  # of any Service: it is a DNS label


class Role(StrEnum):
    """Which side a worker is on."""

    CLOUD = "cloud"
    EDGE = "edge"


def deployment_name(service: str, role: Role) -> str:
    """Return the name of a worker's Deployment."""
    return f"{service}-deployment-{role}"


def hpa_name(service: str, role: Role) -> str:
    """Return the name of a worker's HorizontalPodAutoscaler."""
    return f"hpa-{deployment_name(service, role)}"


def cloud_service_name(service: str) -> str:
    """Return the name of the Service in front of the cloud worker."""
    return f"{service}-{Role.CLOUD}".lower()


def cloud_pods_name(service: str) -> str | None:
    """Return the name of the headless Service that lists the cloud worker's pods, None where it would be too long."""
    name = f"{cloud_service_name(service)}-pods"
    return name if len(name) <= _SERVICE_NAME_MAX else None


def cloud_pods_address(service: str, namespace: str) -> str | None:
    """Return host:port whose host the cluster's DNS resolves to the cloud worker's pods (BIG_MODEL_PODS)."""
    name = cloud_pods_name(service)
    return f"{name}.{namespace}:{BIG_MODEL_PORT}" if name is not None else None


def activator_slice_name(service: str) -> str:
    """Return the name of the EndpointSlice that leads to the controller while the cloud worker is scaled to zero."""
    return f"{cloud_service_name(service)}-asleep"


def cloud_address(service: str, namespace: str) -> str:
    """Return the address under which the edge finds the cloud worker (BIG_MODEL_IP)."""
    return f"{cloud_service_name(service)}.{namespace}"


def labels(service: str, uid: str, role: Role) -> dict[str, str]:
    """Return the labels that every child of a service has; they are the Service's selector as well."""
    return {NAME_LABEL: service, UID_LABEL: uid, WORKER_TYPE_LABEL: str(role)}


def app_label(service: str, role: Role) -> str:
    """Return the value of app.sedna.io; upstream capitalizes the side in it."""
    return f"{service}-{role.capitalize()}-svc"


def pod_labels(service: str, uid: str, role: Role) -> dict[str, str]:
    """Return the labels of a worker's Deployment and pods; they are the Deployment's selector as well."""
    return {**labels(service, uid, role), APP_LABEL: app_label(service, role)}
