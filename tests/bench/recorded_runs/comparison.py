"""Simulations of a recorded run beside it: what `sedna simulate trace` is told is told here."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sedna_py.api.child_names import Role
from sedna_py.local.manifests import load_manifests
from sedna_py.local.simulate_service import SimulationOptions, surroundings
from sedna_py.simulation.outcome import Outcome, percentile
from sedna_py.simulation.service import simulate
from sedna_py.simulation.trace import Timings
from tests.bench.recorded_runs.runs import FOLDER, RUNS, SYNC_S

SEEDS: Final = range(10)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run: as it was recorded, and of simulations that differ by chance."""

    name: str
    recorded: float
    simulated: list[float]

    @property
    def mean(self) -> float:
        return statistics.mean(self.simulated)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.simulated)


def recordings() -> dict[str, dict[str, Any]]:
    """Return all that there are, by the name of their file."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}


def figures(found: dict[str, Any]) -> list[Figure]:
    """Return drops, pod seconds and p95 of a recording and of its simulations."""
    outcomes, seconds = simulated(found), RUNS[found["run"]].load().seconds

    def figure(name: str, recorded: float, of: Callable[[Outcome], float]) -> Figure:
        return Figure(name, recorded, [of(outcome) for outcome in outcomes])

    def told() -> Iterator[Figure]:
        if "lost" in found:
            yield figure("lost at the edge", sum(found["lost"].values()), lambda one: sum(one.lost.values()))
            yield figure("kept the edge's", sum(found["fallbacks"].values()), lambda one: sum(one.fallbacks.values()))
        else:
            yield figure("refused", found["outcomes"]["429"], lambda one: sum(one.lost.values()))
        if RUNS[found["run"]].hpa:
            pods = pod_seconds(found["replicas"], seconds)
            yield figure("pod seconds", pods, lambda one: one.mean_replicas(Role.CLOUD) * seconds)
        yield figure("p95, ms", found["latency_ms"]["p95"], lambda one: percentile(one.total_s, 95) or 0.0)

    return list(told())


def simulated(found: dict[str, Any]) -> list[Outcome]:
    """Return simulations that differ by chance alone; when what comes is recorded."""
    run = RUNS[found["run"]]
    load = run.load()
    if load.edge:  # by what the decision log said
        log = found["log"]
        load = replace(load, timings=Timings(log["edge_s"], log["cloud_s"], log["edge_spread"], log["cloud_spread"]))
    options = SimulationOptions(
        cloud_s=None if load.edge else found["cloud_s"],
        spread=None if load.edge else run.cloud_spread,
        streams={Role.CLOUD: run.streams},
        start_s=found["start_s"] or 0.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "service.yaml"
        file.write_text(run.service(), encoding="utf-8")
        around = surroundings(load_manifests([file]).services[0], load, options)
    # Pods that start at once take longer than one alone, where they share processors.
    cloud = replace(around.cloud, first_starts_s=found["starts_s"])
    return [simulate(load, replace(around, cloud=cloud, sync_s=SYNC_S), seed) for seed in SEEDS]


def pod_seconds(changes: list[list[float]], end: float) -> float:
    """Return the integral of the replicas over time."""
    ends = [*(min(at, end) for at, _ in changes[1:]), end]
    return sum((until - at) * count for (at, count), until in zip(changes, ends, strict=True))


def apart(found: dict[str, Any]) -> float:
    """Return the area between the replicas over time, recorded and simulated, as a part of the recorded pod seconds: the mean."""
    recorded, seconds = found["replicas"], RUNS[found["run"]].load().seconds
    return statistics.mean(
        _between(recorded, outcome.replicas[Role.CLOUD], seconds) for outcome in simulated(found)
    ) / pod_seconds(recorded, seconds)


def _between(one: list[list[float]], other: list[tuple[float, int]], end: float) -> float:
    moments = sorted({0.0, end, *(min(at, end) for at, _ in (*one, *other))})
    return sum((until - at) * abs(_at(one, at) - _at(other, at)) for at, until in pairwise(moments))


def _at(changes: Sequence[Sequence[float]], moment: float) -> float:
    return [count for at, count in changes if at <= moment or at == changes[0][0]][-1]


def table() -> Iterator[str]:
    """Return the lines of a table in Markdown."""
    yield "| Recording | load average | drops | pod seconds | area between | p95, ms |"
    yield "|---|---|---|---|---|---|"
    for name, found in recordings().items():
        between = f"{100 * apart(found):.0f} %" if RUNS[found["run"]].hpa else ""
        cells: dict[str, list[str]] = {"drops": [], "pod seconds": [], "area": [between], "p95, ms": []}
        for one in figures(found):
            kind = one.name if one.name in cells else "drops"
            label = "" if one.name in cells else f"{one.name} "
            off = 100 * (one.mean / one.recorded - 1)
            cells[kind].append(f"{label}{one.recorded:.0f}, {one.mean:.0f} ± {one.deviation:.0f} ({off:+.0f} %)")
        load = found["provenance"].get("load average", ["not noted"])[0]
        yield f"| {name} | {load} | " + " | ".join("; ".join(cell) for cell in cells.values()) + " |"
