"""One term of leadership: a store, a queue and workers that begin empty and end together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from kubernetes.aio.client import ApiClient

from controller.child_sync import ChildSync
from controller.cluster import Cluster
from controller.errors import ClusterError, Conflict, Forbidden, NameTaken, NotFound, Unavailable
from controller.event_writer import EventWriter
from controller.handlers import Intake
from controller.http_api import DEFAULT_LIMITS, ReportHooks, ReportRoute
from controller.metrics import ControllerMetrics, Outcome
from controller.metrics_api.part import MetricsApi
from controller.reconciler import Look, Parts, Reconciler
from controller.report_clock import ReportClocks
from controller.reports import RoutedReport
from controller.resync import resync
from controller.secret_watch import SecretWatch
from controller.settings import ControllerSettings
from controller.status_sync import StatusSync
from controller.store import ServiceKey, Store
from controller.tasks import first_of
from controller.watches import run_watches
from controller.work_queue import Backoff, WorkQueue
from controller.zero.activator import Activator
from controller.zero.keeper import Keeper, Latest
from sedna_py.autoscaling.snapshot import Snapshot

_log = logging.getLogger(__name__)

SOON: Final = Backoff(first_s=0.5, most_s=10.0)
"""For an API server that is away or busy."""

UNTIL_FREE: Final = Backoff(first_s=0.5, most_s=5.0)
"""For a name that is taken: an object without our labels is in no watch, so only another look tells that it is gone."""

PERHAPS: Final = Backoff(first_s=0.5, most_s=25.0)
"""For what is not allowed: an API server that has just started says so to everybody, a quota means it."""

PATIENT: Final = Backoff(first_s=2.0, most_s=25.0)
"""For what it refused: only a change elsewhere can help, and most of those come as events."""

DOUBT_S: Final = (2.0, 6.0)
"""After a watch has begun anew: until the comparisons that find what it has missed. A watch may be 5 s behind the others."""

LEAVE_S: Final = 5.0
"""How long the watches get to end by themselves."""


class Term:
    """One term of leadership: a store, a queue and workers that begin empty and end together."""

    def __init__(
        self,
        client: ApiClient,
        settings: ControllerSettings,
        metrics: ControllerMetrics,
        *,
        started: Callable[[], None],
        may_write: Callable[[], bool],
    ) -> None:
        """`started` is called when the watches begin: the framework puts its own signal handlers in place of ours.

        `may_write` tells, at any moment of the term, whether this replica still leads.
        """
        self._started = started
        self._clocks = ReportClocks()
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self.store = Store()
        self.queue: WorkQueue[ServiceKey] = WorkQueue(time.monotonic)
        self._doubt = asyncio.Event()
        self._said: dict[ServiceKey, str] = {}  # what kind of failure was told in the log
        self.intake = Intake(self.store, self._enqueue, self._doubt.set)
        self._cluster = Cluster(
            client, timeout_s=settings.request_timeout_s, observe=metrics.api_request, may_write=may_write
        )
        self.secrets = SecretWatch(self._cluster, self.store, self.intake.secret)
        writer = EventWriter(self._cluster, metrics, settings.pod_name, time.monotonic)
        self.status = StatusSync(self._cluster, self.store, settings, metrics, writer)
        self.metrics_api = MetricsApi(self._cluster, self.store, settings, metrics)
        self._children = ChildSync(self._cluster, self.store, time.monotonic)
        self.keeper = self._make_keeper(self.metrics_api.values.latest)
        metrics.watch_asleep(self.keeper.asleep)
        self._reconciler = Reconciler(
            Parts(
                self.store,
                self._children,
                self.status,
                self.secrets,
                settings.placement,
                not settings.namespaces,
                learn=self.keeper.learn,
                forget=self.keeper.forget,
            )
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. The first full list comes before the first reconcile: nothing may look missing by accident."""
        tasks: list[asyncio.Task[Any]] = []
        try:
            if not await self._first_list(stop):
                return
            _log.info("serving %d services", len(self.store.services))
            watches = asyncio.create_task(self._watch(stop), name="watches")
            tasks.append(watches)
            tasks += [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._settings.concurrency)]
            tasks.append(asyncio.create_task(self._resync_for_ever(), name="resync"))
            tasks.append(asyncio.create_task(self._keep(), name="scale to zero"))
            tasks.append(asyncio.create_task(self.metrics_api.run(), name="metrics API"))
            await first_of(stop.wait, watches)
        finally:
            # The workers first: whoever does not lead any more must not write, however long the watches take to end.
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], self.secrets.close(), self.keeper.stop(), return_exceptions=True)
            await _leave(tasks[:1])

    def accept(self, report: RoutedReport) -> bool:
        """Count a worker's report, False if it cannot be; it is written with the others of its service after a while."""
        key = ServiceKey(report.namespace, report.service)
        hard = self.status.hard_examples(key)
        if not self.status.report(key, report):
            return False
        self.keeper.reported(key, report.worker, hard=self.status.hard_examples(key) > hard)
        self.queue.add_after(key, self._settings.report_interval_s)
        if report.signals is not None:
            taken_at = self._on_our_clock(report, report.signals)
            self.metrics_api.take(report.namespace, report.worker, report.signals, taken_at)
        return True

    def service_of_pod(self, namespace: str, name: str) -> str | None:
        """Return the name of the service that a pod belongs to, None for an unknown pod."""
        key = self.store.service_of_pod(namespace, name)
        return key.name if key else None

    def _make_keeper(self, latest: Latest) -> Keeper:
        """Return who looks after cloud workers that sleep; edges report to their addresses, too."""
        hooks = ReportHooks(accept=self.accept, service_of_pod=self.service_of_pod)
        reports = ReportRoute(hooks, self._metrics, DEFAULT_LIMITS)
        settings = self._settings
        activator = Activator(
            settings.http_host, settings.activator_range, lambda key: self.keeper.asked(key), reports.handle
        )
        return Keeper(self._cluster, self.store, self._metrics, activator, settings.pod_ip, latest)

    def _enqueue(self, key: ServiceKey) -> None:
        self.queue.add(key)
        self.keeper.changed(key)

    async def _keep(self) -> None:
        """Look after the cloud workers that may sleep; whatever goes wrong with that must not end the term."""
        while True:
            try:
                await self.keeper.run(self._settings.namespaces)
            except Exception:  # noqa: BLE001 - nobody would see that this task has ended
                _log.exception("scale to zero: unexpected error; it begins anew soon")
            await asyncio.sleep(SOON.first_s)

    def _on_our_clock(self, report: RoutedReport, told: Snapshot) -> float:
        worker = (report.namespace, report.worker)
        return self._clocks.taken_at(worker, told.began, told.at, time.monotonic())

    async def _watch(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            problem = await run_watches(self._client, self.intake, self._settings.namespaces, stop, self._started)
            if stop.is_set():
                return
            failures = failures + 1 if time.monotonic() - begun < PATIENT.most_s else 1
            wait = SOON.delay_s(failures, 0.5)
            _log.warning("the watches have ended and begin anew in %.1f s: %s", wait, problem)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
            await self._first_list(stop)  # they end at once where a resource is not there

    async def _first_list(self, stop: asyncio.Event) -> bool:
        failures, said = 0, ""
        while not stop.is_set():
            listing = asyncio.create_task(self._compare(), name="first list")
            try:
                await first_of(stop.wait, listing)
                if stop.is_set():
                    return False
                await listing
            except ClusterError as failure:
                failures += 1
                hint = "; install the CRDs: kubectl apply -f crds/" if isinstance(failure, NotFound) else ""
                if said != _kind(failure):
                    _log.warning("cannot list yet: %s%s", failure, hint)
                said = _kind(failure)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), SOON.delay_s(failures, 0.5))
            else:
                return True
            finally:
                listing.cancel()
                await asyncio.gather(listing, return_exceptions=True)
        return False

    async def _compare(self) -> None:
        await resync(self._cluster, self.store, self.intake, self._settings.namespaces)

    async def _resync_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.resync_s):
                    await self._doubt.wait()
            except TimeoutError:
                await self._resync()
                for key in list(self.store.services):
                    self.queue.add(key)
                continue
            for pause in DOUBT_S:
                await asyncio.sleep(pause)
                self._doubt.clear()
                await self._resync()

    async def _resync(self) -> None:
        """Compare with full lists, as often as it takes until it succeeds."""
        failures, said = 0, ""
        while True:
            try:
                await self._compare()
                await self.secrets.refresh()
            except ClusterError as failure:
                if said != _kind(failure):
                    _log.warning("the full comparison failed and is done again soon: %s", failure)
                said = _kind(failure)
            except Exception:  # noqa: BLE001 - nobody would see that this task has ended
                _log.exception("the full comparison: unexpected error; it is done again soon")
            else:
                return
            failures += 1
            await asyncio.sleep(SOON.delay_s(failures, 0.5))

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            begun = time.monotonic()
            try:
                outcome = await self._reconcile(key)
            finally:
                self.queue.done(key)
            self._metrics.reconciled(outcome, time.monotonic() - begun)

    async def _reconcile(self, key: ServiceKey) -> Outcome:
        try:
            look = await self._reconciler.reconcile(key)
        except ClusterError as failure:
            look = Look(failure=failure)
        except Exception:  # noqa: BLE001
            # A defect of ours with one service must neither stop the others nor turn in a tight circle.
            _log.exception("%s: unexpected error; again in up to %g s", key, PATIENT.most_s)
            self.queue.retry(key, PATIENT)
            return "failed"
        if look.after_s is not None:
            self.queue.add_after(key, look.after_s)
        if look.failure is None:
            self.queue.succeeded(key)
            self._said.pop(key, None)
            return "blocked" if look.blocked else "settled"
        delay = self.queue.retry(key, _backoff(look.failure))
        self._metrics.requeued()
        # Once for each kind: while the API server is away, every service fails again every few seconds.
        level = logging.DEBUG if self._said.get(key) == _kind(look.failure) else logging.INFO
        self._said[key] = _kind(look.failure)
        _log.log(level, "%s: %s; again in %.1f s", key, look.failure, delay)
        return "retried"


def _kind(failure: ClusterError | NameTaken) -> str:
    return f"{type(failure).__name__} {failure.code if isinstance(failure, ClusterError) else ''}"


def _backoff(failure: ClusterError | NameTaken) -> Backoff:
    if isinstance(failure, NameTaken):
        return UNTIL_FREE
    if isinstance(failure, (Unavailable, Conflict)):
        return SOON
    return PERHAPS if isinstance(failure, Forbidden) else PATIENT


async def _leave(watches: list[asyncio.Task[Any]]) -> None:
    """Wait for the watches to end and say why, if it was not for being told to. Raises what they raised."""
    if not watches:
        return
    _, slow = await asyncio.wait(watches, timeout=LEAVE_S)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    for task in watches:
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure
