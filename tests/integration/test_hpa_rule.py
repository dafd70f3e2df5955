"""The rule of the autoscaler against the real kube-controller-manager: the same series give the same replicas."""

from __future__ import annotations

import asyncio
import json
import math
import platform
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.hpa import (
    Decision,
    HorizontalRule,
    Missing,
    Pod,
    Proposal,
    Reading,
    Reason,
    Sample,
    Scale,
    spec_of,
)
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import wait_until
from tests.integration.played_metric_apis import GROUPS, PlayedMetricApis, SyncPoint, exempt_autoscalers, register
from tests.integration.random_autoscalers import (
    SETTINGS,
    STEP_S,
    RandomAutoscaler,
    RandomMetric,
    current_of,
    pod_object,
    random_autoscaler,
    status_of,
)
from tests.integration.service_on_cluster import Cluster, Object

BATCHES: Final = (220, 70, 60)  # a busy machine makes series unclear; then more are played
ENOUGH: Final = 200
STEPS: Final = 6
SEED: Final = 8
CONNECTIONS: Final = 12
SETTLE_S: Final = 1.0  # for the controller's view of the pods, which nobody else can see
GATHER_S: Final = 0.2
PATIENCE_S: Final = 60
EPOCH: Final = time.time() - time.monotonic()  # the pods' times are of the calendar
HPAS: Final = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/default/deployments"
PODS: Final = "/api/v1/namespaces/default/pods"
MANAGER_OPTIONS: Final = (
    "--controllers=horizontal-pod-autoscaler-controller,serviceaccount-controller",
    "--horizontal-pod-autoscaler-sync-period=500ms",
    "--concurrent-horizontal-pod-autoscaler-syncs=400",
    f"--horizontal-pod-autoscaler-downscale-stabilization={SETTINGS.down_window_s:.0f}s",
    f"--horizontal-pod-autoscaler-cpu-initialization-period={SETTINGS.patience.cpu_initialization_s:.0f}s",
    f"--horizontal-pod-autoscaler-initial-readiness-delay={SETTINGS.patience.initial_readiness_s:.0f}s",
)


@dataclass(frozen=True)
class Moment:
    """When the controller has decided, as far as it can be seen from outside; monotonic seconds."""

    earliest: float
    latest: float


@dataclass
class Run:
    """One autoscaler in both worlds."""

    made: RandomAutoscaler
    point: SyncPoint
    rule: HorizontalRule
    moments: list[Moment] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    difference: str = ""
    unclear: bool = False  # something may or may not have been forgotten, or news of a pod not seen, at a step
    let_go_at: float = 0.0
    moves: int = 0  # steps that changed the replicas
    values: int = 0  # steps whose values were compared too
    written: str = ""  # the version of the autoscaler's object
    decision: Decision | None = None

    @classmethod
    def of(cls, made: RandomAutoscaler) -> Run:
        block = Hpa.model_validate({key: value for key, value in made.spec.items() if key != "scaleTargetRef"})
        return cls(made, made.point(), HorizontalRule(spec_of(block), SETTINGS))

    def decide(self, now: float, readings: Sequence[Reading]) -> Decision:
        """Let the rule decide at a monotonic time."""
        made = self.made
        scale = Scale(made.replicas, made.found)
        self.decision = self.rule.decide(now + EPOCH, scale, made.pods, readings)
        self.steps.append(f"{made.replicas} -> {self.decision.replicas}, {self.decision}")
        return self.decision

    def next_step(self, after: float) -> float:
        """Return the next time that is whole steps after the first look."""
        first = self.moments[0]
        origin = (first.earliest + first.latest) / 2
        return origin + math.ceil((after - origin) / STEP_S) * STEP_S

    def note(self, moment: Moment) -> None:
        """Note when the controller decided; all that it remembers must be surely older or surely younger than what it forgets."""
        for before in self.moments:
            youngest, oldest = moment.earliest - before.latest, moment.latest - before.earliest
            self.unclear = self.unclear or any(youngest <= span <= oldest for span in self.made.spans_s)
        self.moments.append(moment)

    def compare(self, deployment: Object, hpa: Object) -> None:
        """Look at what the controller made of the step, and go on from there."""
        assert self.decision is not None
        replicas = deployment["spec"]["replicas"]
        if not self.difference and not self.unclear:
            if replicas != self.decision.replicas:
                self.difference = f"{replicas} replicas instead of {self.decision.replicas}"
            # A sync that began too soon after the one before writes its status on an old version, and in vain.
            elif hpa["metadata"]["resourceVersion"] != self.written:
                self.values += 1
                self.difference = self._other_values(hpa["status"].get("currentMetrics") or [])
            if self.difference:
                self.difference += f"\n  {self.made.spec}\n  {self.made.pods}\n  " + "\n  ".join(self.steps)
                self.difference += f"\n  {hpa['status']}"
        self.written = hpa["metadata"]["resourceVersion"]
        self.moves += replicas != self.made.replicas
        self.made.replicas = replicas

    def _other_values(self, statuses: list[Object]) -> str:
        assert self.decision is not None
        for place, proposal in enumerate(self.decision.proposals):
            expected = proposal.current if isinstance(proposal, Proposal) else None
            seen = current_of(statuses[place], self.made.metrics[place]) if place < len(statuses) else None
            if seen != expected:
                return f"metric {place} is {seen} instead of {expected}"
        return ""


