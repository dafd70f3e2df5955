"""Say how a service is: its status, written when it changed, and the events that tell of the change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from controller.change_events import AppliedChanges, events
from controller.child_sync import Change, Outcome
from controller.children import ChildKey, ChildKind
from controller.cluster import Cluster, Object
from controller.desired_state import DesiredState
from controller.errors import ClusterError, NotFound
from controller.event_writer import EventWriter
from controller.freshness import version_of
from controller.metrics import ControllerMetrics
from controller.reports import RoutedReport
from controller.settings import ControllerSettings
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.live import block
from controller.status.observed import Observed
from controller.status.questions import PodQuestion, questions
from controller.status.service_status import (
    ServiceView,
    has_changed,
    only_totals_differ,
    replacement,
    service_status,
)
from controller.status.totals import Totals
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role, deployment_name, hpa_name
from sedna_py.api.finding import Finding
from sedna_py.api.joint_inference_service import JointInferenceService

_log = logging.getLogger(__name__)

_TURN_MARGIN_S: Final = 0.05
"""Two clocks are involved: a look a moment too early would see nothing new."""


@dataclass(frozen=True)
class Situation:
    """What one pass found and did; `service` None: it could not be read."""

    service: JointInferenceService | None
    findings: Sequence[Finding]
    wanted: DesiredState
    outcome: Outcome


@dataclass(frozen=True)
class _Answer:
    """What the Events of a pod were at a moment."""

    asked_at: datetime
    events: list[Object]


@dataclass
class _Record:
    """What is remembered of one service."""

    written: Mapping[str, Any]
    written_at: datetime
    version: int  # of the service, when the status was written or read
    totals: Totals
    untold: dict[ChildKey, Change] = field(default_factory=dict)
    pod_events: dict[str, _Answer] = field(default_factory=dict)  # by the pod's uid


class StatusSync:
    """Writes statuses and events; remembers what it wrote."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        settings: ControllerSettings,
        metrics: ControllerMetrics,
        events: EventWriter,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._interval_s = settings.status_interval_s
        self._report_interval_s = settings.report_interval_s
        self._nodes_known = not settings.namespaces
        self._relayed = settings.edge_lc_server is None
        self._metrics = metrics
        self._events = events
        self._records: dict[str, _Record] = {}  # by the service's uid

    def forget(self, uid: str) -> None:
        """Forget a service that is gone."""
        self._records.pop(uid, None)
        self._events.forget(uid)

    def count(self, phase: str) -> int:
        """Return how many services are in a phase."""
        return sum(record.written.get("phase") == phase for record in self._records.values())

    def report(self, key: ServiceKey, report: RoutedReport) -> bool:
        """Take a worker's totals; False for one that is no pod of the service, or counts backwards."""
        document = self._store.services.get(key)
        if document is None or not self._has_pod(key, document["metadata"]["uid"], report.worker):
            return False
        record = self._record(document, datetime.now(UTC))
        try:
            record.totals = record.totals.report(report.worker, report.inferences, report.hard_examples)
        except ValueError as problem:
            _log.info("%s: the report of %s is not counted: %s", key, report.worker, problem)
            return False
        return True

    def hard_examples(self, key: ServiceKey) -> int:
        """Return how many hard frames the workers of a service have reported."""
        document = self._store.services.get(key)
        sums = self._record(document, datetime.now(UTC)).totals.sums if document is not None else None
        return sums.hard_examples if sums is not None else 0

    async def sync(self, key: ServiceKey, document: Object, situation: Situation) -> float | None:
        """Write the status if it changed; return after how many seconds to look again, None if events will tell.

        Raises ClusterError when it cannot be written.
        """
        now = datetime.now(UTC)
        record = self._record(document, now)
        self._remember(record, situation.outcome)
        observed = self._observe(key, document["metadata"]["uid"])
        asked = questions(observed, Clock(now))
        observed = await self._ask(record, observed, asked, now)
        pods = {pod["metadata"]["name"] for pods in observed.pods.values() for pod in pods}
        record.totals = record.totals.retire(pods)
        clock = Clock(now)
        view = _view(document, situation, observed, record)
        status = service_status(replace(view, relayed=self._relayed), clock)
        again = _next_look(clock, asked, record)
        before = record.written
        if has_changed(before, status):
            wait = self._wait_s(record, status, now)
            if wait > 0:
                return min(wait, again or wait)  # what else changes until then is written with it
            if not await self._write(key, document, record, status):
                return None
            record.written_at = now
        changes, record.untold = _told(record.untold), {}
        await self._events.write(document, events(before, status, changes), now)
        return again

    def _wait_s(self, record: _Record, status: Mapping[str, Any], now: datetime) -> float:
        only_counts = only_totals_differ(record.written, status)
        interval_s = self._report_interval_s if only_counts else self._interval_s
        since_s = (now - record.written_at).total_seconds()
        return interval_s - since_s if since_s >= 0 else 0.0  # a clock that was put back must not hold it up

    async def _write(self, key: ServiceKey, document: Object, record: _Record, status: Mapping[str, Any]) -> bool:
        try:
            answer = await self._cluster.write_status(
                key.namespace, key.name, document["metadata"]["uid"], replacement(status)
            )
        except NotFound:
            return False  # the service is gone; its event is on the way
        self._metrics.status_written()
        record.written, record.version = status, version_of(answer)
        return True

    def _record(self, document: Object, now: datetime) -> _Record:
        uid, version = document["metadata"]["uid"], version_of(document)
        record = self._records.get(uid)
        if record is None:
            written = block(document, "status")
            record = self._records[uid] = _Record(written, now, version, Totals.from_status(written))
        elif version > record.version:  # somebody else may have written over it
            record.written, record.version = block(document, "status"), version
        return record

    def _remember(self, record: _Record, outcome: Outcome) -> None:
        for key, change in outcome.changes.items():
            self._metrics.child(key.kind.kind, change.value)
            if change is not Change.UNCHANGED and record.untold.get(key) is not Change.CREATED:
                record.untold[key] = change

    def _has_pod(self, key: ServiceKey, uid: str, name: str) -> bool:
        """Tell whether a pod is this service's, and not one that an earlier service of the name has left."""
        if self._store.service_of_pod(key.namespace, name) != key:
            return False
        return any(pod["metadata"]["name"] == name and _role(pod, uid) for pod in self._store.pods(key))

    def _observe(self, key: ServiceKey, uid: str) -> Observed:
        pods: dict[Role, list[Object]] = {role: [] for role in Role}
        for pod in self._store.pods(key):
            role = _role(pod, uid)
            if role is not None:
                pods[role].append(pod)
        return Observed(
            deployments={
                role: self._child(key, uid, ChildKind.DEPLOYMENT, deployment_name(key.name, role)) for role in Role
            },
            hpas={role: self._child(key, uid, ChildKind.HPA, hpa_name(key.name, role)) for role in Role},
            pods=pods,
            nodes=self._store.nodes,
            nodes_known=self._nodes_known,
        )

    def _child(self, key: ServiceKey, uid: str, kind: ChildKind, name: str) -> Object | None:
        return self._store.owned_child(key.namespace, ChildKey(kind, name), uid)

    async def _ask(self, record: _Record, observed: Observed, asked: Sequence[PodQuestion], now: datetime) -> Observed:
        """Fetch the Events of pods that are stuck for no visible cause; nothing else is ever asked for here."""
        record.pod_events = {pod.uid: known for pod in asked if (known := record.pod_events.get(pod.uid))}
        for pod in asked:
            known = record.pod_events.get(pod.uid)
            if known is not None and (now - known.asked_at).total_seconds() < pod.good_for_s:
                continue
            try:
                found = await self._cluster.events_about(pod.namespace, pod.uid)
            except ClusterError as failure:
                _log.info("the events of pod %s/%s cannot be read: %s", pod.namespace, pod.name, failure)
                found = known.events if known is not None else []
            record.pod_events[pod.uid] = _Answer(now, found)
        told = {uid: answer.events for uid, answer in record.pod_events.items()}
        return replace(observed, pod_events=told) if told else observed


