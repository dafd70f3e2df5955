"""Run a load test: warm up, count, wait for the last answers, report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sedna_py.load_test import processes
from sedna_py.load_test.dialling import make_dial
from sedna_py.load_test.loops import ClosedLoop, OpenLoop
from sedna_py.load_test.meter import Meter
from sedna_py.load_test.options import LoadOptions, check
from sedna_py.load_test.report import LoadReport
from sedna_py.load_test.requests import build_requests, parse_url
from sedna_py.load_test.samples import MAX_SAMPLES, Latency
from sedna_py.load_test.schedule import due_times
from sedna_py.load_test.tally import Tally
from sedna_py.load_test.traffic import Dial, Limits, Traffic
from sedna_py.settings import redact

LATE_MS: Final = 5.0  # p99; a timer alone is late by up to one
BUSY_SHARE: Final = 0.9  # of one processor, which is all that one event loop can use


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the leanest event loop here: uvloop's if that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run_to_end(options: LoadOptions) -> LoadReport:
    """Run in an event loop of its own, until the end or Ctrl-C. Raises SettingsError."""
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(run(options))


async def run(options: LoadOptions, *, clock: Callable[[], float] = time.perf_counter) -> LoadReport:
    """Run a load test in the caller's event loop; cancelled, it returns the report so far.

    Raises SettingsError for unusable options and an unknown host. A server that cannot be reached is no error: it is counted.
    """
    check(options)
    address = parse_url(options.url)
    requests = build_requests(options, address)
    if options.pid is not None:
        processes.require_process(options.pid)
    dial = await make_dial(address)
    begins = clock() + options.warmup_s
    tally = Tally(begins, begins + options.seconds, options.seed)
    traffic = _traffic(options, requests, dial, tally, clock)
    meter = Meter(options.pid)
    interrupted = False
    try:
        traffic.start()
        await _until(tally.begins, clock)
        meter.begin()
        await _until(tally.ends, clock)
        meter.end()
        traffic.stop()
        await traffic.drained()
    except asyncio.CancelledError:
        interrupted = True
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()  # it is dealt with: the report follows
    finally:
        meter.end()
        seconds = min(max(clock() - tally.begins, 0.0), options.seconds)
        await traffic.aclose()
    return _report(options, traffic, meter, seconds, interrupted=interrupted)


async def _until(moment: float, clock: Callable[[], float]) -> None:
    while (left := moment - clock()) > 0:  # noqa: ASYNC110 - uvloop's timers may be half a millisecond early
        await asyncio.sleep(left)


def _traffic(
    options: LoadOptions, requests: list[bytes], dial: Dial, tally: Tally, clock: Callable[[], float]
) -> Traffic:
    if options.rate is None:
        limits = Limits(options.timeout_s, options.max_reply_bytes, options.connections)
        return ClosedLoop(requests, dial, limits, tally, clock)
    limits = Limits(options.timeout_s, options.max_reply_bytes, options.max_connections)
    start = tally.begins - options.warmup_s
    due = (start + offset for offset in due_times(options.rate, options.arrivals, options.seed))
    return OpenLoop(requests, dial, limits, tally, clock, due)


def _report(options: LoadOptions, traffic: Traffic, meter: Meter, seconds: float, *, interrupted: bool) -> LoadReport:
    tally = traffic.tally
    lateness = tally.lateness.latency()
    return LoadReport(
        title=_title(options),
        seconds=seconds,
        interrupted=interrupted,
        sent=tally.sent,
        not_sent=tally.not_sent,
        unfinished=tally.unfinished,
        ok=tally.accepted.count,
        refused=dict(tally.refusals.most_common()),
        failures=dict(tally.failures.most_common()),
        answers_per_s=tally.answered / seconds if seconds else 0.0,
        accepted_ms=tally.accepted.latency(),
        refused_ms=tally.refused.latency(),
        lateness_ms=lateness,
        sent_bytes_per_s=tally.bytes_sent / seconds if seconds else 0.0,
        received_bytes_per_s=tally.bytes_received / seconds if seconds else 0.0,
        connections_opened=traffic.opened,
        client_cpu_s=meter.own_s,
        server=meter.server(tally.answered),
        notes=tuple(notes(tally, lateness, meter.own_s, seconds, traffic.trouble)),
    )


def _title(options: LoadOptions) -> str:
    if options.rate is None:
        how = f"closed loop over {options.connections} connections"
    else:
        how = f"open loop of {options.rate:g} requests/s ({options.arrivals}), at most {options.max_connections} connections"
    return f"{redact(options.url)}, {options.target}: {how}"


def notes(tally: Tally, lateness: Latency | None, own_s: float, seconds: float, trouble: str = "") -> list[str]:
    """Return what whoever reads the figures must know to trust them; `trouble` is why a connection could not be made."""
    found = []
    if trouble:
        found.append(f"the last connection that could not be made: {trouble}")
    if lateness is not None and lateness.p99 > LATE_MS:
        found.append(
            f"the load test itself fell behind (p99 {lateness.p99:.1f} ms late), which is in the latencies;"
            " run it on another machine or give a lower --rate"
        )
    if own_s > BUSY_SHARE * seconds > 0:
        found.append(
            f"the load test itself used {own_s / seconds:.0%} of a processor, so the server may be faster than this;"
            " run several at once"
        )
    if tally.accepted.is_sampled or tally.refused.is_sampled:
        found.append(f"percentiles are of {MAX_SAMPLES} requests chosen at random")
    return found
