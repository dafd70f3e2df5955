"""Answers per second, latencies and memory: our worker, its limits and its peers, in turn in each round."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Final

from tests.bench.serving.environments import PACKAGES, NoPeer
from tests.bench.serving.limits import BenchModel
from tests.bench.serving.load import Job, Phase, Report, load
from tests.bench.serving.servers import OURS, NotServing, Server, peer, worker

CONNECTIONS: Final = (32, 8, 64)  # the one that is judged right after the limit
WARM_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server under so many connections; each list has one figure a round: answers/s, milliseconds, bytes."""

    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    pss: list[float] = field(default_factory=list)
    answers_per_cpu_s: list[float] = field(default_factory=list)
    bad: list[float] = field(default_factory=list)  # refused or failed

    def add(self, report: Report) -> None:
        """Take the figures of one round."""
        latency = report.accepted_ms()
        self.per_second.append(report.per_second)
        self.p50.append(latency.p50)
        self.p95.append(latency.p95)
        self.p99.append(latency.p99)
        self.pss.append(float(report.pss_end or 0))
        self.answers_per_cpu_s.append(report.answers_per_cpu_s or 0.0)
        self.bad.append(float(report.refused + sum(report.failed.values())))


@dataclass(frozen=True, slots=True)
class Limits:
    """Pictures or inferences per second, one figure a round; `threads` fed the first two."""

    threads: int
    boxes: list[float] = field(default_factory=list)
    boxes_per_cpu_s: list[float] = field(default_factory=list)
    no_boxes: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)  # benchmark_app


@dataclass(frozen=True, slots=True)
class Compared:
    """The figures of one model: `servers` by name and number of connections; `absent` are peers and why."""

    limits: Limits
    servers: dict[str, dict[int, Loaded]]
    absent: dict[str, str]


def compare(
    model: BenchModel,
    pictures: Path,
    first: bytes,
    rounds: int,
    seconds: float,
    *,
    connections: Sequence[int] = CONNECTIONS,
    peers: Sequence[str] = tuple(PACKAGES),
) -> Compared:
    """Measure everything in turn, `rounds` times; each server is running all the while, and idle when it is not its turn."""
    limits = Limits(model.best_threads(pictures, min(seconds, 2.0)))
    absent: dict[str, str] = {}
    with ExitStack() as running:
        servers = [running.enter_context(worker(model.environment, first))]
        for name in peers:
            try:
                servers.append(running.enter_context(peer(name, model.environment, first)))
            except (NoPeer, NotServing) as problem:
                absent[name] = str(problem)
        _require_same_answers(servers)
        figures = {server.name: {number: Loaded() for number in connections} for server in servers}
        for _ in range(rounds):
            bare = [model.per_second(seconds)]
            limits.no_boxes.append(model.without_http(pictures, seconds, limits.threads, boxes=False)[0])
            per_second, per_cpu_s = model.without_http(pictures, seconds, limits.threads, boxes=True)
            limits.boxes.append(per_second)
            limits.boxes_per_cpu_s.append(per_cpu_s)
            for number in connections:
                for server in servers:
                    figures[server.name][number].add(closed_loop(server, pictures, number, seconds))
            bare.append(model.per_second(seconds))
            # Before and after the others: the machine's speed moves within minutes.
            limits.bare.append(mean(bare))
    return Compared(limits, figures, absent)


def closed_loop(server: Server, pictures: Path, connections: int, seconds: float, cpu: int | None = None) -> Report:
    """Return what a server answers while each connection sends as soon as its last request is answered."""
    phase = Phase(connections, seconds, WARM_S)
    return load(Job(server.port, server.path, str(pictures), [phase], server.pid, cpu))[0]


def best_peer(compared: Compared, number: int, figure: str) -> list[float]:
    """Return the figures, round by round, of the peer whose median is the best: the lowest `p99`, the highest of anything else.

    The best of each round would be whoever had the most luck in it.
    """
    rows = [getattr(loaded[number], figure) for name, loaded in compared.servers.items() if name != OURS]
    best: list[float] = (min if figure == "p99" else max)(rows, key=median)
    return best


def _require_same_answers(servers: Sequence[Server]) -> None:
    """Raise NotServing where a server finds other numbers of boxes than ours in the same picture: it would do other work."""
    for server in servers:
        if server.boxes != servers[0].boxes:
            raise NotServing(f"{server.name} finds {server.boxes} boxes where ours finds {servers[0].boxes}")
