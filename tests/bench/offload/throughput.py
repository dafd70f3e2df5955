"""What offloading costs the edge, how much of a cloud worker it can use, and what requests at once do for a long way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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
    """The runs, one a round: without offload, and with 30 % of the frames sent to a far cloud."""

    without: list[EdgeRun] = field(default_factory=list)
    with_it: list[EdgeRun] = field(default_factory=list)


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


def model_input(pair: Pair) -> str:
    """Return what the pair's cloud worker says of its model's input, for a far cloud that stands for it."""
    with worker(pair.big, encode_jpeg(take(pair, 1)[0], 85)) as server:
        return server.model_input


def measure_costs(pair: Pair, rounds: int, seconds: float) -> Costs:
    """Measure with and without in turn."""
    costs = Costs()
    with far_cloud(free_port(), FAR_S, model_input=model_input(pair)) as cloud:
        for _ in range(rounds):
            costs.without.append(run_edge(pair, NO_OFFLOAD, seconds, others=[cloud.pid]))
            costs.with_it.append(run_edge(pair, cloud_at(cloud.port), seconds, others=[cloud.pid]))
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
    with far_cloud(free_port(), 0.005, model_input=model_input(pair)) as cloud, running(locate(os.environ)) as proxy:
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
    with far_cloud(free_port(), FAR_S, model_input=model_input(pair)) as cloud:
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
