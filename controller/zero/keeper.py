"""Takes the last pod of cloud workers that nobody asks, stands in for them, and brings the pod back: the part with requests.

It belongs to one term of leadership and remembers nothing that matters: whether a worker sleeps is written on its Deployment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from controller.children import ChildKey, ChildKind
from controller.cluster import Cluster, Object
from controller.errors import ClusterError, Conflict, NotFound
from controller.metrics import ControllerMetrics
from controller.status.live import block
from controller.store import ServiceKey, Store
from controller.zero import marks
from controller.zero.activator import Activator, NoPortLeft
from controller.zero.decision import UNSEEN, Decision, View, Write, decide
from controller.zero.endpoint_slice import API, PLURAL, SELECTOR, can_be_an_endpoint, endpoint_slice
from controller.zero.quiet import Quiet
from controller.zero.worker_view import ready_pods, settled, wanted_by_autoscaler
from sedna_py.api.child_names import BIG_MODEL_PORT, Role, activator_slice_name, deployment_name, hpa_name
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.scale_to_zero import idle_window_s, may_sleep
from sedna_py.autoscaling.snapshot import Snapshot

_log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between two looks where nothing happens."""

LEAST_PAUSE_S: Final = 0.05
"""Between two looks however much happens."""

RENEW_S: Final = 60.0
"""After so long a slice is applied once more: somebody may have deleted it, and nobody watches it."""

LINGER_S: Final = 5.0
"""For so long a port stays open after its slice has gone: nodes need a moment to hear of it."""

UNSEEN_S: Final = 60.0
"""After so long it is said of a worker that its counters cannot be read."""

AT_ONCE: Final = 8

Latest = Callable[[str], Snapshot | None]
"""From a pod's uid to the newest reading of its counters, None where there is none; `at` is of time.monotonic()."""


@dataclass
class _Worker:
    """One cloud worker that may sleep, or does."""

    uid: str
    may_sleep: bool
    quiet: Quiet = field(default_factory=Quiet)
    demand: str = ""
    has_slice: bool = True  # as an earlier leader may have made one
    applied_at: float = float("-inf")  # by this one
    leaves_at: float | None = None  # when the port is closed
    unseen_since: float | None = None
    said: str = ""
    looking: asyncio.Task[None] | None = None
    changed: bool = False  # since it was looked at last


