"""The three metrics APIs of Kubernetes, played by this process: real aggregated APIs, whose values a test makes up.

A request for a series' first metric waits until the test lets it go on, so every sync of an autoscaler stands still at the point
where it has read the scale of its target and not yet looked at pods or values.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from tests.cluster.commands import HOST
from tests.cluster.control_plane import free_port
from tests.cluster.pki import Authority, Subject
from tests.integration.service_on_cluster import Cluster, Object

GROUPS = {
    "custom.metrics.k8s.io": "v1beta2",
    "external.metrics.k8s.io": "v1beta1",
    "metrics.k8s.io": "v1beta1",
}
NAME = "played-metrics"
LAST_HANDSHAKES_S = 0.5


@dataclass
class SyncPoint:
    """Where the syncs of one autoscaler wait. `answers` holds the items for each of its metrics, None for none there."""

    first: str  # the key of the metric that is asked for first
    answers: dict[str, list[Object] | None] = field(default_factory=dict)
    came_at: float = 0.0  # of the sync that waits now, monotonic
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_through(self) -> None:
        """Wait here until `let_go`; only one sync of an autoscaler is under way at a time."""
        self.came_at = time.monotonic()
        self.waits.set()
        await self.go.wait()
        self.go.clear()

    def let_go(self) -> float:
        """Let the sync that waits go on, and return the time."""
        self.waits.clear()
        self.go.set()
        return time.monotonic()


def pods_key(metric: str) -> str:
    return f"pods/{metric}"


def object_key(metric: str) -> str:
    return f"object/{metric}"


def external_key(metric: str) -> str:
    return f"external/{metric}"


def resource_key(selector: str) -> str:
    return f"resource/{selector}"


class PlayedMetricApis:
    """Serves the APIs in the loop that it is started in."""

    def __init__(self) -> None:
        self.points: dict[str, SyncPoint] = {}  # by the key of each metric that the autoscaler has
        self.port = free_port()

    async def serve(self, certificates: Path, body: Callable[[], Awaitable[None]]) -> None:
        """Serve while `body` runs."""
        pair = Authority.create(certificates, "metrics").issue("server", Subject("metrics"))
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            host=HOST,
            port=self.port,
            log_level="warning",
            lifespan="off",
            ssl_certfile=pair.certificate,
            ssl_keyfile=pair.key,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        try:
            await body()
        finally:
            for point in self.points.values():
                point.go.set()
            self.points.clear()
            server.should_exit = True
            await serving
            await _closed(server)

    async def _app(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = parse_qs(scope["query_string"].decode())
        status, document = await self._answer(scope["path"], query.get("labelSelector", [""])[0])
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str, selector: str) -> tuple[int, Object]:
        match path.strip("/").split("/"):
            case ["apis", group, version] if GROUPS.get(group) == version:
                return HTTPStatus.OK, _discovery(group)
            case ["apis", "metrics.k8s.io", _, "namespaces", _, "pods"]:
                return await self._values(resource_key(selector), "PodMetricsList")
            case ["apis", "external.metrics.k8s.io", _, "namespaces", _, metric]:
                return await self._values(external_key(metric), "ExternalMetricValueList")
            case ["apis", "custom.metrics.k8s.io", _, "namespaces", _, "pods", _, metric]:
                return await self._values(pods_key(metric), "MetricValueList")
            case ["apis", "custom.metrics.k8s.io", _, "namespaces", _, _, _, metric]:
                return await self._values(object_key(metric), "MetricValueList")
            case _:
                return HTTPStatus.NOT_FOUND, _not_found(path)

    async def _values(self, key: str, kind: str) -> tuple[int, Object]:
        point = self.points.get(key)
        if point is None:
            return HTTPStatus.NOT_FOUND, _not_found(key)
        if key == point.first:
            await point.pass_through()
        items = point.answers.get(key)
        if items is None:
            return HTTPStatus.NOT_FOUND, _not_found(key)
        group = {"PodMetricsList": "metrics.k8s.io", "ExternalMetricValueList": "external.metrics.k8s.io"}.get(
            kind, "custom.metrics.k8s.io"
        )
        return HTTPStatus.OK, {"apiVersion": f"{group}/{GROUPS[group]}", "kind": kind, "metadata": {}, "items": items}


def register(cluster: Cluster, port: int) -> None:
    """Let the API server pass requests for the three groups on to this port of the machine."""
    cluster.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAME},
        # No endpoint may be a loopback address, but a name may mean one.
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    cluster.post(f"/api/v1/namespaces/{NAME}/services", service)
    for group, version in GROUPS.items():
        spec = {
            "group": group,
            "version": version,
            "service": {"name": NAME, "namespace": NAME, "port": port},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        }
        body = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": spec,
        }
        cluster.post("/apis/apiregistration.k8s.io/v1/apiservices", body)


def exempt_autoscalers(cluster: Cluster) -> None:
    """Let the autoscaling controller have as many requests under way as it has autoscalers: they all wait here."""
    account = {"name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
    rule = {
        "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
        "resourceRules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
        ],
    }
    body = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": NAME},
        "spec": {
            "priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 2,
            "rules": [rule],
        },
    }
    cluster.post("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", body)


async def _closed(server: uvicorn.Server) -> None:
    """End all connections: closing TLS politely would outlive the loop. One may just be in its handshake."""
    deadline = time.monotonic() + LAST_HANDSHAKES_S
    while server.server_state.connections or time.monotonic() < deadline:
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.05)


def _discovery(group: str) -> Object:
    resources = {
        "metrics.k8s.io": [
            {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
        ]
    }
    return {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": f"{group}/{GROUPS[group]}",
        "resources": resources.get(group, []),
    }


def _not_found(what: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": f"{what} is not there",
        "reason": "NotFound",
        "code": HTTPStatus.NOT_FOUND,
    }
