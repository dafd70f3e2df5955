"""What offloading costs the edge, how much of a cloud worker it can use, and what requests at once do for a long way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sedna_py.load_test.processes import cpu_seconds
from sedna_py.local.compare_service import core_count
from sedna_py.local.ports import free_port
from tests.bench.cloud import take
from tests.bench.offload.edge_run import ALL_HARD, NO_OFFLOAD, SOME_HARD, EdgeRun, cloud_at, run_edge
from tests.bench.pairs import ROOT, Pair
from tests.bench.serving.comparison import closed_loop
from tests.bench.serving.servers import TASKSET, picture_files, worker
from tests.faults.far_cloud import far_cloud
from tests.faults.program import locate
from tests.faults.toxiproxy import running
from workers.inference.image_codec import encode_jpeg

FAR_S: Final = 0.05  # until a far cloud answers
ROUND_TRIP_MS: Final = 100
CLOUD_CPU, EDGE_CPU = 0, 1
FULL: Final = 16  # connections at which a worker is saturated
UPSTREAM_S: Final = 15.0  # at least: one refused frame takes it twelve
PICTURES: Final = 30
HARD: Final[Mapping[str, tuple[Mapping[str, str], float]]] = {
    "30 % hard": (SOME_HARD, 0.3),
    "100 % hard": (ALL_HARD, 1.0),
}


@dataclass(frozen=True, slots=True)
class Costs:
    """frames/s, a figure a round: without offload, and with 30 % of the frames sent to a far cloud.

    `cloud_share` is what the process that plays the cloud took of this machine's processors meanwhile, from 0 to 1.
    """

    without: list[float] = field(default_factory=list)
    with_it: list[float] = field(default_factory=list)
    offloaded: list[float] = field(default_factory=list)
    cloud_share: list[float] = field(default_factory=list)

    @property
    def with_cloud_elsewhere(self) -> list[float]:
        """What `with_it` would be if the edge had the cloud's share too: all of it is limited by the processors."""
        return [rate / (1 - share) for rate, share in zip(self.with_it, self.cloud_share, strict=True)]


@dataclass(frozen=True, slots=True)
class Saturation:
    """Answers/s of a cloud worker on one core, a figure a round.

    `alone`: asked as fast as it can answer; `beside`: the same while an edge that asks nobody works on the other core;
    `offloaded`: by an edge on the other core, all of whose frames are hard.
    """

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    offloaded: list[float] = field(default_factory=list)
    edge: list[float] = field(default_factory=list)  # frames/s of that edge


@dataclass(frozen=True, slots=True)
class AgainstUpstream:
    """frames/s by case, a figure a round."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    upstream: dict[str, list[float]] = field(default_factory=dict)


def measure_costs(pair: Pair, rounds: int, seconds: float) -> Costs:
    """Measure with and without in turn."""
    costs = Costs()
    with far_cloud(free_port(), FAR_S) as cloud:
        for _ in range(rounds):
            costs.without.append(run_edge(pair, NO_OFFLOAD, seconds).frames)
            answered, used = cloud.answered(), cpu_seconds(cloud.pid) or 0.0
            run = run_edge(pair, cloud_at(cloud.port), seconds)
            each = ((cpu_seconds(cloud.pid) or 0.0) - used) / max(cloud.answered() - answered, 1)
            costs.with_it.append(run.frames)
            costs.offloaded.append(run.offloaded)
            costs.cloud_share.append(each * run.offloaded / core_count())
    return costs


def measure_saturation(pair: Pair, rounds: int, seconds: float, folder: Path) -> Saturation:
    """Measure the three in turn, with a core for each of the two workers."""
    figures = Saturation()
    jpegs = [encode_jpeg(picture, 85) for picture in take(pair, PICTURES)]
    pictures = picture_files(folder / f"pictures-{pair.name}", jpegs)
    on_edge_cpu = (*TASKSET, str(EDGE_CPU))
    with worker(pair.big, jpegs[0], (*TASKSET, str(CLOUD_CPU))) as server:
        for _ in range(rounds):
            figures.alone.append(closed_loop(server, pictures, FULL, seconds, EDGE_CPU).per_second)
            with _edge_that_asks_nobody(pair, on_edge_cpu):
                figures.beside.append(closed_loop(server, pictures, FULL, seconds, EDGE_CPU).per_second)
            run = run_edge(pair, cloud_at(server.port, ALL_HARD), seconds, prefix=on_edge_cpu)
            figures.offloaded.append(run.offloaded)
            figures.edge.append(run.frames)
    return figures


def measure_depth(pair: Pair, rounds: int, seconds: float) -> tuple[list[EdgeRun], list[EdgeRun]]:
    """Return the runs at depth 1 and with the default settings, over a way of ROUND_TRIP_MS; every frame is hard."""
    one: list[EdgeRun] = []
    default: list[EdgeRun] = []
    with far_cloud(free_port(), 0.005) as cloud, running(locate(os.environ)) as proxy:
        link = proxy.link(cloud.port)
        link.delay(ROUND_TRIP_MS)
        single = cloud_at(link.port, ALL_HARD, OFFLOAD_IN_FLIGHT="1", OFFLOAD_WAITING="1")
        for _ in range(rounds):
            one.append(run_edge(pair, single, seconds))
            default.append(run_edge(pair, cloud_at(link.port, ALL_HARD), seconds))
    return one, default


def measure_upstream(pair: Pair, rounds: int, seconds: float) -> AgainstUpstream:
    """Measure both edges in turn: a cloud that refuses, and one that answers, with 30 % and with all of the frames hard."""
    figures = AgainstUpstream()
    with far_cloud(free_port(), FAR_S) as cloud:
        cases = {f"{name}, answered": (cloud.port, *how) for name, how in HARD.items()}
        cases |= {f"{name}, refused": (free_port(), *how) for name, how in HARD.items()}
        for _ in range(rounds):
            for name, (port, hard, share) in cases.items():
                ours = run_edge(pair, cloud_at(port, hard), seconds).frames
                figures.ours.setdefault(name, []).append(ours)
                figures.upstream.setdefault(name, []).append(_upstream(pair, port, share, max(seconds, UPSTREAM_S)))
    return figures


def _upstream(pair: Pair, port: int, share: float, seconds: float) -> float:
    command = [sys.executable, "-m", "tests.bench.offload.upstream_client"]
    command += [str(pair.clip), str(port), str(share), str(seconds)]
    environment = {**os.environ, **pair.little}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds + 120, check=True
    )
    return float(done.stdout.split()[-1])


class _edge_that_asks_nobody:  # noqa: N801 - a context, as a function would be
    """An edge worker in the background."""

    def __init__(self, pair: Pair, prefix: tuple[str, ...]) -> None:
        self._command = [*prefix, sys.executable, "-m", "workers.edge"]
        passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._environment = {
            **passed, **pair.little, **NO_OFFLOAD, "video_url": str(pair.clip), "SOURCE_REPEAT": "0",
        }  # fmt: skip

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
