"""Say how a service is: its status, written when it changed, and the events that tell of the change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from controller.change_events import AppliedChanges, events
from controller.child_sync import Change, Outcome
from controller.children import ChildKey, ChildKind
from controller.cluster import Cluster, Object
from controller.desired_state import DesiredState
from controller.errors import ClusterError, Conflict, NotFound
from controller.event_writer import EventWriter
from controller.metrics import ControllerMetrics
from controller.reports import RoutedReport
from controller.settings import ControllerSettings
from controller.status.cause import Cause
from controller.status.observed import Observed
from controller.status.questions import next_look, questions
from controller.status.service_status import ServiceView, has_changed, service_status
from controller.status.totals import Totals
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role, deployment_name, hpa_name
from sedna_py.api.finding import Finding
from sedna_py.api.joint_inference_service import JointInferenceService, JointInferenceServiceStatus

_log = logging.getLogger(__name__)

ASK_AGAIN_S = 10.0
"""How long the Events of a stuck pod are good for."""

_FIELDS = tuple(info.alias or name for name, info in JointInferenceServiceStatus.model_fields.items())


@dataclass(frozen=True)
class Situation:
    """What one pass found and did; `service` None: it could not be read."""

    service: JointInferenceService | None
    findings: Sequence[Finding]
    wanted: DesiredState
    outcome: Outcome


@dataclass
class _Record:
    """What is remembered of one service."""

    written: Mapping[str, Any]
    written_at: datetime
    totals: Totals
    untold: dict[ChildKey, Change] = field(default_factory=dict)
    pod_events: dict[str, tuple[datetime, list[Object]]] = field(default_factory=dict)


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
        self._nodes_known = not settings.namespaces
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
        if document is None or self._store.service_of_pod(key.namespace, report.worker) != key:
            return False
        record = self._record(document, datetime.now(UTC))
        try:
            record.totals = record.totals.report(report.worker, report.inferences, report.hard_examples)
        except ValueError as problem:
            _log.info("%s: the report of %s is not counted: %s", key, report.worker, problem)
            return False
        return True

    async def sync(self, key: ServiceKey, document: Object, situation: Situation) -> float | None:
        """Write the status if it changed; return after how many seconds to look again, None if events will tell.

        Raises ClusterError when it cannot be written.
        """
        now = datetime.now(UTC)
        record = self._record(document, now)
        self._remember(record, situation.outcome)
        observed = self._observe(key, document["metadata"]["uid"])
        observed = await self._ask(record, observed, now)
        pods = {pod["metadata"]["name"] for pods in observed.pods.values() for pod in pods}
        record.totals = record.totals.retire(pods)
        status = service_status(_view(document, situation, observed, record), now)
        again = next_look(observed, now)
        if has_changed(record.written, status):
            wait = self._interval_s - (now - record.written_at).total_seconds()
            if wait > 0:
                return wait  # what else changes until then is written with it
            if not await self._write(key, document, status):
                return None
            before, record.written, record.written_at = record.written, status, now
        else:
            before = record.written
        changes, record.untold = _told(record.untold), {}
        await self._events.write(document, events(before, status, changes), now)
        return again

    async def _write(self, key: ServiceKey, document: Object, status: Mapping[str, Any]) -> bool:
        whole = {name: status.get(name) for name in _FIELDS}
        try:
            await self._cluster.write_status(key.namespace, key.name, document["metadata"]["uid"], whole)
        except (Conflict, NotFound):
            return False  # the service is gone; its event is on the way
        self._metrics.status_written()
        return True

    def _record(self, document: Object, now: datetime) -> _Record:
        uid = document["metadata"]["uid"]
        record = self._records.get(uid)
        if record is None:
            written = document.get("status") or {}
            record = self._records[uid] = _Record(written, now, Totals.from_status(written))
        return record

    def _remember(self, record: _Record, outcome: Outcome) -> None:
        for key, change in outcome.changes.items():
            self._metrics.child(key.kind.kind, change.value)
            if change is not Change.UNCHANGED and record.untold.get(key) is not Change.CREATED:
                record.untold[key] = change

    def _observe(self, key: ServiceKey, uid: str) -> Observed:
        pods: dict[Role, list[Object]] = {role: [] for role in Role}
        for pod in self._store.pods(key):
            labels = pod["metadata"].get("labels") or {}
            if labels.get(UID_LABEL) == uid and labels.get(WORKER_TYPE_LABEL) in set(Role):
                pods[Role(labels[WORKER_TYPE_LABEL])].append(pod)
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
        live = self._store.child(key.namespace, ChildKey(kind, name))
        return live.manifest if live is not None and live.owner_uid == uid else None

    async def _ask(self, record: _Record, observed: Observed, now: datetime) -> Observed:
        """Fetch the Events of pods that are stuck for no visible cause; nothing else is ever asked for here."""
        asked = questions(observed, now)
        record.pod_events = {pod.uid: known for pod in asked if (known := record.pod_events.get(pod.uid))}
        for pod in asked:
            known = record.pod_events.get(pod.uid)
            if known is not None and (now - known[0]).total_seconds() < ASK_AGAIN_S:
                continue
            try:
                record.pod_events[pod.uid] = (now, await self._cluster.events_about(pod.namespace, pod.uid))
            except ClusterError as failure:
                _log.info("the events of pod %s/%s cannot be read: %s", pod.namespace, pod.name, failure)
        found = {uid: told for uid, (_, told) in record.pod_events.items()}
        return Observed(**{**vars(observed), "pod_events": found}) if found else observed


def _view(document: Object, situation: Situation, observed: Observed, record: _Record) -> ServiceView:
    problems = {blocked.role: Cause(blocked.reason, blocked.message) for blocked in situation.wanted.blocked}
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
