"""What the pods of a Deployment are and say, read from the test's side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from tests.cluster.control_plane import ControlPlane

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Pod:
    """One pod, as the API server has it now."""

    name: str
    address: str
    ready: bool
    going: bool
    ended: bool  # one for which its node had no room as well: who made it makes another, and leaves it there
    restarts: int
    node: str
    raw: dict[str, Any]


def pods(plane: ControlPlane, namespace: str, selector: str) -> list[Pod]:
    """Return the pods with these labels, by name."""
    found = plane.api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}") or {"items": []}
    return sorted((as_pod(item) for item in found["items"]), key=lambda pod: pod.name)


def as_pod(item: dict[str, Any]) -> Pod:
    """Return what matters of one pod."""
    status = item.get("status", {})
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    return Pod(
        name=item["metadata"]["name"],
        address=status.get("podIP", ""),
        ready=conditions.get("Ready") == "True",
        going="deletionTimestamp" in item["metadata"],
        ended=status.get("phase") in ("Failed", "Succeeded"),
        restarts=sum(container["restartCount"] for container in status.get("containerStatuses", [])),
        node=item["spec"].get("nodeName", ""),
        raw=item,
    )


def samples(address: str, port: int, name: str) -> dict[str, float]:
    """Return the samples of one metric on a worker's page, by the text of their labels."""
    answer = httpx.get(f"http://{address}:{port}/metrics", timeout=TIMEOUT_S, trust_env=False)
    return samples_on(answer.raise_for_status().text, name)


def samples_on(page: str, name: str) -> dict[str, float]:
    """Return the samples of one metric on a page in Prometheus' text format, by the text of their labels."""
    found = {}
    for line in page.splitlines():
        head, _, value = line.rpartition(" ")
        metric, _, labels = head.partition("{")
        if metric == name:
            found[labels.rstrip("}")] = float(value)
    return found
