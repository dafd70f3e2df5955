"""The edge under each fault of tests/faults/bad_links.py over the same edge with a good link, measured in turn.

Twice each: as fast as the edge can go, for its rate, and at a camera's pace, for the time until the little model's answer.
At full speed that time is the length of the queue in front of the model, whatever the link is like.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sedna_py.local.ports import free_port
from tests.bench.offload.edge_run import EdgeRun, cloud_at, run_edge
from tests.bench.offload.throughput import model_input
from tests.bench.pairs import Pair
from tests.faults.bad_links import FAULTS, FLAPPING, fault
from tests.faults.far_cloud import far_cloud
from tests.faults.program import locate
from tests.faults.toxiproxy import running

FAR_S: Final = 0.05
PACE_SHARE: Final = 0.4  # of what the edge can do: a camera that leaves it room
PERIOD_S: Final = 5.0
ALL: Final = (*FAULTS, FLAPPING)


@dataclass(frozen=True, slots=True)
class UnderFault:
    """The runs of one fault, one of each kind a round, and those with a good link just before."""

    fast: list[EdgeRun] = field(default_factory=list)
    paced: list[EdgeRun] = field(default_factory=list)
    healthy_fast: list[EdgeRun] = field(default_factory=list)
    healthy_paced: list[EdgeRun] = field(default_factory=list)


def measure_outages(pair: Pair, rounds: int, seconds: float, names: Sequence[str]) -> dict[str, UnderFault]:
    """Return the figures of each fault; 30 % of the frames are hard."""
    found: dict[str, UnderFault] = {}
    with far_cloud(free_port(), FAR_S, model_input=model_input(pair)) as cloud, running(locate(os.environ)) as proxy:
        link = proxy.link(cloud.port)
        environment, others = cloud_at(link.port), [cloud.pid, proxy.pid]
        pace = PACE_SHARE * run_edge(pair, environment, seconds).frames
        for _ in range(rounds):
            for name in names:
                figures = found.setdefault(name, UnderFault())
                figures.healthy_fast.append(run_edge(pair, environment, seconds, others=others))
                figures.healthy_paced.append(run_edge(pair, environment, seconds, pace=pace))
                with fault(name, link, cloud, PERIOD_S):
                    figures.fast.append(run_edge(pair, environment, seconds, others=others))
                    figures.paced.append(run_edge(pair, environment, seconds, pace=pace))
    return found
