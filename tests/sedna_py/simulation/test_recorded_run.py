"""A simulation against a recorded run of real workers: within 15 % in drops, replicas over time and p95.

The recording is made by `python -m tests.bench.scaling_run`; what it ran on stands in it.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.simulation.outcome import Outcome, percentile
from sedna_py.simulation.service import Surroundings, WorkerSize, simulate
from tests.bench import scaling_run

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "recorded_scaling.json").read_text(encoding="utf-8")
)
SEEDS = range(15)
NEAR = 0.15


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Return simulations that differ in which pod a request goes to; when it comes is recorded."""
    streams = int(RECORDED["streams"])
    cloud = WorkerSize(
        streams=streams,
        inside=1,
        line=scaling_run.WAITING,
        service_s=RECORDED["service_s"],
        spread=0.0,
        start_s=RECORDED["start_s"],
    )
    around = Surroundings(
        edge=WorkerSize(), cloud=cloud, goals={Role.CLOUD: scaling_run.goals()}, sync_s=scaling_run.SYNC_S
    )
    return [simulate(scaling_run.load(), around, seed) for seed in SEEDS]


def pod_seconds(changes: list[list[float]], end: float) -> float:
    ends = [*(at for at, _ in changes[1:]), end]
    return sum((until - at) * count for (at, count), until in zip(changes, ends, strict=True))


def test_all_requests_of_the_load_were_made() -> None:
    assert RECORDED["requests"] == len(scaling_run.load().arrivals)
    assert set(RECORDED["outcomes"]) == {"200", "429"}


def test_drops(outcomes: list[Outcome]) -> None:
    drops = statistics.mean(sum(outcome.lost.values()) for outcome in outcomes)
    assert drops == pytest.approx(RECORDED["outcomes"]["429"], rel=NEAR)


def test_replicas_over_time(outcomes: list[Outcome]) -> None:
    seconds = scaling_run.load().seconds
    recorded = pod_seconds(RECORDED["replicas"], seconds)
    simulated = statistics.mean(outcome.mean_replicas(Role.CLOUD) * seconds for outcome in outcomes)
    assert simulated == pytest.approx(recorded, rel=NEAR)
    most = statistics.median(outcome.most_replicas(Role.CLOUD) for outcome in outcomes)
    assert abs(most - max(count for _, count in RECORDED["replicas"])) <= 1


def test_p95(outcomes: list[Outcome]) -> None:
    p95 = statistics.mean(percentile(outcome.cloud_s, 95) or 0.0 for outcome in outcomes)
    assert p95 == pytest.approx(RECORDED["latency_ms"]["p95"], rel=NEAR)
