"""The controller's own Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from sedna_py.metrics import names

# settled: all is as wanted; blocked: a worker has to wait for something; retried: the API server was not there;
# failed: an error that nobody foresaw
Outcome = Literal["settled", "blocked", "retried", "failed"]
Change = Literal["created", "updated", "repaired", "deleted", "unchanged"]
# refused: not a report; forwarded: passed to the leader; unavailable: there is none, or it did not answer
ReportOutcome = Literal["accepted", "unrouted", "refused", "forwarded", "unavailable"]
PHASES: Final = ("Starting", "Running", "Degraded", "Failed")


class ControllerMetrics:
    """Counts what the controller does, in the registry that is handed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = r = registry
        ProcessCollector(registry=r)
        self._reconciles = Counter(names.CONTROLLER_RECONCILES, "Reconciles of a service", ["outcome"], registry=r)
        self._seconds = Histogram(
            names.CONTROLLER_RECONCILE_SECONDS, "Time a reconcile took", registry=r, buckets=names.STAGE_BUCKETS_S
        )
        self._requests = Counter(
            names.CONTROLLER_API_REQUESTS, "Requests to the API server", ["verb", "resource", "code"], registry=r
        )
        self._children = Counter(names.CONTROLLER_CHILDREN, "Children looked after", ["kind", "change"], registry=r)
        self._depth = Gauge(names.CONTROLLER_QUEUE_DEPTH, "Services waiting for a reconcile", registry=r)
        self._requeues = Counter(names.CONTROLLER_REQUEUES, "Services put back to be tried again", registry=r)
        self._watched = Gauge(names.CONTROLLER_WATCHED, "Objects known from watches", ["resource"], registry=r)
        self._leader = Gauge(names.CONTROLLER_LEADER, "1 where this replica leads", registry=r)
        self._reports = Counter(names.CONTROLLER_REPORTS, "Reports of workers", ["outcome"], registry=r)
        self._status_writes = Counter(names.CONTROLLER_STATUS_WRITES, "Writes of a service's status", registry=r)
        self._events = Counter(names.CONTROLLER_EVENTS, "Events on services", ["type"], registry=r)
        self._asleep = Gauge(names.CONTROLLER_CLOUD_ASLEEP, "Cloud workers that are scaled to zero", registry=r)
        self._sleep = Counter(
            names.CONTROLLER_CLOUD_SLEEP_CHANGES,
            "Cloud workers that went to sleep or were woken",
            ["change"],
            registry=r,
        )
        self._asked = Counter(names.CONTROLLER_ASKED_ASLEEP, "Requests that came to a cloud worker asleep", registry=r)
        self._services = Gauge(names.CONTROLLER_SERVICES, "Services by phase", ["phase"], registry=r)
        self._api = Gauge(names.CONTROLLER_METRICS_API, "1 for how it is with the metrics API", ["state"], registry=r)
        self._answers = Counter(
            names.CONTROLLER_METRICS_API_ANSWERS, "Answers of the metrics API", ["code"], registry=r
        )
        self._scrapes = Counter(names.CONTROLLER_SCRAPES, "Looks at workers' counters", ["outcome"], registry=r)
        self._scrapes_by_outcome: dict[str, Counter] = {}
        self._scraped = Gauge(names.CONTROLLER_SCRAPED_PODS, "Pods whose counters are looked at", registry=r)

    def reconciled(self, outcome: Outcome, seconds: float) -> None:
        """Count one reconcile."""
        self._reconciles.labels(outcome).inc()
        self._seconds.observe(seconds)

    def api_request(self, verb: str, resource: str, code: int) -> None:
        """Count one request by its status code, 0 where no answer came; `resource` is the plural, such as deployments."""
        self._requests.labels(verb, resource, f"{code // 100}xx" if code else "none").inc()

    def child(self, kind: str, change: Change) -> None:
        """Count one child, such as a Deployment, by what was done to it."""
        self._children.labels(kind, change).inc()

    def requeued(self) -> None:
        """Count a service that is tried again later."""
        self._requeues.inc()

    def leads(self, leading: bool) -> None:
        """Say whether this replica leads."""
        self._leader.set(leading)

    def report(self, outcome: ReportOutcome) -> None:
        """Count one report of a worker."""
        self._reports.labels(outcome).inc()

    def status_written(self) -> None:
        """Count one write of a service's status."""
        self._status_writes.inc()

    def event(self, kind: Literal["Normal", "Warning"]) -> None:
        """Count one event."""
        self._events.labels(kind).inc()

    def cloud_slept(self) -> None:
        """Count a cloud worker whose last pod was taken."""
        self._sleep.labels("slept").inc()

    def cloud_woken(self) -> None:
        """Count one that got a pod again."""
        self._sleep.labels("woken").inc()

    def asked_while_asleep(self) -> None:
        """Count a request that was answered in the place of one."""
        self._asked.inc()

    def watch_asleep(self, count: Callable[[], int]) -> None:
        """Read how many cloud workers sleep when somebody asks."""
        self._asleep.set_function(count)

    def metrics_api(self, state: str) -> None:
        """Say how it is with the metrics API of this replica."""
        self._api.clear()
        self._api.labels(state).set(1)

    def metrics_answer(self, code: int) -> None:
        """Count one answer of the metrics API by its status code."""
        self._answers.labels(f"{code // 100}xx").inc()

    def scraped(self, outcome: str) -> None:
        """Count one look at a worker's counters."""
        counter = self._scrapes_by_outcome.get(outcome)
        if counter is None:  # hundreds are counted every second
            counter = self._scrapes_by_outcome[outcome] = self._scrapes.labels(outcome)
        counter.inc()

    def watch_scraped_pods(self, count: Callable[[], int]) -> None:
        """Read how many pods are looked at when somebody asks."""
        self._scraped.set_function(count)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Read the length of the work queue when somebody asks."""
        self._depth.set_function(depth)

    def watch_objects(self, resource: str, count: Callable[[], int]) -> None:
        """Read how many objects of a resource are known when somebody asks."""
        self._watched.labels(resource).set_function(count)

    def watch_services(self, count: Callable[[str], int]) -> None:
        """Read how many services are in a phase when somebody asks."""
        for phase in PHASES:
            self._services.labels(phase).set_function(partial(count, phase))
