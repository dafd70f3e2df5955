"""Events on a service, for `kubectl describe ji`: a few per change, never a flood."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from controller.change_events import ChangeEvent
from controller.cluster import Cluster, Object
from controller.errors import ClusterError
from controller.metrics import ControllerMetrics

_log = logging.getLogger(__name__)

COMPONENT: Final = "jointinferenceservice-controller"
BURST: Final = 20
REFILL_S: Final = 15.0


class EventWriter:
    """Writes events about services; each service may have 20 at once and one more every 15 s."""

    def __init__(self, cluster: Cluster, metrics: ControllerMetrics, instance: str, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._instance = instance
        self._clock = clock
        self._tokens: dict[str, tuple[float, float]] = {}  # how many, when; by the service's uid

    def forget(self, uid: str) -> None:
        """Forget a service that is gone."""
        self._tokens.pop(uid, None)

    async def write(self, document: Object, events: Sequence[ChangeEvent], now: datetime) -> None:
        """Write what happened; an event that cannot be written is a line in the log, for the status has it too."""
        for order, event in enumerate(events):
            if not self._may_write(document["metadata"]["uid"]):
                _log.debug("too many events about %s: %s", document["metadata"]["name"], event.message)
                continue
            body = event_object(document, event, now + timedelta(microseconds=order), self._instance)
            try:
                await self._cluster.create_event(document["metadata"]["namespace"], body)
            except ClusterError as failure:
                _log.info("no event about %s: %s", document["metadata"]["name"], failure)
            else:
                self._metrics.event(event.type)

    def _may_write(self, uid: str) -> bool:
        now = self._clock()
        tokens, since = self._tokens.get(uid, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - since) / REFILL_S)
        enough = tokens >= 1
        self._tokens[uid] = (tokens - 1 if enough else tokens, now)
        return enough


def event_object(document: Object, event: ChangeEvent, now: datetime, instance: str) -> dict[str, Any]:
    """Return a core/v1 Event. Its name begins with the time: kubectl shows those of one second in the order of names."""
    metadata = document["metadata"]
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    said = f"{metadata['uid']} {event.type} {event.reason} {event.message}"
    suffix = f"{round(now.timestamp() * 1_000_000):014x}{hashlib.sha256(said.encode()).hexdigest()[:6]}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{suffix}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": document["apiVersion"],
            "kind": document["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": event.type,
        "reason": str(event.reason),
        "message": event.message[:1024],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