def _next_look(clock: Clock, asked: Sequence[PodQuestion], record: _Record) -> float | None:
    """Return in how many seconds time alone can change the status, or an answer about a pod is too old."""
    ages = ((clock.now - record.pod_events[pod.uid].asked_at).total_seconds() for pod in asked)
    waits = [pod.good_for_s - age for pod, age in zip(asked, ages, strict=True)]
    if clock.next_turn_s is not None:
        waits.append(clock.next_turn_s)
    return max(0.0, min(waits)) + _TURN_MARGIN_S if waits else None


def _role(pod: Object, uid: str) -> Role | None:
    """Return which worker of the service of this uid a pod belongs to, None if to none."""
    labels = pod["metadata"].get("labels") or {}
    kind = labels.get(WORKER_TYPE_LABEL)
    return Role(kind) if labels.get(UID_LABEL) == uid and kind in set(Role) else None


def _view(document: Object, situation: Situation, observed: Observed, record: _Record) -> ServiceView:
    problems = {
        blocked.role: Cause(blocked.reason, blocked.message, blocked.lasting) for blocked in situation.wanted.blocked
    }
    scaling: dict[Role, Cause] = {}
    for (kind, role), (reason, message) in situation.outcome.problems.items():
        target = scaling if kind is ChildKind.HPA else problems
        target.setdefault(role, Cause(reason, message))
    return ServiceView(
        service=situation.service,
        generation=document["metadata"].get("generation", 0),
        observed=observed,
        findings=situation.findings,
        problems=problems,
        scaling_problems=scaling,
        previous=record.written,
        totals=record.totals,
    )


def _told(untold: Mapping[ChildKey, Change]) -> AppliedChanges:
    def of(change: Change) -> list[str]:
        return [str(key) for key, what in untold.items() if what is change]

    return AppliedChanges(of(Change.CREATED), of(Change.UPDATED), of(Change.REPAIRED), of(Change.DELETED))
