"""Whole simulations: nothing is lost uncounted, theory holds where there is one, autoscalers do what they are for."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.autoscaler import Goals
from sedna_py.metrics import names
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.offloading import Link, Offloader
from sedna_py.simulation.outcome import Outcome, percentile, steps
from sedna_py.simulation.pods import CloudPods
from sedna_py.simulation.service import Surroundings, WorkerSize, simulate
from sedna_py.simulation.station import Shape
from sedna_py.simulation.trace import Trace, trace_of_rates

SIZES = Surroundings(
    edge=WorkerSize(service_s=0.04, line=16, spread=0.0), cloud=WorkerSize(service_s=0.1, line=64, spread=0.0)
)


def load(*rows: str, kind: str = "frames_per_second,hard_share") -> Trace:
    return trace_of_rates([f"seconds,{kind}", *rows], random.Random(5))


def requests(*rows: str) -> Trace:
    return load(*rows, kind="requests_per_second")


def goals(signal: str, target: str, most: int = 6, down_s: int = 60) -> Goals:
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": signal}, "target": {"type": "AverageValue", "averageValue": target}},
    }
    behavior = {"scaleDown": {"stabilizationWindowSeconds": down_s}}
    block = Hpa.model_validate({"maxReplicas": most, "metrics": [metric], "behavior": behavior})
    return Goals(block, {signal: float(target)})


def counted(outcome: Outcome) -> int:
    return sum(outcome.answers.values()) + sum(outcome.lost.values())


@pytest.mark.parametrize("seed", range(5))
def test_everything_that_came_is_answered_or_lost_once(seed: int) -> None:
    trace = load("0,5,0.2", "30,80,0.6", "60,0,0", "70,20,1", "90,0,0")
    around = replace(SIZES, goals={role: goals(names.SIGNAL_DEMAND, "0.8") for role in Role})
    outcome = simulate(trace, around, seed)
    assert outcome.arrived == len(trace.arrivals) == counted(outcome)
    assert outcome.answers["fallback"] == sum(outcome.fallbacks.values()) > 0
    assert outcome.lost["buffer_full"] > 0
    assert len(outcome.total_s) == sum(outcome.answers.values())


def test_the_same_seed_gives_the_same_outcome() -> None:
    trace = load("0,40,0.5", "60,0,0")
    around = replace(SIZES, edge=replace(SIZES.edge, spread=0.5), cloud=replace(SIZES.cloud, spread=0.5))
    once, again, other = (simulate(trace, around, seed).as_json() for seed in (1, 1, 2))
    assert once == again != other


def test_one_pod_waits_as_theory_has_it() -> None:
    """M/D/1 at 80 %: on the average 2 service times of waiting; the 95th percentile is about 6.6 (tabulated)."""
    outcome = simulate(requests("0,8", "3000,0"), SIZES, 1)
    assert not outcome.lost
    assert sum(outcome.cloud_s) / len(outcome.cloud_s) == pytest.approx(0.3, rel=0.15)


def test_a_full_line_is_answered_429_as_often_as_it_must() -> None:
    outcome = simulate(requests("0,20", "300,0"), SIZES, 1)
    assert outcome.lost["overloaded"] == pytest.approx(3000, rel=0.1)  # ten a second can be done
    assert percentile(outcome.cloud_s, 50) == pytest.approx(6500, rel=0.1)  # 64 in line, and itself


def test_requests_do_not_wait_beyond_their_time() -> None:
    outcome = simulate(requests("0,20", "300,0"), replace(SIZES, request_timeout_s=2.0), 1)
    assert max(outcome.cloud_s) <= 2.1 + 0.1  # one that was begun is ended


def test_frames_that_are_too_old_are_dropped() -> None:
    slow = replace(SIZES, edge=WorkerSize(service_s=0.5, line=64, spread=0.0))
    outcome = simulate(load("0,10,0", "60,0,0"), slow, 1)
    assert outcome.lost["too_old"] > 300
    assert max(outcome.total_s) <= 1.5


def test_the_edge_never_waits_for_a_slow_cloud() -> None:
    slow = replace(SIZES, cloud=WorkerSize(service_s=5.0))
    outcome = simulate(load("0,20,1", "60,0,0"), slow, 1)
    assert max(outcome.total_s) <= 2.0 + 1.0
    assert outcome.fallbacks["queue_full"] > outcome.fallbacks["deadline_exceeded"] > 0
    assert counted(outcome) == outcome.arrived


def test_an_autoscaler_by_demand_ends_the_drops() -> None:
    trace = requests("0,5", "60,35", "600,0")
    scaled = simulate(trace, replace(SIZES, goals={Role.CLOUD: goals(names.SIGNAL_DEMAND, "0.8")}), 1)
    alone = simulate(trace, SIZES, 1)
    assert scaled.most_replicas(Role.CLOUD) in {5, 6}
    assert sum(alone.lost.values()) > 10_000
    assert [at for at in scaled.drops if at > 150] == []
    assert alone.mean_replicas(Role.CLOUD) == 1.0


def test_replicas_follow_a_rate_and_go_back_after_the_window() -> None:
    """35 requests a second at a target of 8: 4.4 pods; four are within the tolerance."""
    around = replace(SIZES, goals={Role.CLOUD: goals(names.SIGNAL_RPS, "8", down_s=120)})
    outcome = simulate(requests("0,5", "60,35", "400,5", "800,0"), around, 1)
    history = outcome.replicas[Role.CLOUD]
    assert [count for at, count in history if at < 400][-1] in {4, 5}
    assert history[-1][1] == 1
    first_down = next(at for at, count in history if at > 400 and count < 4)
    assert 400 + 120 <= first_down <= 400 + 120 + 60 + 30  # the windows add up


def test_pods_start_in_the_time_that_each_takes() -> None:
    cloud = replace(SIZES.cloud, start_s=1.0, first_starts_s=(20.0,) * 6)
    around = replace(SIZES, cloud=cloud, goals={Role.CLOUD: goals(names.SIGNAL_DEMAND, "0.8")})
    trace = requests("0,5", "60,35", "100,0")
    late, early = (
        simulate(trace, one, 1) for one in (around, replace(around, cloud=replace(cloud, first_starts_s=())))
    )
    assert late.replicas[Role.CLOUD][1] == early.replicas[Role.CLOUD][1]
    assert sum(late.lost.values()) > 1.5 * sum(early.lost.values())


def test_cpu_is_the_share_of_busy_streams() -> None:
    block = Hpa.model_validate({"maxReplicas": 5})
    around = replace(SIZES, goals={Role.CLOUD: Goals(block, cpu_request=1000)})
    outcome = simulate(requests("0,20", "400,0"), around, 1)  # work for two pods, at 80 % each
    assert outcome.replicas[Role.CLOUD][-1][1] in {3, 4}
    unknown = replace(SIZES, goals={Role.CLOUD: Goals(block)})
    assert simulate(requests("0,20", "100,0"), unknown, 1).most_replicas(Role.CLOUD) == 1


def test_the_early_warning_is_earlier() -> None:
    metric: dict[str, Any] = {
        "type": "Object",
        "object": {
            "describedObject": {"kind": "JointInferenceService", "name": "s"},
            "metric": {"name": names.SIGNAL_EXPECTED_CLOUD_LOAD},
            "target": {"type": "AverageValue", "averageValue": "700m"},
        },
    }
    queue = goals(names.SIGNAL_QUEUE_DEPTH, "8")
    block = queue.block.model_dump(by_alias=True, exclude_none=True)
    early = Goals(Hpa.model_validate({**block, "metrics": [*block["metrics"], metric]}), queue.targets)
    trace = load("0,5,0.5", "100,11,0.9", "300,0,0")
    firsts = []
    for wanted in (early, queue):
        outcome = simulate(trace, replace(SIZES, goals={Role.CLOUD: wanted}), 1)
        firsts.append(next((at for at, count in outcome.replicas[Role.CLOUD] if count > 1), 300.0))
    assert firsts[0] <= 121
    assert firsts[0] < firsts[1]


def test_edge_replicas_share_the_frames() -> None:
    around = replace(SIZES, goals={Role.EDGE: goals(names.SIGNAL_DEMAND, "0.8")})
    outcome = simulate(load("0,60,0", "300,0,0"), around, 1)  # 25 frames/s each
    assert outcome.replicas[Role.EDGE][-1][1] in {3, 4}
    assert len([at for at in outcome.drops if at > 120]) < 10  # chance may fill a buffer


def test_without_pods_that_are_ready_the_edge_answers() -> None:
    starting = replace(SIZES, cloud=replace(SIZES.cloud, replicas=0), link=Link(deadline_s=1.0))
    outcome = simulate(load("0,10,1", "20,0,0"), starting, 1)
    assert outcome.answers["fallback"] == outcome.arrived == sum(outcome.fallbacks.values())
    assert set(outcome.fallbacks) == {"connect_failed", "circuit_open"}
    assert outcome.fallbacks["connect_failed"] < 20  # five open the circuit, and then one every second or two is a try


def test_a_pod_that_goes_ends_what_was_on_its_way() -> None:
    """A pod goes every time that its load does; the edge learns of that up to a second later."""
    around = replace(SIZES, goals={Role.CLOUD: goals(names.SIGNAL_RPS, "4", down_s=0)})
    trace = load(*(f"{60 * turn},{20 if turn % 2 else 1},1" for turn in range(10)), "600,0,0")
    outcome = simulate(trace, around, 1)
    assert len([1 for (_, before), (_, after) in pairwise(outcome.replicas[Role.CLOUD]) if after < before]) >= 4
    assert not {"connect_failed", "connection_lost", "circuit_open"} & set(outcome.fallbacks)


def test_a_pod_that_came_is_asked_once_the_edge_has_looked() -> None:
    clock, chance = Clock(), random.Random(1)
    cloud = CloudPods(clock, itertools.repeat(0.5), Shape(1, 1, 64, lambda: 10.0))
    cloud.begin(1)
    clock.run(0)
    way = Offloader(clock, cloud, Link(deadline_s=60, in_flight=8), chance)
    cloud.scale(2)
    clock.run(0.6)
    assert len(cloud.ready) == 2
    for _ in range(2):
        way.ask(lambda *_: None)
    clock.run(0.7)
    assert [station.present for station in map(cloud.station, ("cloud-0", "cloud-1"))] == [2, 0]
    clock.run(12)  # one answer: the window is three
    for _ in range(2):
        way.ask(lambda *_: None)
    clock.run(12.1)
    assert cloud.station("cloud-1").present == 2


def test_too_much_work_for_the_cloud_narrows_the_window() -> None:
    """Who is refused offers less, as the worker does; the answers come in half the deadline again."""
    small = replace(SIZES, cloud=WorkerSize(service_s=0.2, line=3))
    outcome = simulate(load("0,20,1", "200,0,0"), small, 1)
    assert outcome.answers["cloud"] == pytest.approx(1000, rel=0.05)
    assert 50 < outcome.fallbacks["overloaded"] < outcome.fallbacks["queue_full"] / 10


def test_steps_of_a_plot() -> None:
    assert steps([(0.0, 1), (5.0, 3)], 9.0) == [(0.0, 1.0), (5.0, 1.0), (5.0, 3.0), (9.0, 3.0)]
    assert steps([(0.0, 2)], 9.0) == [(0.0, 2.0), (9.0, 2.0)]
