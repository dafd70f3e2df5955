"""A recording as a small JSON document; pure but for what it says of this machine."""

from __future__ import annotations

import os
import platform
import random
import re
import statistics
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sedna_py import __version__
from sedna_py.decision_log import closing, read_records
from sedna_py.local.compare_service import core_count, cpu_name
from sedna_py.metrics import names
from sedna_py.simulation.trace import trace_of_log
from tests.bench.recorded_runs.recorder import Recording
from tests.bench.recorded_runs.runs import Run

_LOST = re.compile(rf'^{names.EDGE_FRAMES_LOST}{{cause="(\w+)"}} (\S+)$', re.MULTILINE)


def as_document(name: str, run: Run, recording: Recording) -> dict[str, Any]:
    """Return all that the simulation is held against; latencies in milliseconds, other times in seconds."""
    done = sum(one.done for one in recording.counters.values())
    document = {
        "provenance": {
            "command": f"python -m tests.bench.recorded_runs {name}",
            "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": f"{cpu_name()}, {core_count()} cores, {platform.system()} {platform.release()}",
            "sedna-py": __version__,
            "load average": [round(load, 1) for load in os.getloadavg()],  # of the machine: who else had to do then
            "niceness": os.nice(0),
            "what": "real workers whose models sleep, started and scaled by the code of `sedna run`; what they are sent, and"
            " when, stands in tests/bench/recorded_runs/runs.py",
        },
        "run": name,
        "rates": run.rates,
        "sent": sum(recording.outcomes.values()),
        "outcomes": dict(recording.outcomes),
        "most_late_s": round(recording.late_s, 3),
        "cloud_s": round(sum(one.busy_s for one in recording.counters.values()) / done, 4) if done else None,
        "start_s": _mean(recording.starts_s.values()),
        "starts_s": [round(seconds, 2) for seconds in recording.starts_s.values()],
        "replicas": recording.replicas,
    }
    if recording.log:
        return document | _edge(recording)
    answered = [request.took_s for request in recording.requests if request.status == 200]
    refused = [round(request.at, 1) for request in recording.requests if request.status != 200]
    return document | {"latency_ms": _percentiles(answered), "refused_at_s": sorted(refused)}


def _edge(recording: Recording) -> dict[str, Any]:
    lines = recording.log.splitlines(keepends=True)
    records = closing(read_records(lines))
    told = trace_of_log(lines, random.Random(1))
    return {
        "answers": Counter(record.path.value for record in records),
        "fallbacks": Counter(record.cause.value for record in records if record.cause is not None),
        "lost": {cause: int(float(count)) for cause, count in _LOST.findall(recording.edge_metrics) if float(count)},
        "latency_ms": _percentiles([record.latency_ms.total / 1000 for record in records]),
        "cloud_ms": _percentiles(
            [(record.latency_ms.cloud or 0.0) / 1000 for record in records if record.path == "cloud"]
        ),
        # What `sedna simulate` takes out of the decision log, and how much of the load it finds in it.
        "log": {
            "edge_s": round(told.timings.edge_s, 4),
            "cloud_s": round(told.timings.cloud_s, 4),
            "edge_spread": round(told.timings.edge_spread or 0.0, 3),
            "cloud_spread": round(told.timings.cloud_spread or 0.0, 3),
            "arrivals": len(told.arrivals),
            "hard": sum(arrival.hard for arrival in told.arrivals),
        },
    }


def _mean(values: Any) -> float | None:
    found = list(values)
    return round(statistics.mean(found), 2) if found else None


def _percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p95, most = np.percentile(seconds, [50, 95, 100])
    return {"p50": round(p50 * 1000, 1), "p95": round(p95 * 1000, 1), "most": round(most * 1000, 1)}
