"""Edge frames/s over the limit: the real worker process against decode + AsyncInferQueue on the same clip."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sedna_py.decision_log import read_records
from sedna_py.local.figures import summarize
from tests.bench.pairs import ROOT, Pair

LIMIT_S = 300
NO_CLOUD = {"HEM_NAME": "EdgeOnly"}


@dataclass(frozen=True)
class EdgeFigures:
    """frames/s of each round, the worker's and the limit's measured in turn."""

    worker: list[float]
    limit: list[float]
    decoding_limit: list[float]  # the same, with the model's outputs decoded into boxes


def measure_edge(pair: Pair, rounds: int) -> EdgeFigures:
    """Measure worker and limit in turn, `rounds` times."""
    figures = EdgeFigures([], [], [])
    for _ in range(rounds):
        figures.limit.append(limit_frames_per_second(pair))
        figures.worker.append(worker_frames_per_second(pair))
        figures.decoding_limit.append(limit_frames_per_second(pair, decode=True))
    return figures


def limit_frames_per_second(pair: Pair, *, decode: bool = False) -> float:
    """Return frames/s without any of our pipeline; `decode`: with the outputs made into boxes."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.limit",
        str(pair.clip),
        str(pair.rounds),
        *(["decode"] if decode else []),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **pair.little},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return float(done.stdout.split()[-1])


def worker_frames_per_second(pair: Pair, cloud: Mapping[str, str] = NO_CLOUD) -> float:
    """Return frames/s of `python -m workers.edge` with a filter and its decision log; by default no frame is hard."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "decisions.jsonl"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **pair.little,
            **cloud,
            "video_url": str(pair.clip),
            "SOURCE_REPEAT": str(pair.rounds),
            "DECISIONS_FILE": str(log),
        }
        command = [sys.executable, "-m", "workers.edge"]
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=LIMIT_S, check=True)
        with log.open(encoding="utf-8") as lines:
            return summarize(list(read_records(lines))).frames_per_second or 0.0


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)