class Keeper:
    """Looks after the cloud workers that may have no pod; `run` it, and `stop` it, on one event loop."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        metrics: ControllerMetrics,
        activator: Activator,
        address: str,
        latest: Latest,
    ) -> None:
        """`address` is at which Services reach this process: one that cannot be means that no worker may sleep."""
        self._cluster = cluster
        self._store = store
        self._metrics = metrics
        self._activator = activator
        self._address = address
        self._reachable = can_be_an_endpoint(address)
        self._unreachable_said = False
        self._latest = latest
        self._workers: dict[ServiceKey, _Worker] = {}
        self._poked = asyncio.Event()
        self._requests = asyncio.Semaphore(AT_ONCE)

    # what others tell

    def learn(self, key: ServiceKey, service: JointInferenceService) -> None:
        """Take over what a service asks for; at each reconcile."""
        allowed = may_sleep(service) and self._reachable
        if may_sleep(service) and not self._reachable:
            self._say_unreachable()
        uid = service.metadata.uid or ""
        known = self._workers.get(key)
        if known is not None and known.uid != uid:
            self.forget(key)
            known = None
        if known is None:
            if not allowed and not self._noted_asleep(key, uid):
                return
            known = self._workers[key] = _Worker(uid, allowed)
        known.may_sleep = allowed
        self._poke(known)

    def forget(self, key: ServiceKey) -> None:
        """Forget a service that is gone; its slice goes with it."""
        if self._workers.pop(key, None) is not None:
            self._activator.close(key)

    def changed(self, key: ServiceKey) -> None:
        """Look at a service soon, as something of it has changed."""
        worker = self._workers.get(key)
        if worker is not None:
            self._poke(worker)

    def asked(self, key: ServiceKey) -> None:
        """Note a request that came while the worker slept."""
        self._metrics.asked_while_asleep()
        self._demand(key, "a request has come")

    def reported(self, key: ServiceKey, edge: str, *, hard: bool) -> None:
        """Note an edge worker's report; `hard`: it tells of hard frames that were not known before."""
        worker = self._workers.get(key)
        if worker is None:
            return
        if hard:
            self._demand(key, "an edge has reported hard frames")
        worker.quiet.heard(edge, time.monotonic())  # after it: of all that this report tells nothing more is to come

    def asleep(self) -> int:
        """Return how many workers sleep."""
        return sum(
            bool(marks.asleep_since(self._deployment(key, worker.uid) or {})) for key, worker in self._workers.items()
        )

    def _demand(self, key: ServiceKey, why: str) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            worker.demand = worker.demand or why
            worker.quiet.disturbed(time.monotonic())
            self._poke(worker)

    # what it does

    async def run(self, namespaces: tuple[str, ...]) -> None:
        """Look after them for ever; `namespaces` are those that are served, none means all."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._remove_strays(namespaces))
            while True:
                self._poked.clear()
                for key, worker in list(self._workers.items()):
                    # One by itself: a request that takes long holds up none of the others.
                    if worker.looking is None or worker.looking.done():
                        worker.changed = False
                        worker.looking = tasks.create_task(self._look(key, worker))
                        worker.looking.add_done_callback(lambda _, worker=worker: self._looked(worker))  # type: ignore[misc]
                await asyncio.sleep(LEAST_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._poked.wait()

    def _looked(self, worker: _Worker) -> None:
        if worker.changed:  # while it was looked at
            self._poked.set()

    def _poke(self, worker: _Worker) -> None:
        worker.changed = True
        self._poked.set()

    async def stop(self) -> None:
        """Close the ports. Whoever leads next stands in from then on."""
        await self._activator.stop()

    async def _remove_strays(self, namespaces: tuple[str, ...]) -> None:
        """Delete slices that an earlier leader has left to services that may not sleep any more."""
        said = ""
        while True:
            try:
                for namespace in namespaces or (None,):
                    for found in await self._cluster.list_objects(API, PLURAL, namespace, SELECTOR):
                        await self._remove_if_stray(found)
            except ClusterError as failure:
                if said != str(failure):
                    _log.info("the slices of sleeping cloud workers cannot be looked through yet: %s", failure)
                said = str(failure)
                await asyncio.sleep(LOOK_S)
            else:
                return

    async def _remove_if_stray(self, found: Object) -> None:
        metadata = found["metadata"]
        owner = next((one.get("uid") for one in metadata.get("ownerReferences") or ()), None)
        key = self._store.service_of_uid(owner)
        if key in self._workers:
            return  # it is looked after
        deployment = self._deployment(key, owner or "") if key is not None else None
        if deployment is not None and (marks.asleep_since(deployment) or marks.woken_at(deployment)):
            return
        await self._cluster.delete_named(API, PLURAL, metadata["namespace"], metadata["name"])

    async def _look(self, key: ServiceKey, worker: _Worker) -> None:
        now = time.monotonic()
        try:
            deployment = self._deployment(key, worker.uid)
            decision = decide(self._view(key, worker, deployment, now))
            self._note_unseen(key, worker, decision, now)
            await self._act(key, worker, deployment, decision)
        except (Conflict, NotFound):
            await self._read_again(key, worker)
        except NoPortLeft as failure:
            self._say(key, worker, str(failure), failed=True)
            if deployment is not None and not marks.wanted_replicas(deployment):
                self._demand(key, "nobody can stand in for it")
        except ClusterError as failure:
            self._say(key, worker, f"{type(failure).__name__}: {failure}", failed=True)
        except Exception:  # noqa: BLE001 - a defect with one service must not keep the others asleep
            _log.exception("%s: unexpected error about its sleep", key)

    def _view(self, key: ServiceKey, worker: _Worker, deployment: Object | None, now: float) -> View:
        pods = ready_pods(self._store.pods(key), worker.uid)
        worker.quiet.look({uid: self._latest(uid) for uid in pods}, now)
        service = self._store.services.get(key)
        hpa = self._store.owned_child(
            key.namespace, ChildKey(ChildKind.HPA, hpa_name(key.name, Role.CLOUD)), worker.uid
        )
        return View(
            may_sleep=worker.may_sleep,
            replicas=None if deployment is None else marks.wanted_replicas(deployment),
            ready=len(pods),
            settled=deployment is not None and settled(deployment, pods),
            wanted=wanted_by_autoscaler(hpa),
            noted_asleep=bool(marks.asleep_since(deployment or {})),
            noted_woken=bool(marks.woken_at(deployment or {})),
            idle_s=worker.quiet.idle_s(now),
            # Not as it was parsed: an annotation changes without a new generation.
            window_s=idle_window_s(block(service, "metadata", "annotations")),
            demand=worker.demand,
            seen=worker.quiet.is_known,
        )

    async def _act(self, key: ServiceKey, worker: _Worker, deployment: Object | None, decision: Decision) -> None:
        if decision.write is Write.WAKE:  # first of all: a cold start is long enough
            await self._write(key, worker, deployment, marks.woken(datetime.now(UTC)), decision)
            self._metrics.cloud_woken()
        if decision.stands_in:
            await self._stand_in(key, worker)
        else:
            await self._step_back(key, worker)
        if decision.write is Write.SLEEP:
            if worker.demand:  # somebody came by the slice that is new
                return
            await self._write(key, worker, deployment, marks.asleep(datetime.now(UTC)), decision)
            self._metrics.cloud_slept()
        elif decision.write is Write.NOTE_SLEEP:
            await self._write(key, worker, deployment, marks.seen_asleep(datetime.now(UTC)), decision)
        elif decision.write is Write.NOTE_AWAKE:
            await self._write(key, worker, deployment, marks.awake(), decision)
        if not decision.stands_in:
            worker.demand = ""
            if not worker.may_sleep and decision.write is None and worker.leaves_at is None:
                self.forget(key)

    async def _write(
        self, key: ServiceKey, worker: _Worker, deployment: Object | None, patch: Mapping[str, Any], decision: Decision
    ) -> None:
        assert deployment is not None  # noqa: S101 - there is nothing to decide about one that is not there
        child = ChildKey(ChildKind.DEPLOYMENT, deployment["metadata"]["name"])
        async with self._requests:
            answer = await self._cluster.scale_child(
                key.namespace, child, deployment["metadata"]["resourceVersion"], patch
            )
        self._store.put_child(ChildKind.DEPLOYMENT, answer)
        if decision.write is Write.WAKE:
            worker.demand = ""
        self._say(key, worker, f"{decision.write}: {decision.why}")

    async def _stand_in(self, key: ServiceKey, worker: _Worker) -> None:
        if not self._reachable:
            return
        worker.leaves_at = None
        before = self._activator.port(key)
        port = await self._activator.open(key)
        now = time.monotonic()
        if port == before and now - worker.applied_at < RENEW_S:
            return
        worker.has_slice = True
        manifest = endpoint_slice(key.namespace, key.name, worker.uid, self._address, port)
        async with self._requests:
            await self._cluster.apply_object(PLURAL, key.namespace, manifest)
        worker.applied_at = now

    async def _step_back(self, key: ServiceKey, worker: _Worker) -> None:
        if worker.has_slice:
            async with self._requests:
                await self._cluster.delete_named(API, PLURAL, key.namespace, activator_slice_name(key.name))
            worker.has_slice, worker.applied_at = False, float("-inf")
            worker.leaves_at = time.monotonic() + LINGER_S
        if worker.leaves_at is not None and time.monotonic() >= worker.leaves_at:
            self._activator.close(key)
            worker.leaves_at = None

    async def _read_again(self, key: ServiceKey, worker: _Worker) -> None:
        """Learn what the Deployment is now, as its event may still be on the way."""
        child = ChildKey(ChildKind.DEPLOYMENT, deployment_name(key.name, Role.CLOUD))
        with suppress(ClusterError):
            found = await self._cluster.get_child(key.namespace, child)
            if found is not None:
                self._store.put_child(ChildKind.DEPLOYMENT, found)
            self._poke(worker)

    def _deployment(self, key: ServiceKey, uid: str) -> Object | None:
        child = ChildKey(ChildKind.DEPLOYMENT, deployment_name(key.name, Role.CLOUD))
        found = self._store.owned_child(key.namespace, child, uid)
        return None if found is None or found["metadata"].get("deletionTimestamp") else found

    def _noted_asleep(self, key: ServiceKey, uid: str) -> bool:
        return bool(marks.asleep_since(self._deployment(key, uid) or {}))

    def _say(self, key: ServiceKey, worker: _Worker, what: str, *, failed: bool = False) -> None:
        if what != worker.said:
            _log.log(logging.WARNING if failed else logging.INFO, "%s: cloud worker: %s", key, what)
        worker.said = what

    def _note_unseen(self, key: ServiceKey, worker: _Worker, decision: Decision, now: float) -> None:
        """Say of a worker that could sleep but for its counters, once it has been so for a while."""
        if decision.why != UNSEEN:
            worker.unseen_since = None
            return
        worker.unseen_since = worker.unseen_since if worker.unseen_since is not None else now
        if now - worker.unseen_since >= UNSEEN_S:
            self._say(
                key, worker, f"{UNSEEN}; GET /metrics on port {BIG_MODEL_PORT} of its pods must have them", failed=True
            )

    def _say_unreachable(self) -> None:
        if not self._unreachable_said:
            self._unreachable_said = True
            _log.warning(
                "cloud workers keep their last pod, as no Service can lead to this controller at %s; write its address in POD_IP",
                self._address,
            )
