"""What a path asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from controller.metrics_api.catalogue import GROUP, VERSIONS

ROOT: Final = "apis"
_LENGTH: Final = 8  # apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/METRIC


@dataclass(frozen=True, slots=True)
class MetricPath:
    """One metric of one object, or of all (`name` *) of a resource in a namespace."""

    version: str
    namespace: str
    resource: str
    name: str
    metric: str


def metric_path(path: str) -> MetricPath | None:
    """Return what a path without its query names, None where it is not the path of a metric."""
    parts = path.strip("/").split("/")
    if len(parts) != _LENGTH or parts[:2] != [ROOT, GROUP] or parts[2] not in VERSIONS or parts[3] != "namespaces":
        return None
    version, _, namespace, resource, name, metric = (unquote(part) for part in parts[2:])
    return MetricPath(version, namespace, resource, name, metric) if all(parts) else None
