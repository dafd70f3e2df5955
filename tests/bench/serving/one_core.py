"""Our worker on one cpu, and under a limit of one, against two: what a core is worth; and two such workers beside each other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.cgroups import cpu_group
from tests.bench.cpu_limit import OUR_CPU, WORKER_CPU
from tests.bench.serving.comparison import Loaded, closed_loop
from tests.bench.serving.limits import BenchModel
from tests.bench.serving.servers import TASKSET, Server, worker

CONNECTIONS: Final = 8


def why_not() -> str | None:
    """Return why this cannot be measured here, None if it can."""
    return "it takes a second cpu" if len(os.sched_getaffinity(0)) < 2 else None


def measure_one_core(model: BenchModel, pictures: Path, first: bytes, rounds: int, seconds: float) -> dict[str, Loaded]:
    """Return the figures of the worker on `one` cpu, on `two`, and `limited` to one where cgroups can be made; in turn.

    Who asks has the second cpu where the worker has only one; where it has both, they share them. So answers are counted by the
    worker's own processor time there.
    """
    with ExitStack() as running:
        prefixes = {"one": (*TASKSET, str(WORKER_CPU)), "two": (*TASKSET, f"{WORKER_CPU},{OUR_CPU}")}
        try:
            prefixes["limited"] = tuple(running.enter_context(cpu_group(1)).command())
        except OSError as error:
            print(f"    under a limit of one cpu: not measured, no cgroup can be made ({error.strerror})")
        servers = {
            name: running.enter_context(worker(model.environment, first, prefix)) for name, prefix in prefixes.items()
        }
        figures = {name: Loaded() for name in servers}
        for _ in range(rounds):
            for name, server in servers.items():
                cpu = None if name == "two" else OUR_CPU
                figures[name].add(closed_loop(server, pictures, CONNECTIONS, seconds, cpu))
    return figures


def measure_two_pods(
    model: BenchModel, pictures: Path, first: bytes, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return answers/s of one worker under a limit of one cpu, and of two such together; in turn. Raises OSError without cgroups.

    Nothing is bound to a cpu, as on a node; who asks shares them.
    """
    with ExitStack() as running:
        pods = [
            running.enter_context(
                worker(model.environment, first, tuple(running.enter_context(cpu_group(1)).command()))
            )
            for _ in range(2)
        ]

        def per_second(servers: list[Server]) -> float:
            with ThreadPoolExecutor(len(servers)) as askers:
                reports = askers.map(lambda server: closed_loop(server, pictures, CONNECTIONS, seconds), servers)
                return sum(report.per_second for report in reports)

        found: dict[str, list[float]] = {"one": [], "both": []}
        for _ in range(rounds):
            found["one"].append(per_second(pods[:1]))
            found["both"].append(per_second(pods))
    return found
