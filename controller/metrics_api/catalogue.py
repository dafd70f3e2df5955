"""Which metrics there are, and the documents by which clients find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sedna_py.metrics import names

GROUP: Final = "custom.metrics.k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")
"""The preferred one first."""

PODS: Final = "pods"
SERVICES: Final = "jointinferenceservices.sedna.io"
SERVICE_RESOURCES: Final = (SERVICES, "jointinferenceservices")

CLOUD_METRICS: Final = (
    names.SIGNAL_CONCURRENCY,
    names.SIGNAL_RPS,
    names.SIGNAL_QUEUE_DEPTH,
    names.SIGNAL_REQUESTS_PER_STREAM,
    names.SIGNAL_INFER_FPS,
    names.SIGNAL_DROP_FPS,
    names.SIGNAL_DEMAND,
    names.SIGNAL_SCALE_RATIO,
    names.SIGNAL_LATENCY_P95,
)
EDGE_METRICS: Final = (names.SIGNAL_HARD_SHARE, names.SIGNAL_FRAMES, names.SIGNAL_BACKLOG_AGE)
POD_METRICS: Final = (*CLOUD_METRICS, *EDGE_METRICS)
SERVICE_METRICS: Final = (names.SIGNAL_EXPECTED_CLOUD_LOAD,)

ADDITIVE: Final = frozenset(POD_METRICS) - {
    names.SIGNAL_SCALE_RATIO,
    names.SIGNAL_LATENCY_P95,
    names.SIGNAL_HARD_SHARE,
    names.SIGNAL_BACKLOG_AGE,
}
"""Of these a pod's value is its part of the whole, so that the sum means something."""


def api_resources(version: str) -> dict[str, Any]:
    """Return the APIResourceList of a version."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{version}",
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
            for name in resource_names()
        ],
    }


def api_group() -> dict[str, Any]:
    """Return the APIGroup."""
    found = [{"groupVersion": f"{GROUP}/{version}", "version": version} for version in VERSIONS]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": found, "preferredVersion": found[0]}


def api_groups() -> dict[str, Any]:
    """Return the APIGroupList of a server that has this group only."""
    group = {key: value for key, value in api_group().items() if key not in {"kind", "apiVersion"}}
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}


def resource_names() -> Iterator[str]:
    """Yield resource/metric for all of them."""
    for metric in POD_METRICS:
        yield f"{PODS}/{metric}"
    for metric in SERVICE_METRICS:
        yield f"{SERVICES}/{metric}"


def documents() -> dict[str, dict[str, Any]]:
    """Return everything that is served beside values, by path.

    OpenAPI has nothing to describe; without an answer the API server writes an error into its log again and again.
    """
    group = f"/apis/{GROUP}"
    return {
        "/apis": api_groups(),
        group: api_group(),
        **{f"{group}/{version}": api_resources(version) for version in VERSIONS},
        "/openapi/v2": {"swagger": "2.0", "info": {"title": GROUP, "version": VERSIONS[0]}, "paths": {}},
        "/openapi/v3": {"paths": {}},
    }
