"""Load on one server, from a process of its own: one phase after another over the parts of `sedna bench`.

    python -m tests.bench.serving.load < JOB > REPORTS

A peer's address is none of the two that `sedna bench` knows; and a phase has to follow the one before without a new process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sedna_py.load_test.dialling import make_dial
from sedna_py.load_test.loops import ClosedLoop, OpenLoop
from sedna_py.load_test.meter import Meter
from sedna_py.load_test.options import Arrivals
from sedna_py.load_test.pictures import load_pictures
from sedna_py.load_test.requests import Address
from sedna_py.load_test.runner import event_loop_factory
from sedna_py.load_test.samples import Latency
from sedna_py.load_test.schedule import due_times
from sedna_py.load_test.tally import Tally
from sedna_py.load_test.traffic import Dial, Limits
from tests.bench.http_load import request_bytes
from tests.bench.pairs import ROOT

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 30.0
MAX_REPLY_BYTES: Final = 1 << 20
LATE_S: Final = 60.0  # for a job beyond its phases


@dataclass(frozen=True, slots=True)
class Phase:
    """A closed loop over so many connections, or an open one with `rate` requests/s over at most so many."""

    connections: int
    seconds: float
    warm_up: float = 0.0
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of whom; `pid` is the server's, whose memory and processor time are read."""

    port: int
    path: str
    pictures: str
    phases: Sequence[Phase]
    pid: int | None = None
    cpu: int | None = None  # that the client is bound to


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the requests of one phase; memory in bytes, `begun` and `ended` by one clock in seconds."""

    begun: float
    ended: float
    per_second: float
    sent: int
    not_sent: int
    refused: int
    failed: dict[str, int]
    accepted: Latency | None  # milliseconds
    refusals: Latency | None
    late: Latency | None  # milliseconds that requests of an open loop were sent too late, which is in the others
    own_cpu_s: float
    answers_per_cpu_s: float | None
    rss_begin: int | None
    rss_end: int | None
    pss_end: int | None

    def accepted_ms(self) -> Latency:
        """Return the latencies of the accepted requests. Raises RuntimeError where there are none."""
        if self.accepted is None:
            raise RuntimeError(f"no request was answered well: {self.refused} refused, failed: {self.failed}")
        return self.accepted


def load(job: Job) -> list[Report]:
    """Run a job in a process of its own. Raises RuntimeError where that fails."""
    command = [sys.executable, "-m", "tests.bench.serving.load"]
    if job.cpu is not None:
        command = ["taskset", "--cpu-list", str(job.cpu), *command]
    patience = sum(phase.warm_up + phase.seconds + TIMEOUT_S for phase in job.phases) + LATE_S
    ended = subprocess.run(
        command, input=json.dumps(asdict(job)), capture_output=True, text=True, timeout=patience, cwd=ROOT
    )
    if ended.returncode:
        raise RuntimeError(f"the client failed: {ended.stderr.strip().splitlines()[-1:]}")
    return [read_report(given) for given in json.loads(ended.stdout)]


def read_report(given: dict[str, Any]) -> Report:
    """Return a report from its JSON."""
    return Report(
        **{**given, **{key: given[key] and Latency(**given[key]) for key in ("accepted", "refusals", "late")}}
    )


async def drive(job: Job) -> list[Report]:
    """Run the phases one after the other in this event loop."""
    pictures = load_pictures([Path(job.pictures)])
    requests = [request_bytes(job.path, "image/jpeg", picture) for picture in pictures]
    dial = await make_dial(Address(HOST, job.port, tls=False, path=""))
    return [await run(phase, requests, dial, job.pid) for phase in job.phases]


async def run(phase: Phase, requests: Sequence[bytes], dial: Dial, pid: int | None) -> Report:
    """Run one phase; wait for the last answers."""
    clock = time.perf_counter
    start = clock()
    begins = start + phase.warm_up
    tally = Tally(begins, begins + phase.seconds, seed=1)
    limits = Limits(TIMEOUT_S, MAX_REPLY_BYTES, phase.connections)
    if phase.rate is None:
        traffic = ClosedLoop(requests, dial, limits, tally, clock)
    else:
        due = (start + offset for offset in due_times(phase.rate, Arrivals.POISSON, seed=1))
        traffic = OpenLoop(requests, dial, limits, tally, clock, due)
    meter = Meter(pid)
    traffic.start()
    await asyncio.sleep(begins - clock())
    meter.begin()
    await asyncio.sleep(tally.ends - clock())
    meter.end()
    traffic.stop()
    await traffic.drained()
    await traffic.aclose()
    use = meter.server(tally.answered)
    return Report(
        tally.begins,
        tally.ends,
        tally.answered / phase.seconds,
        tally.sent,
        tally.not_sent,
        tally.refusals.total(),
        dict(tally.failures),
        tally.accepted.latency(),
        tally.refused.latency(),
        tally.lateness.latency(),
        meter.own_s,
        use and use.answers_per_cpu_s,
        use and use.rss_begin,
        use and use.rss_end,
        use and use.pss_end,
    )


def main() -> None:
    """Read a job, print its reports."""
    given = json.load(sys.stdin)
    if (
        given["cpu"] is not None
    ):  # where it has one to itself; where it shares them, it shall take no more than its share
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)  # late questions would count as late answers
    job = Job(**{**given, "phases": [Phase(**phase) for phase in given["phases"]]})
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        print(json.dumps([asdict(report) for report in runner.run(drive(job))]))


if __name__ == "__main__":
    main()
