"""Ten times more than the worker can answer: what that does to those who are answered, and how long it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.cpu_limit import OUR_CPU, WORKER_CPU
from tests.bench.serving.comparison import closed_loop
from tests.bench.serving.limits import BenchModel
from tests.bench.serving.load import Job, Phase, Report, load
from tests.bench.serving.servers import TASKSET, Server, worker

SHARE: Final = 0.8  # of what it can answer: the load before and after
TIMES: Final = 10.0
FULL: Final = 32  # connections at which it answers the most
CONNECTIONS: Final = 1024  # that an open loop may use
SLICE_S: Final = 0.5  # in which the time after is looked at
AFTER_S: Final = 10.0
OPENED_S: Final = 8.0  # in which the connections of an overload are opened, where that is not to be counted
TAIL: Final = 2.0  # times the p95 before: no longer that is normal
MORE_REFUSED: Final = 0.05  # part of the requests beyond twice the part before


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The figures of one run: requests/s, milliseconds, bytes; `recovered_s` None: not within AFTER_S."""

    most: float
    max_wait_ms: int
    offered: float  # that were really sent
    before_p99: float
    during_p99: float
    during_per_second: float
    refused_p50: float | None
    refused_p99: float | None
    kept_p99: float  # of the accepted in a second overload, whose connections were all there when counting began
    kept_refused_p50: float | None
    failed: int
    own_cpu: float  # that who asks needed during the overload
    not_sent: int  # because all connections were busy
    rss_begin: int
    rss_end: int
    recovered_s: float | None
    refused_before: float  # part of the requests
    late_p99: float  # of who asks, during the overload: in the other figures, and not of the worker's making
    after: list[dict[str, float]]  # the slices behind it


def overload(
    model: BenchModel, pictures: Path, first: bytes, calm_s: float, seconds: float, *, apart: bool
) -> Overloaded:
    """Measure once: what it can answer, its median at SHARE of that, then calm, `seconds` of overload, and calm again.

    `apart`: the worker has one cpu, who asks has another. Else they share all that there are, and ten times too much is a load
    of its own on them.
    """
    prefix, cpu = ((*TASKSET, str(WORKER_CPU)), OUR_CPU) if apart else ((), None)
    with worker(model.environment, first, prefix) as server:
        most = closed_loop(server, pictures, FULL, calm_s, cpu).per_second
        steady = _phases(server, pictures, cpu, [Phase(CONNECTIONS, calm_s, 1.0, SHARE * most)])
    max_wait_ms = max(round(steady[0].accepted_ms().p50), 1)
    phases = [
        Phase(CONNECTIONS, calm_s, 1.0, SHARE * most),
        Phase(CONNECTIONS, seconds, 0.0, TIMES * most),
        *[Phase(CONNECTIONS, SLICE_S, 0.0, SHARE * most)] * round(AFTER_S / SLICE_S),
        Phase(CONNECTIONS, seconds, OPENED_S, TIMES * most),
    ]
    with worker(model.environment, first, prefix, MAX_WAIT_MS=str(max_wait_ms)) as server:
        before, during, *after, kept = _phases(server, pictures, cpu, phases)
    refusals = during.refusals
    return Overloaded(
        most,
        max_wait_ms,
        during.sent / seconds,
        before.accepted_ms().p99,
        during.accepted_ms().p99,
        during.per_second,
        refusals and refusals.p50,
        refusals and refusals.p99,
        kept.accepted_ms().p99,
        kept.refusals and kept.refusals.p50,
        sum(during.failed.values()) + sum(kept.failed.values()),
        during.own_cpu_s / seconds,
        during.not_sent,
        during.rss_begin or 0,
        during.rss_end or 0,
        recovery_s(before, after, during.ended),
        refused_share(before),
        during.late.p99 if during.late else 0.0,
        [
            {
                "ended": found.ended - during.ended,
                "refused": refused_share(found),
                "p50": found.accepted.p50 if found.accepted else -1.0,
                "p95": found.accepted.p95 if found.accepted else -1.0,
            }
            for found in after
        ],
    )


def recovery_s(before: Report, after: Sequence[Report], ended: float) -> float | None:
    """Return the seconds from the end of the overload to the end of the first slice that is as it was before."""
    return next((found.ended - ended for found in after if is_normal(found, before)), None)


def is_normal(found: Report, before: Report) -> bool:
    """Return whether a slice of time is as it was: hardly more refused, no failure, no longer tail."""
    if found.failed or found.accepted is None:
        return False
    more = refused_share(found) - 2 * refused_share(before)
    return more <= MORE_REFUSED and found.accepted.p95 <= TAIL * before.accepted_ms().p95


def refused_share(report: Report) -> float:
    """Return the part of the requests that was refused."""
    return report.refused / max(report.sent, 1)


def _phases(server: Server, pictures: Path, cpu: int | None, phases: Sequence[Phase]) -> list[Report]:
    return load(Job(server.port, server.path, str(pictures), phases, server.pid, cpu))