class Pictures:
    """Objects as they are now, read with one request for all who ask at about the same time."""

    def __init__(self, send: Callable[[str, str], Awaitable[Object]]) -> None:
        self._send = send
        self._next: asyncio.Task[list[dict[str, Object]]] | None = None

    async def of(self, name: str) -> list[Object]:
        """Return the Deployment and the autoscaler of this name."""
        if self._next is None:
            self._next = asyncio.create_task(self._take())
        return [objects[name] for objects in await asyncio.shield(self._next)]

    async def _take(self) -> list[dict[str, Object]]:
        await asyncio.sleep(GATHER_S)
        self._next = None
        lists = [await self._send("GET", path) for path in (DEPLOYMENTS, HPAS)]
        return [{item["metadata"]["name"]: item for item in one["items"]} for one in lists]


class Play:
    """Plays all series at once, each at its own pace."""

    def __init__(self, plane: ControlPlane, apis: PlayedMetricApis, runs: list[Run], steps: int = STEPS) -> None:
        self._plane = plane
        self._apis = apis
        self._runs = runs
        self._steps = steps
        self._gate = asyncio.Semaphore(CONNECTIONS)
        self._pictures = Pictures(self._send)
        self._shown: dict[str, tuple[int, float]] = {}  # the version of each pod that a watch has shown last, and when
        self._http: httpx.AsyncClient

    async def play(self) -> None:
        """Play them to the end."""
        template = Cluster.of(self._plane).http
        async with httpx.AsyncClient(
            base_url=template.base_url,
            headers=template.headers,
            verify=ssl.create_default_context(cafile=self._plane.layout.authority),
            trust_env=False,
            timeout=PATIENCE_S,
            limits=httpx.Limits(max_connections=CONNECTIONS + 1),  # one is the watch's
        ) as self._http:
            template.close()
            await asyncio.wait_for(self._apis_served(), PATIENCE_S)
            await asyncio.gather(*(self._prepare(run) for run in self._runs))
            watching = asyncio.create_task(self._watch_pods())
            begin = time.monotonic()
            places = (begin + STEP_S * place / len(self._runs) for place in range(len(self._runs)))
            await asyncio.gather(*(self._series(run, place) for run, place in zip(self._runs, places, strict=True)))
            await self._send("DELETE", HPAS)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch_pods(self) -> None:
        """See the pods when the controller should: a machine that is too busy for that makes a step unclear."""
        async with self._http.stream("GET", PODS, params={"watch": "true"}, timeout=None) as reply:
            async for line in reply.aiter_lines():
                metadata = json.loads(line)["object"]["metadata"]
                self._shown[metadata["name"]] = (int(metadata["resourceVersion"]), time.monotonic())

    def _has_shown(self, versions: Mapping[str, int], by: float) -> bool:
        """Return whether the watch had shown these versions of pods by then."""
        shown = [(version, *self._shown.get(name, (0, by))) for name, version in versions.items()]
        return all(found >= version and at <= by for version, found, at in shown)

    async def _apis_served(self) -> None:
        for group, version in GROUPS.items():
            while not (await self._http.get(f"/apis/{group}/{version}")).is_success:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _prepare(self, run: Run) -> None:
        made = run.made
        for metric in made.metrics:
            self._apis.points[made.key(metric)] = run.point
        labels = {"app": made.name}
        spec = {
            "replicas": made.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "i"}]}},
        }
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": made.name}, "spec": spec}
        await self._send("POST", DEPLOYMENTS, body)
        await self._write_there(made)
        for pod in made.pods:
            await self._send("POST", PODS, pod_object(pod, made.name))
            await self._write_pod(pod)
            if pod.deleted:
                await self._send("DELETE", f"{PODS}/{pod.name}")

    async def _series(self, run: Run, begin: float) -> None:
        await asyncio.sleep(begin - time.monotonic())
        await self._first_sync(run)
        for _ in range(self._steps):
            await self._look(run)
            now = time.time()
            written = {pod.name: await self._write_pod(pod) for pod in run.made.change_pods(now)}
            written_at = time.monotonic()
            await self._lag(run.made)
            readings, run.point.answers = run.made.read(now)
            await asyncio.sleep(run.next_step(time.monotonic() + SETTLE_S) - time.monotonic())
            run.unclear = run.unclear or not self._has_shown(written, written_at + SETTLE_S / 2)
            run.let_go_at = run.point.let_go()
            run.decide(run.let_go_at, readings)
        await self._look(run)

    async def _first_sync(self, run: Run) -> None:
        """Make the autoscaler. It finds its replicas and is told of no value; outside its bounds it acts without being told."""
        made, nothing = run.made, [Missing()] * len(run.made.metrics)
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": made.name},
            "spec": made.spec,
        }
        began = time.monotonic()
        await self._send("POST", HPAS, body)
        await asyncio.wait_for(run.point.waits.wait(), PATIENCE_S)
        run.note(Moment(began, run.point.came_at))
        first = run.decide(began, nothing)
        if first.reason in (Reason.ABOVE_MAX, Reason.BELOW_MIN):
            made.replicas = first.replicas
            run.decide(run.point.came_at, nothing)
        run.point.let_go()

    async def _look(self, run: Run) -> None:
        """Wait for the next sync, so that the one before is over, and look at what became of it."""
        await asyncio.wait_for(run.point.waits.wait(), PATIENCE_S)
        if run.let_go_at:
            run.note(Moment(run.let_go_at, run.point.came_at))
        run.compare(*await self._pictures.of(run.made.name))

    async def _lag(self, made: RandomAutoscaler) -> None:
        """Let the Deployment's status be behind or not, for the sync after the one that waits: that one has read it already."""
        made.found, made.there = made.there, made.chance.choice((made.replicas, made.replicas, made.replicas + 1, 1))
        if made.there != made.found:
            await self._write_there(made)

    async def _write_there(self, made: RandomAutoscaler) -> None:
        await self._send("PATCH", f"{DEPLOYMENTS}/{made.name}/status", {"status": {"replicas": made.there}})

    async def _write_pod(self, pod: Pod) -> int:
        """Write the pod's status and return its new version."""
        answer = await self._send("PATCH", f"{PODS}/{pod.name}/status", {"status": status_of(pod)})
        return int(answer["metadata"]["resourceVersion"])

    async def _send(self, method: str, path: str, body: Object | None = None) -> Object:
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        async with self._gate:  # httpx's own queue takes time that grows with its length
            reply = await self._http.request(method, path, json=body, headers=headers)
        assert reply.is_success, f"{method} {path}: {reply.text}"
        answer: Object = reply.json()
        return answer


