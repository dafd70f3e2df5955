"""The objects that a service is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from sedna_py.api.child_names import Role


class _Resource(NamedTuple):
    api_version: str
    kind: str
    plural: str


class ChildKind(Enum):
    """The kinds of children, in the order in which a worker's are applied."""

    DEPLOYMENT = _Resource("apps/v1", "Deployment", "deployments")
    SERVICE = _Resource("v1", "Service", "services")
    HPA = _Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")

    @property
    def api_version(self) -> str:
        """Group and version, such as apps/v1."""
        return self.value.api_version

    @property
    def kind(self) -> str:
        """Name of the kind, such as Deployment."""
        return self.value.kind

    @property
    def plural(self) -> str:
        """Name of the resource in a URL, such as deployments."""
        return self.value.plural


class ChildKey(NamedTuple):
    """Which child, within the namespace of its service."""

    kind: ChildKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.name}"


@dataclass(frozen=True)
class Child:
    """One wanted object: `manifest` is what is applied, with no field that somebody else owns."""

    kind: ChildKind
    role: Role
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the object."""
        name: str = self.manifest["metadata"]["name"]
        return name

    @property
    def key(self) -> ChildKey:
        """Kind and name."""
        return ChildKey(self.kind, self.name)
