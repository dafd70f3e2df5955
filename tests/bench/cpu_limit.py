"""A container's cpu limit: the cloud worker under a quota of one cpu against the same worker pinned to one.

The workers run at the same time and are asked in turn, so that what else the machine does falls on all of them alike. Who asks
has the other cpu.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sedna_py.local.ports import free_port
from sedna_py.protocol.media_types import JPEG
from tests.bench.cgroups import Group, cpu_group
from tests.bench.cloud import take, wait_ready
from tests.bench.http_load import closed_loop, open_loop, request_bytes
from tests.bench.pairs import ROOT, Pair
from workers.inference.image_codec import encode_jpeg

CLIENTS = 4
CLOSED_S, OPEN_S = 2.0, 6.0
PICTURES = 60
WORKER_CPU, OUR_CPU = 0, 1
CPUS = os.cpu_count() or 1


@dataclass(frozen=True)
class LimitedWorker:
    """How one of the compared workers runs."""

    limit: float | None = None
    pinned: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


WORKERS: Mapping[str, LimitedWorker] = {
    "pinned": LimitedWorker(pinned=True),
    "limited": LimitedWorker(limit=1),
    # What it would do without looking at the limit.
    "host_sized": LimitedWorker(limit=1, environment={"INFERENCE_THREADS": str(CPUS)}),
}


@dataclass(frozen=True)
class LimitFigures:
    """One figure a round: answers/s at full load; milliseconds, and the part of periods that were cut short, at half load."""

    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)


def why_not() -> str | None:
    """Return why this cannot be measured here, None if it can."""
    if CPUS < 2:
        return "it takes a second cpu to ask from"
    try:
        with cpu_group(1):
            return None
    except OSError as error:
        return f"no cgroup can be made: {error.strerror}; run it as root, where the cpu controller is writable"


def measure_cpu_limit(pair: Pair, rounds: int) -> dict[str, LimitFigures]:
    """Return the figures of each worker, measured in turn."""
    requests = [request_bytes("/sedna/predict", JPEG, encode_jpeg(picture, 85)) for picture in take(pair, PICTURES)]
    figures = {name: LimitFigures() for name in WORKERS}
    with ExitStack() as running:
        started = {name: running.enter_context(_running(pair, how)) for name, how in WORKERS.items()}
        running.enter_context(_on_our_cpu())
        for number in range(rounds + 1):  # the first one warms everything up
            for name, (port, group) in started.items():
                _measure(port, group, requests, figures[name] if number else LimitFigures())
    return figures


def _measure(port: int, group: Group, requests: list[bytes], figures: LimitFigures) -> None:
    rate = asyncio.run(closed_loop(port, requests, CLIENTS, CLOSED_S))
    before = group.throttling()
    spent = sorted(asyncio.run(open_loop(port, requests, rate / 2, OPEN_S)))
    after = group.throttling()
    figures.per_second.append(rate)
    figures.p50_ms.append(spent[len(spent) // 2])
    figures.p99_ms.append(spent[int(len(spent) * 0.99)])
    figures.throttled.append((after.throttled - before.throttled) / max(after.periods - before.periods, 1))


@contextmanager
def _running(pair: Pair, how: LimitedWorker) -> Iterator[tuple[int, Group]]:
    port = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **pair.big,
        **how.environment,
        "BIG_MODEL_BIND_IP": "127.0.0.1",
        "BIG_MODEL_BIND_PORT": str(port),
        "LAME_DUCK_S": "0",
    }
    program = [sys.executable, "-m", "workers.cloud"]
    if how.pinned:
        program = ["taskset", "--cpu-list", str(WORKER_CPU), *program]
    with cpu_group(how.limit) as group:
        process = subprocess.Popen(group.command(*program), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_ready(port, process)
            yield port, group
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@contextmanager
def _on_our_cpu() -> Iterator[None]:
    cpus, priority = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setaffinity(0, {OUR_CPU})
    os.setpriority(os.PRIO_PROCESS, 0, -20)  # late questions would count as late answers
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)
        os.setpriority(os.PRIO_PROCESS, 0, priority)
