"""A cloud worker goes to sleep and wakes, against an API server in memory; restarts, other people and failures in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.children import ChildKey, ChildKind
from controller.errors import Forbidden, NotFound, Unavailable
from controller.handlers import Intake
from controller.metrics import ControllerMetrics
from controller.store import ServiceKey, Store
from controller.zero import keeper as module
from controller.zero.activator import NoPortLeft
from controller.zero.keeper import Keeper
from controller.zero.marks import ASLEEP_SINCE, WOKEN_AT
from sedna_py.api.child_names import NAME_LABEL, UID_LABEL, WORKER_TYPE_LABEL
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from tests.controller.fakes import FakeCluster, until
from tests.refused_documents import changed
from tests.refused_documents import service as service_document

Object = dict[str, Any]
KEY = ServiceKey("shop", "helmet")
UID = "u-1"
DEPLOYMENT = ChildKey(ChildKind.DEPLOYMENT, "helmet-deployment-cloud")
SLICE = ("endpointslices", "shop", "helmet-cloud-asleep")
SLEEP_CALL, SLICE_CALL = f"scale {DEPLOYMENT}", "apply endpointslices helmet-cloud-asleep"
ADDRESS = "10.0.0.9"


class FakeActivator:
    def __init__(self) -> None:
        self.ports: dict[ServiceKey, int] = {}
        self.full = False
        self._next = 9200

    def port(self, key: ServiceKey) -> int | None:
        return self.ports.get(key)

    async def open(self, key: ServiceKey) -> int:
        if self.full and key not in self.ports:
            raise NoPortLeft("none is free")
        if key not in self.ports:
            self.ports[key], self._next = self._next, self._next + 1
        return self.ports[key]

    def close(self, key: ServiceKey) -> None:
        self.ports.pop(key, None)

    async def stop(self) -> None:
        self.ports.clear()


class Stage:
    """One service with a window of six seconds, whose clock is the test's; `run` lets a keeper work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "LEAST_PAUSE_S", 0.0)
        monkeypatch.setattr(module, "LOOK_S", 0.002)
        self.clock = 1000.0
        self.rounds = 0
        monkeypatch.setattr(module, "time", self)
        self.cluster = FakeCluster()
        self.store = Store()
        self.intake = Intake(self.store, lambda key: self.keeper.changed(key))
        self.registry = CollectorRegistry()
        self.metrics = ControllerMetrics(self.registry)
        self.readings: dict[str, Snapshot] = {}
        self.address = ADDRESS
        self.served(0)
        self.begin()
        self.write(0)
        owner = {"apiVersion": "sedna.io/v1alpha1", "kind": "JointInferenceService", "uid": UID, "controller": True}
        self.cluster.put(
            "shop",
            ChildKind.DEPLOYMENT,
            {
                "metadata": {
                    "name": DEPLOYMENT.name,
                    "generation": 1,
                    "ownerReferences": [owner],
                    "labels": self.labels(),
                },
                "spec": {"replicas": 1},
                "status": {},
            },
        )
        self.cluster.put(
            "shop",
            ChildKind.HPA,
            {
                "metadata": {"name": f"hpa-{DEPLOYMENT.name}", "ownerReferences": [owner], "labels": self.labels()},
                "status": {"desiredReplicas": 1},
            },
        )
        self.deliver()

    # the world

    def monotonic(self) -> float:
        self._read = getattr(self, "_read", 0) + 1
        return self.clock + self._read * 1e-9  # no two readings of a clock are the same

    @staticmethod
    def labels() -> dict[str, str]:
        return {NAME_LABEL: "helmet", UID_LABEL: UID, WORKER_TYPE_LABEL: "cloud"}

    def begin(self) -> None:
        """A process begins, or another replica takes over: nothing but the store and the cluster is left."""
        self.activator = FakeActivator()
        self.keeper = Keeper(self.cluster, self.store, self.metrics, self.activator, self.address, self.read)  # type: ignore[arg-type]
        view = self.keeper._view

        def counted(key: ServiceKey, *rest: Any) -> Any:
            self.rounds += key == KEY
            return view(key, *rest)

        self.keeper._view = counted  # type: ignore[method-assign]

    def write(self, fewest: int, **annotations: str) -> None:
        """Write the service, and let it be reconciled."""
        about = {"autoscaling.knative.dev/window": "6s", **annotations}
        self._version = getattr(self, "_version", 0) + 1
        document = changed(
            service_document(),
            "metadata",
            {
                "name": "helmet",
                "namespace": "shop",
                "uid": UID,
                "annotations": about,
                "resourceVersion": str(self._version),
            },
        )
        document = changed(document, "spec.cloudWorker.hpa", {"minReplicas": fewest, "maxReplicas": 3})
        self.store.put_service(document)
        service, findings = parse_document(document)
        assert isinstance(service, JointInferenceService), findings
        self.keeper.learn(KEY, service)

    def deliver(self) -> None:
        self.cluster.deliver(self.intake)

    def deployment(self) -> Object:
        return self.cluster.objects["shop", DEPLOYMENT]

    @property
    def replicas(self) -> int:
        return int(self.deployment()["spec"]["replicas"])

    @property
    def marks(self) -> set[str]:
        return set(self.deployment()["metadata"].get("annotations") or {})

    def pods(self, *uids: str) -> None:
        """Let the cloud worker have these pods, all ready, and the Deployment know of them."""
        for pod in self.store.all_pods():
            self.intake.pod("DELETED", pod)
        for uid in uids:
            metadata = {"name": uid, "namespace": "shop", "uid": uid, "labels": self.labels()}
            metadata["resourceVersion"] = self.cluster.version()
            self.intake.pod(
                "ADDED", {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            )
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), len(uids))
        self.cluster.touch("shop", DEPLOYMENT, {**counts, "observedGeneration": 1})
        self.deliver()

    def served(self, requests: int) -> None:
        self.requests = requests

    def read(self, uid: str) -> Snapshot | None:
        known = self.readings.get(uid)
        if known is not None:
            return known
        return Snapshot(
            at=self.clock, began=1, offered=self.requests, done=self.requests, dropped=0, present_s=0, waiting_s=0,
            busy_s=0, streams=1,
        )  # fmt: skip

    # the keeper at work

    async def looked(self) -> None:
        """Let it look once more, with all that it does then."""
        # A round that has begun may know of nothing, the next one does, and has ended when another one has begun.
        wanted = self.rounds + 3
        async with asyncio.timeout(5):
            while self.keeper._workers and self.rounds < wanted:
                for worker in self.keeper._workers.values():
                    self.keeper._poke(worker)
                await asyncio.sleep(0)
        self.deliver()

    async def passes(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock += 1
            await self.looked()

    async def falls_asleep(self) -> None:
        self.pods("p-1")
        await self.passes(7)
        assert self.replicas == 0
        self.pods()
        await self.looked()

    def count(self, call: str) -> int:
        return self.cluster.calls.count(call)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def _nothing(*_: Any) -> None:
    return None


def play(monkeypatch: pytest.MonkeyPatch, *scenarios: Callable[[Stage], Awaitable[None]]) -> Stage:
    """Play one scenario after the other, each with a keeper of its own on what the one before has left."""

    async def main() -> Stage:
        stage = Stage(monkeypatch)
        for number, scenario in enumerate(scenarios):
            if number:
                stage.begin()
                stage.write(0)
            running = asyncio.create_task(stage.keeper.run(()))
            try:
                await scenario(stage)
                assert not running.done()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await stage.keeper.stop()
        return stage

    return asyncio.run(main())


def test_idle_it_sleeps_a_request_wakes_it_and_it_serves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        await stage.passes(5)
        assert stage.replicas == 1
        assert SLICE not in stage.cluster.others
        await stage.passes(2)
        assert stage.replicas == 0
        assert stage.marks == {ASLEEP_SINCE}
        made = stage.cluster.others[SLICE]
        assert made["endpoints"][0]["addresses"] == [ADDRESS]
        assert made["ports"][0]["port"] == stage.activator.ports[KEY]
        # Whoever comes finds somebody there before the last pod has gone.
        assert stage.cluster.calls.index(SLICE_CALL) < stage.cluster.calls.index(SLEEP_CALL)
        assert (stage.keeper.asleep(), stage.metric(names.CONTROLLER_CLOUD_SLEEP_CHANGES, change="slept")) == (1, 1)
        stage.pods()
        await stage.passes(30)
        assert stage.replicas == 0

        for _ in range(5):
            stage.keeper.asked(KEY)
        await stage.looked()
        assert (stage.replicas, stage.marks) == (1, {WOKEN_AT})
        assert stage.metric(names.CONTROLLER_ASKED_ASLEEP) == 5
        await stage.passes(20)  # a cold start
        assert SLICE in stage.cluster.others
        assert stage.count(SLEEP_CALL) == 2

        stage.pods("p-2")
        await stage.looked()
        assert SLICE not in stage.cluster.others
        assert stage.marks == set()
        assert KEY in stage.activator.ports  # a node may not have heard of it yet
        await stage.passes(module.LINGER_S)
        assert KEY not in stage.activator.ports
        assert (stage.keeper.asleep(), stage.metric(names.CONTROLLER_CLOUD_SLEEP_CHANGES, change="woken")) == (0, 1)

    play(monkeypatch, scenario)


def test_requests_keep_it_awake_and_so_does_what_edges_report(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        for second in range(20):
            stage.served(second // 4)
            await stage.passes(1)
        assert stage.replicas == 1
        for _ in range(10):
            stage.keeper.reported(KEY, "edge-1", hard=True)
            await stage.passes(2)
        assert stage.replicas == 1
        stage.served(99)
        await stage.passes(20)
        assert stage.replicas == 1  # the edge has not said yet whether it had more of them
        stage.keeper.reported(KEY, "edge-1", hard=False)
        await stage.passes(1)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_an_edge_whose_last_report_told_of_hard_frames_is_not_waited_for_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        await stage.passes(2)
        stage.keeper.reported(KEY, "edge-1", hard=True)
        await stage.passes(8)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_hard_frames_in_a_report_wake_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.keeper.reported(KEY, "edge-1", hard=False)
        stage.keeper.reported(ServiceKey("shop", "other"), "edge-1", hard=True)
        await stage.passes(3)
        assert stage.replicas == 0
        stage.keeper.reported(KEY, "edge-1", hard=True)
        await stage.looked()
        assert stage.replicas == 1

    play(monkeypatch, scenario)


def test_without_fresh_readings_it_stays_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        await stage.passes(5)
        reading = stage.read("p-1")
        assert reading is not None
        stage.readings["p-1"] = replace(reading, at=reading.at - 60)
        await stage.passes(20)
        assert stage.replicas == 1
        del stage.readings["p-1"]
        await stage.passes(8)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_a_worker_whose_counters_nobody_can_read_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        monkeypatch.setattr(stage.keeper, "_latest", lambda _: None)
        await stage.passes(module.UNSEEN_S - 2)
        assert "counters" not in caplog.text
        await stage.passes(60)
        assert stage.replicas == 1
        assert caplog.text.count("its counters cannot be read; GET /metrics on port 5000") == 1

    play(monkeypatch, scenario)


@pytest.mark.parametrize("wanted", [0, 2])
def test_an_autoscaler_that_wants_more_or_says_nothing_keeps_it_awake(
    monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    async def scenario(stage: Stage) -> None:
        hpa = ChildKey(ChildKind.HPA, f"hpa-{DEPLOYMENT.name}")
        stage.cluster.touch("shop", hpa, {"desiredReplicas": wanted})
        stage.pods("p-1")
        await stage.passes(20)
        assert stage.replicas == 1
        stage.cluster.touch("shop", hpa, {"desiredReplicas": 1})
        stage.deliver()
        await stage.passes(2)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_an_annotation_makes_the_window_longer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        await stage.passes(4)
        stage.write(0, **{"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "10s"})
        await stage.passes(10)
        assert stage.replicas == 1
        await stage.passes(4)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_a_controller_that_begins_while_it_sleeps_stands_in_at_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.address = "10.0.0.77"

    async def after(stage: Stage) -> None:
        await stage.looked()
        assert stage.cluster.others[SLICE]["endpoints"][0]["addresses"] == ["10.0.0.77"]
        assert stage.cluster.others[SLICE]["ports"][0]["port"] == stage.activator.ports[KEY]
        assert stage.count(SLEEP_CALL) == 1  # nothing is written that is there already
        await stage.passes(20)
        assert stage.replicas == 0
        stage.keeper.asked(KEY)
        await stage.looked()
        assert stage.replicas == 1

    play(monkeypatch, before, after)


@pytest.mark.parametrize("ready", [False, True], ids=["still waking", "awake by then"])
def test_a_controller_that_begins_while_it_wakes_leaves_no_slice_behind(
    monkeypatch: pytest.MonkeyPatch, ready: bool
) -> None:
    async def before(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.keeper.asked(KEY)
        await stage.looked()
        assert SLICE in stage.cluster.others
        if ready:  # it dies before it hears of the pod
            monkeypatch.setattr(stage.keeper, "_look", _nothing)
            stage.pods("p-2")

    async def after(stage: Stage) -> None:
        if not ready:
            await stage.passes(3)
            assert SLICE in stage.cluster.others
            stage.pods("p-2")
        await stage.looked()
        assert SLICE not in stage.cluster.others
        assert stage.marks == set()

    play(monkeypatch, before, after)


def test_slices_of_services_that_do_not_sleep_any_more_are_removed_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when minReplicas was raised, or the controller died between two requests."""

    def stray(name: str, uid: str) -> Object:
        owner = {"kind": "JointInferenceService", "uid": uid}
        return {"metadata": {"name": name, "namespace": "shop", "ownerReferences": [owner]}}

    async def scenario(stage: Stage) -> None:
        await until(lambda: stage.count("list endpointslices") >= 3)
        await stage.looked()
        assert sorted(name for _, _, name in stage.cluster.others) == []

    async def main() -> None:
        stage = Stage(monkeypatch)
        stage.pods("p-1")
        found = [stray("helmet-cloud-asleep", UID), stray("gone-cloud-asleep", "u-9")]
        stage.cluster.lists["endpointslices"] = found
        for one in found:
            stage.cluster.others["endpointslices", "shop", one["metadata"]["name"]] = one
        stage.cluster.failures["list endpointslices"] = [Unavailable("away"), Forbidden("not yet")]
        running = asyncio.create_task(stage.keeper.run(()))
        try:
            await scenario(stage)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_minreplicas_raised_in_its_sleep_wakes_it_and_then_nobody_looks_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.write(1)
        await stage.looked()
        assert (stage.replicas, stage.marks) == (1, {WOKEN_AT})
        assert SLICE in stage.cluster.others
        stage.pods("p-2")
        await stage.passes(module.LINGER_S + 2)
        assert (SLICE in stage.cluster.others, stage.marks, stage.activator.ports) == (False, set(), {})
        await stage.passes(20)
        assert stage.replicas == 1
        assert KEY not in stage.keeper._workers

    play(monkeypatch, scenario)


def test_a_zero_by_hand_is_taken_for_sleep_and_a_one_by_hand_for_waking(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        stage.cluster.edit("shop", DEPLOYMENT, "spec.replicas", 0)
        stage.pods()
        await stage.looked()
        assert stage.marks == {ASLEEP_SINCE}
        assert SLICE in stage.cluster.others
        stage.cluster.edit("shop", DEPLOYMENT, "spec.replicas", 2)
        stage.deliver()
        await stage.looked()
        assert SLICE in stage.cluster.others
        stage.pods("p-2", "p-3")
        await stage.looked()
        assert (SLICE in stage.cluster.others, stage.marks, stage.replicas) == (False, set(), 2)

    play(monkeypatch, scenario)


def test_who_scales_it_in_the_same_moment_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.pods("p-1")
        await stage.passes(5)
        # The autoscaler does it, and its event is still on the way.
        stage.cluster.edit("shop", DEPLOYMENT, "spec.replicas", 2, "hpa")
        told, stage.cluster.told = stage.cluster.told, []
        stage.clock += 2
        await until(lambda: f"get {DEPLOYMENT}" in stage.cluster.calls)
        stage.cluster.told = told
        await stage.looked()
        assert stage.replicas == 2
        assert SLICE not in stage.cluster.others

    play(monkeypatch, scenario)


def test_who_comes_by_the_new_slice_before_the_pod_has_gone_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.cluster.meanwhile[SLICE_CALL] = lambda: stage.keeper.asked(KEY)
        stage.pods("p-1")
        await stage.passes(8)
        assert stage.replicas == 1
        assert SLICE not in stage.cluster.others
        await stage.passes(7)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


@pytest.mark.parametrize("failure", [Unavailable("away", 503), Forbidden("no"), NotFound("gone", 404)])
def test_a_wake_that_fails_is_tried_until_it_works(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.cluster.failures[SLEEP_CALL] = [failure] * 3  # type: ignore[list-item]
        stage.keeper.asked(KEY)
        await until(lambda: stage.replicas == 1)

    play(monkeypatch, scenario)


def test_where_no_one_can_stand_in_it_keeps_its_pod(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.activator.full = True
        stage.pods("p-1")
        await stage.passes(20)
        assert stage.replicas == 1
        assert caplog.text.count("none is free") == 1
        stage.activator.full = False
        await stage.passes(1)
        assert stage.replicas == 0

    play(monkeypatch, scenario)


def test_a_slice_that_somebody_deletes_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        made = stage.count(SLICE_CALL)
        await stage.passes(30)
        assert stage.count(SLICE_CALL) == made
        stage.cluster.others.clear()
        await stage.passes(module.RENEW_S)
        assert SLICE in stage.cluster.others

    play(monkeypatch, scenario)


def test_where_no_service_can_lead_to_the_controller_nobody_sleeps_and_who_does_is_woken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def before(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.address = "127.0.0.1"

    async def after(stage: Stage) -> None:
        await stage.looked()
        assert stage.replicas == 1
        stage.pods("p-2")
        await stage.passes(20)
        assert stage.replicas == 1
        assert SLICE not in stage.cluster.others
        assert caplog.text.count("write its address in POD_IP") == 1

    play(monkeypatch, before, after)


def test_one_that_sleeps_where_no_port_is_left_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when there are fewer ports than there were."""

    async def before(stage: Stage) -> None:
        await stage.falls_asleep()

    async def after(stage: Stage) -> None:
        stage.activator.full = True
        stage.activator.ports.clear()
        await until(lambda: stage.replicas == 1)

    play(monkeypatch, before, after)


def test_a_request_that_takes_long_holds_up_no_other_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        slow = ServiceKey("shop", "slow")
        stage.keeper._workers[slow] = replace(stage.keeper._workers[KEY], looking=None)
        real, held = stage.keeper._act, asyncio.Event()

        async def act(key: ServiceKey, *rest: Any) -> None:
            if key == slow:
                await held.wait()
            await real(key, *rest)

        monkeypatch.setattr(stage.keeper, "_act", act)
        await stage.passes(1)
        stage.keeper.asked(KEY)
        await until(lambda: stage.replicas == 1)
        del stage.keeper._workers[slow]
        held.set()

    play(monkeypatch, scenario)


def test_a_service_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        stage.keeper.forget(KEY)
        stage.keeper.forget(KEY)
        stage.keeper.asked(KEY)
        await stage.passes(2)
        assert (stage.replicas, stage.activator.ports, stage.keeper.asleep()) == (0, {}, 0)

    play(monkeypatch, scenario)


def test_one_service_that_breaks_does_not_keep_the_others_asleep(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.falls_asleep()
        broken = ServiceKey("shop", "broken")
        stage.keeper._workers[broken] = replace(stage.keeper._workers[KEY], looking=None)
        real = stage.keeper._act

        async def act(key: ServiceKey, *rest: Any) -> None:
            if key == broken:
                raise ZeroDivisionError
            await real(key, *rest)

        monkeypatch.setattr(stage.keeper, "_act", act)
        stage.keeper.asked(KEY)
        await until(lambda: stage.replicas == 1)
        assert "shop/broken: unexpected error about its sleep" in caplog.text

    play(monkeypatch, scenario)


def test_twenty_nights_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        for night in range(20):
            stage.pods(f"p-{night}")
            await stage.passes(7)
            assert stage.replicas == 0
            stage.pods()
            stage.keeper.asked(KEY)
            await stage.looked()
            assert stage.replicas == 1
        stage.pods("last")
        await stage.passes(module.LINGER_S + 1)
        assert (stage.cluster.others, stage.activator.ports, stage.marks) == ({}, {}, set())
        for change in ("slept", "woken"):
            assert stage.metric(names.CONTROLLER_CLOUD_SLEEP_CHANGES, change=change) == 20

    play(monkeypatch, scenario)
