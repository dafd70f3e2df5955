"""What leads callers here: the APIServices of the group, and the EndpointSlice of the Service that they name.

Only the replica that leads writes them. Those of somebody else are never touched, and where somebody else serves the group, ours
are withdrawn: autoscalers ask the preferred version only, so one group cannot be shared.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from controller.errors import ClusterError, ControllerError
from controller.metrics_api.catalogue import GROUP, VERSIONS
from controller.metrics_api.certificates import still_valid
from controller.status.live import LiveObject, block, items, text

Object = dict[str, Any]

SERVICE: Final = "sedna-metrics-api"
PORT_NAME: Final = "https"
SERVICE_PORT: Final = 443
OWNER: Final = "sedna-controller-metrics-api"
"""The ClusterRole with which the APIServices go: one that leads nowhere keeps namespaces from being deleted."""

_REGISTRATION: Final = "apiregistration.k8s.io/v1"
_DISCOVERY: Final = "discovery.k8s.io/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_LABELS: Final = {"app.kubernetes.io/part-of": "sedna"}


class Standing(StrEnum):
    """How it is with the API of this replica."""

    OFF = "off"  # by the settings
    STARTING = "starting"
    SERVING = "serving"
    NO_SERVICE = "no_service"  # nothing to lead callers by: not installed
    FOREIGN = "foreign"  # somebody else serves the group
    FORBIDDEN = "forbidden"
    FAILED = "failed"  # it is tried again


class NotServed(ControllerError):
    """The API cannot be served now; str() says why and what to do."""

    def __init__(self, standing: Standing, message: str) -> None:
        super().__init__(message)
        self.standing = standing


class Objects(Protocol):
    """Objects of the API server; controller.cluster.Cluster has them. All raise ClusterError."""

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Object | None:
        """Return an object, None where there is none."""
        ...

    async def apply_object(self, plural: str, namespace: str | None, manifest: Mapping[str, Any]) -> Object:
        """Apply a manifest by server-side apply."""
        ...

    async def delete_object(self, plural: str, namespace: str | None, found: Mapping[str, Any]) -> bool:
        """Delete this very object."""
        ...


@dataclass(frozen=True)
class Found:
    """The Service, and the APIServices by version."""

    service: Object
    api_services: Mapping[str, Object | None]


class Registration:
    """Keeps the objects as they should be; `look` and `keep` cost four requests where nothing has changed."""

    def __init__(self, objects: Objects, namespace: str, address: str) -> None:
        """`namespace` is the Service's, `address` where this replica serves."""
        self._objects = objects
        self._namespace = namespace
        self._address = address

    async def look(self) -> Found:
        """Return what there is. Raises NotServed, ClusterError."""
        service = await self._objects.get_object("v1", "services", self._namespace, SERVICE)
        if service is None:
            raise NotServed(
                Standing.NO_SERVICE,
                f"there is no Service {self._namespace}/{SERVICE}; apply deploy/metrics-api for autoscaling by our metrics",
            )
        found = await self._found()
        strangers = [one for one in found.values() if one is not None and not self._is_ours(one)]
        if strangers:
            await self._withdraw(found)
            raise NotServed(Standing.FOREIGN, _stranger(strangers[0]))
        return Found(service, found)

    async def keep(self, found: Found, port: int, authority: bytes, now: datetime, *, alone: bool) -> None:
        """Let callers find this replica and trust `authority`; `alone`: no other one any more.

        An authority that callers trusted before stays trusted otherwise: certificates of both are about. It becomes known before
        callers are led here. Raises ClusterError.
        """
        if all(found.api_services.values()):
            await self._trust(found.api_services, authority, now, alone)
            await self._lead_here(found.service, port)
        else:
            # The other way round: one that leads nowhere disturbs everybody who asks what there is.
            await self._lead_here(found.service, port)
            await self._trust(found.api_services, authority, now, alone)

    async def end(self) -> None:
        """Remove our APIServices. Raises ClusterError."""
        await self._withdraw(await self._found())

    async def _found(self) -> dict[str, Object | None]:
        return {
            version: await self._objects.get_object(_REGISTRATION, "apiservices", None, _name(version))
            for version in VERSIONS
        }

    def _is_ours(self, found: LiveObject) -> bool:
        service = block(found, "spec", "service")
        return (service.get("namespace"), service.get("name")) == (self._namespace, SERVICE)

    async def _withdraw(self, found: Mapping[str, Object | None]) -> None:
        for one in found.values():
            if one is not None and self._is_ours(one):
                await self._objects.delete_object("apiservices", None, one)

    async def _trust(self, found: Mapping[str, Object | None], authority: bytes, now: datetime, alone: bool) -> None:
        owner: Object | None = None
        for rank, version in enumerate(VERSIONS):
            known = found[version]
            bundle = authority if alone or known is None else _with_one_other(_bundle(known), authority, now)
            if known is not None and _bundle(known) == bundle:
                continue
            owner = owner or await self._owner()
            await self._objects.apply_object("apiservices", None, self._api_service(version, rank, bundle, owner))

    async def _owner(self) -> Object:
        try:
            return await self._objects.get_object(_RBAC, "clusterroles", None, OWNER) or {}
        except ClusterError:
            return {}

    def _api_service(self, version: str, rank: int, bundle: bytes, owner: LiveObject) -> Object:
        uid = text(owner, "metadata", "uid")
        reference = {"apiVersion": _RBAC, "kind": "ClusterRole", "name": OWNER, "uid": uid}
        return {
            "apiVersion": _REGISTRATION,
            "kind": "APIService",
            "metadata": {
                "name": _name(version),
                "labels": _LABELS,
                **({"ownerReferences": [reference]} if uid else {}),
            },
            "spec": {
                "group": GROUP,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 200 - rank * 100,
                "service": {"namespace": self._namespace, "name": SERVICE, "port": SERVICE_PORT},
                "caBundle": base64.b64encode(bundle).decode(),
            },
        }

    async def _lead_here(self, service: LiveObject, port: int) -> None:
        found = await self._objects.get_object(_DISCOVERY, "endpointslices", self._namespace, SERVICE)
        if found is not None and self._leads_here(found, port):
            return
        kind = "IPv6" if ":" in self._address else "IPv4"
        if found is not None and found.get("addressType") != kind:  # it cannot be changed
            await self._objects.delete_object("endpointslices", self._namespace, found)
        await self._objects.apply_object("endpointslices", self._namespace, self._slice(kind, service, port))

    def _leads_here(self, found: LiveObject, port: int) -> bool:
        addresses = [one for end in items(found, "endpoints") for one in end.get("addresses") or ()]
        ports = [port.get("port") for port in items(found, "ports")]
        return (addresses, ports) == ([self._address], [port])

    def _slice(self, kind: str, service: LiveObject, port: int) -> Object:
        owner = {"apiVersion": "v1", "kind": "Service", "name": SERVICE, "uid": text(service, "metadata", "uid")}
        labels = {"kubernetes.io/service-name": SERVICE, "endpointslice.kubernetes.io/managed-by": "sedna-controller"}
        return {
            "apiVersion": _DISCOVERY,
            "kind": "EndpointSlice",
            "metadata": {"name": SERVICE, "labels": {**_LABELS, **labels}, "ownerReferences": [owner]},
            "addressType": kind,
            "endpoints": [{"addresses": [self._address], "conditions": {"ready": True}}],
            "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP"}],
        }


def server_names(namespace: str) -> list[str]:
    """Return the names by which the API server calls the Service."""
    return [f"{SERVICE}.{namespace}.svc", f"{SERVICE}.{namespace}"]


def _name(version: str) -> str:
    return f"{version}.{GROUP}"


def _bundle(found: LiveObject) -> bytes:
    try:
        return base64.b64decode(text(found, "spec", "caBundle"), validate=True)
    except binascii.Error:
        return b""


def _with_one_other(bundle: bytes, authority: bytes, now: datetime) -> bytes:
    """Return our authority behind the last other one that is still valid."""
    others = [one for one in still_valid(bundle, now) if one != authority]
    return b"".join([*others[-1:], authority])


def _stranger(found: LiveObject) -> str:
    service = block(found, "spec", "service")
    whose = f"Service {service.get('namespace')}/{service.get('name')}" if service else "the API server itself"
    return (
        f"APIService {text(found, 'metadata', 'name')} belongs to {whose}, which serves {GROUP} here;"
        " set METRICS_API=false, or delete that APIService to have our metrics"
    )