@pytest.fixture(scope="module")
def plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("hpa_rule")
    # Else the API server insists on endpoints, and those may not be on loopback.
    by_name = ("--enable-aggregator-routing=false",)
    with ControlPlane(
        kubernetes_binaries, folder / "plane", api_server_options=by_name, manager_options=MANAGER_OPTIONS
    ) as running:
        yield running


@pytest.fixture(scope="module")
def apis(plane: ControlPlane) -> PlayedMetricApis:
    made = PlayedMetricApis()
    cluster = Cluster.of(plane)
    register(cluster, made.port)
    exempt_autoscalers(cluster)
    cluster.http.close()
    return made


@pytest.mark.timeout(400)
def test_random_series_give_the_same_replicas(plane: ControlPlane, apis: PlayedMetricApis, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    runs: list[Run] = []
    for count in BATCHES:
        numbers = range(len(runs), len(runs) + count)
        batch = [Run.of(random_autoscaler(n, random.Random(chance.random()), time.time())) for n in numbers]
        asyncio.run(apis.serve(tmp_path / str(count), Play(plane, apis, batch).play))
        runs += batch
        if sum(not run.unclear for run in runs) >= ENOUGH:
            break
    compared = [run for run in runs if not run.unclear]
    different = [run for run in runs if run.difference]
    moves, values = sum(run.moves for run in compared), sum(run.values for run in compared)
    print(
        f"{len(compared)} of {len(runs)} series compared, {STEPS} steps each; {len(different)} different; {moves=} {values=}"
    )
    assert not different, "\n\n".join(f"{run.made.name}: {run.difference}" for run in different[:5])
    assert len(compared) >= ENOUGH
    assert moves > ENOUGH
    assert values > ENOUGH * STEPS / 2


class Absurd(RandomAutoscaler):
    """Its pods' values are beyond all replicas that there can be."""

    def change_pods(self, now: float) -> list[Pod]:
        return []

    def read(self, now: float) -> tuple[list[Reading], dict[str, list[Object] | None]]:
        samples = {pod.name: Sample(10**15) for pod in self.pods}
        items = [self.pod_item(self.metrics[0], name, sample) for name, sample in samples.items()]
        return [samples], {self.key_of_first: items}


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="what a number that is too large becomes depends on the processor"
)
def test_a_known_difference(plane: ControlPlane, apis: PlayedMetricApis, tmp_path: Path) -> None:
    """Pods values of 2**31 times the target: the rule adds replicas, the controller's number of them becomes negative."""
    metric = RandomMetric("pods", "absurd-0", 7)
    source = {"metric": {"name": metric.name}, "target": {"type": "AverageValue", "averageValue": "7m"}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "absurd"},
        "maxReplicas": 8,
        "metrics": [{"type": "Pods", "pods": source}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    pods = [Pod(f"absurd-{n}", requests={"main": {}}) for n in range(3)]
    run = Run.of(Absurd("absurd", random.Random(0), [metric], spec, 3, 3, 3, pods))
    asyncio.run(apis.serve(tmp_path, Play(plane, apis, [run], steps=1).play))
    assert run.decision is not None
    assert run.decision.replicas == 7
    assert run.made.replicas == 1


def test_without_replicas_nothing_is_scaled(plane: ControlPlane) -> None:
    cluster = Cluster.of(plane)
    labels = {"app": "none"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    cluster.post(
        DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "none"}, "spec": spec}
    )
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}
    hpa = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3}
    cluster.post(
        HPAS,
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "none"}, "spec": hpa},
    )

    def reasons() -> set[str]:
        status = cluster.get(f"{HPAS}/none").get("status", {})
        return {condition["reason"] for condition in status.get("conditions", [])}

    wait_until(lambda: "ScalingDisabled" in reasons(), "the autoscaler to see that there is nothing")
    assert cluster.get(f"{DEPLOYMENTS}/none")["spec"]["replicas"] == 0
    rule = HorizontalRule(spec_of(Hpa.model_validate({"minReplicas": 2, "maxReplicas": 3})))
    assert rule.decide(0.0, Scale(0, 0), [], [Missing()]).reason is Reason.DISABLED
    cluster.http.close()
