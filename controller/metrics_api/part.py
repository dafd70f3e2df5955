"""The metrics API as a part of a term of leadership: it reads workers, keeps their values, and serves them.

Nothing of it may disturb the rest of the controller: what fails is said once and tried again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from controller.metrics import ControllerMetrics
from controller.metrics_api.answers import MetricValue
from controller.metrics_api.catalogue import PODS, SERVICE_METRICS, SERVICE_RESOURCES
from controller.metrics_api.paths import MetricPath
from controller.metrics_api.scraper import Scraper
from controller.metrics_api.selectors import Selector
from controller.metrics_api.serving import ApiServer, Serving, why_off
from controller.metrics_api.values import Value, Values
from controller.metrics_api.wishes import Wishes
from controller.metrics_api.worker_pods import PodReader, WorkerKey
from controller.settings import ControllerSettings
from controller.status.live import block
from controller.store import Store
from sedna_py.api.child_names import BIG_MODEL_PORT, Role
from sedna_py.autoscaling.exposition import parse_snapshot
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.protocol.reported_signals import parse_signals

_log = logging.getLogger(__name__)

LOOK_S: Final = 1.0


class MetricsApi:
    """`run` reads and serves until it is cancelled; `take` gets what edge workers report.

    Where the API is off it still reads cloud workers that may sleep: nobody else knows whether they are idle.
    """

    def __init__(
        self,
        api_server: ApiServer,
        store: Store,
        settings: ControllerSettings,
        metrics: ControllerMetrics,
        *,
        port: int = BIG_MODEL_PORT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`port` is where cloud workers serve their counters."""
        self._api_server = api_server
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._wishes = Wishes()
        self._serves = True
        self._pods = PodReader()
        self._serving = Serving(api_server, self, settings, metrics, clock)
        self.values = Values()
        self.scraper = Scraper(self._take_page, metrics.scraped, port=port, clock=clock)

    async def run(self) -> None:
        """Work until cancelled."""
        reason = why_off(self._settings)
        self._serves = reason is None
        self._metrics.watch_scraped_pods(lambda: len(self.scraper))
        tasks = [
            asyncio.create_task(self.scraper.run(), name="scraper"),
            asyncio.create_task(self._look_for_ever(), name="look at pods"),
            asyncio.create_task(
                self._serving.run() if reason is None else self._serving.stay_off(reason), name="metrics API"
            ),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def take(self, namespace: str, pod: str, snapshot: Snapshot, taken_at: float) -> None:
        """Take what an edge worker has reported; `taken_at` is of our clock, the time in it of the worker's."""
        key = self._store.service_of_pod(namespace, pod)
        for known in self._store.pods(key) if key is not None else ():
            if known["metadata"]["name"] == pod:
                self.values.take(known["metadata"]["uid"], snapshot, taken_at)

    def find(self, path: MetricPath, selector: Selector) -> Sequence[MetricValue]:
        """Return what has a value now, by name."""
        now = self._clock()
        if path.resource == PODS:
            found = self._pod_values(path, selector, now)
        elif path.resource in SERVICE_RESOURCES and path.metric in SERVICE_METRICS:
            found = self._service_values(path, selector, now)
        else:
            return ()
        wall = datetime.now(UTC)
        return [
            MetricValue(name, value.value, wall - timedelta(seconds=max(0.0, now - value.at)), value.span_s)
            for name, value in sorted(found.items())
        ]

    def _pod_values(self, path: MetricPath, selector: Selector, now: float) -> dict[str, Value]:
        pods = [
            pod
            for pod in self.values.pods()
            if pod.worker.service.namespace == path.namespace
            and path.name in {"*", pod.name}
            and selector.selects(pod.labels)
        ]
        values: dict[WorkerKey, dict[str, Value]] = {}
        for key in {pod.worker for pod in pods}:
            values[key] = self.values.pod_values(key, path.metric, now)
        return {pod.name: value for pod in pods if (value := values[pod.worker].get(pod.uid)) is not None}

    def _service_values(self, path: MetricPath, selector: Selector, now: float) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, document in self._store.services.items():
            if key.namespace != path.namespace or path.name not in {"*", key.name}:
                continue
            if not selector.selects(block(document, "metadata", "labels")):
                continue
            value = self.values.expected_load(key, now)
            if value is not None:
                found[key.name] = value
        return found

    def _take_page(self, uid: str, page: bytes, asked_at: float) -> bool:
        try:
            if page[:1] == b"{":
                snapshot = parse_signals(page)
            else:
                snapshot = parse_snapshot(page.decode("utf-8", errors="replace"), asked_at)
        except MalformedBody as problem:
            _log.debug("the counters of pod %s cannot be used: %s", uid, problem)
            return False
        self.values.take(uid, snapshot, asked_at)
        return True

    def _look(self) -> None:
        """Take in which pods there are now and what is wanted of them."""
        services = self._store.services
        self.values.see(self._pods.pods(self._store), services)
        self._wishes.keep(document["metadata"]["uid"] for document in services.values())
        for key in self.values.workers():
            self.values.want(key, self._wishes.of(services[key.service])[key.role])
        self.scraper.follow(pod for pod in self.values.pods() if self._is_read(pod.worker))

    def _is_read(self, worker: WorkerKey) -> bool:
        """Tell whether the worker's pods are asked: edges report by themselves, and without the API only sleep is decided."""
        if worker.role is not Role.CLOUD:
            return False
        return self._serves or self._wishes.of(self._store.services[worker.service])[worker.role].sleeps

    async def _look_for_ever(self) -> None:
        for turn in itertools.count():
            try:
                self._look()
                if turn % 2:
                    self.values.look(self._clock())
            except Exception:  # noqa: BLE001 - a defect with one service must not end the others' values
                _log.exception("the look at pods for the metrics API: unexpected error")
            await asyncio.sleep(LOOK_S)
