"""What the controller writes on a cloud worker's Deployment when it takes its last pod, and when it brings one back.

The Deployment is all the memory there is: a replica that takes over, or a controller that was away, goes on from it. Replicas and
marks are written by one request, so neither is ever there without the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from controller.status.live import LiveObject, kept_time, number, rfc3339

ASLEEP_SINCE: Final = "sedna.io/asleep-since"
WOKEN_AT: Final = "sedna.io/woken-at"


def asleep_since(deployment: LiveObject) -> str:
    """Return since when it is asleep, an empty text where the controller has not taken its last pod."""
    return kept_time(deployment, "metadata", "annotations", ASLEEP_SINCE)


def woken_at(deployment: LiveObject) -> str:
    """Return when it was woken, an empty text where that is over: it has had a ready pod since."""
    return kept_time(deployment, "metadata", "annotations", WOKEN_AT)


def wanted_replicas(deployment: LiveObject) -> int:
    """Return how many pods are asked for; Kubernetes takes 1 where nothing is written."""
    return number(deployment, "spec", "replicas", default=1)


def asleep(now: datetime) -> dict[str, Any]:
    """Return the merge patch that takes the last pod."""
    return _patch({ASLEEP_SINCE: rfc3339(now), WOKEN_AT: None}, {"replicas": 0})


def woken(now: datetime) -> dict[str, Any]:
    """Return the merge patch that brings one back."""
    return _patch({ASLEEP_SINCE: None, WOKEN_AT: rfc3339(now)}, {"replicas": 1})


def seen_asleep(now: datetime) -> dict[str, Any]:
    """Return the merge patch for a Deployment that somebody else has scaled to 0."""
    return _patch({ASLEEP_SINCE: rfc3339(now), WOKEN_AT: None})


def awake() -> dict[str, Any]:
    """Return the merge patch for one that serves: nothing is to be remembered of its sleep."""
    return _patch({ASLEEP_SINCE: None, WOKEN_AT: None})


def _patch(annotations: Mapping[str, str | None], spec: Mapping[str, int] | None = None) -> dict[str, Any]:
    return {"metadata": {"annotations": dict(annotations)}, **({"spec": dict(spec)} if spec else {})}
