"""One run of the real edge worker for a number of seconds, and the figures of its decision log."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sedna_py.decision_log import DecisionRecord, read_records
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.load_test.processes import cpu_seconds, rss_bytes
from sedna_py.local.compare_service import core_count
from tests.bench.pairs import ROOT, Pair

WARM_S: Final = 2.0  # after the first answer: the window to the cloud opens, the memory fills
START_S: Final = 60.0
END_S: Final = 30.0
SAMPLES: Final = 20  # of the memory
NO_OFFLOAD: Final[Mapping[str, str]] = {"HEM_NAME": "EdgeOnly"}
ALL_HARD: Final[Mapping[str, str]] = {"HEM_NAME": "CloudOnly"}
SOME_HARD: Final[Mapping[str, str]] = {
    "HEM_NAME": "Random",
    "HEM_PARAMETERS": '[{"key": "random_ratio", "value": "0.3"}]',
}


@dataclass(frozen=True, slots=True)
class EdgeRun:
    """Rates per second, milliseconds, bytes; `edge_p99` is from capture until the little model's answer.

    `others_share` is what the processes that play the rest of the world took of this machine's processors, from 0 to 1.
    """

    frames: float
    offloaded: float  # frames/s that the cloud answered
    edge_p50: float
    edge_p99: float
    cloud_p50: float | None
    causes: dict[str, int]
    unanswered: int  # frames without exactly one closing record, or without cause though not the cloud's
    rss_begin: int
    rss_end: int
    others_share: float = 0.0

    @property
    def frames_alone(self) -> float:
        """What `frames` would be if the edge had the others' share, too: of a run that is limited by the processors."""
        return self.frames / (1 - self.others_share)


def cloud_at(port: int, hard: Mapping[str, str] = SOME_HARD, **settings: str) -> dict[str, str]:
    """Return the environment of an edge whose cloud is at that port of this machine."""
    return {**hard, "BIG_MODEL_IP": "127.0.0.1", "BIG_MODEL_PORT": str(port), **settings}


def run_edge(
    pair: Pair,
    environment: Mapping[str, str],
    seconds: float,
    *,
    prefix: Sequence[str] = (),
    pace: float = 0.0,
    others: Sequence[int] = (),
) -> EdgeRun:
    """Run `python -m workers.edge` on the clip, over and over: as fast as it goes, or with `pace` frames/s as a camera.

    `others`: ids of the processes that play the rest of the world.
    """
    with tempfile.TemporaryDirectory(prefix="sedna-bench-") as folder:
        log = Path(folder) / "decisions.jsonl"
        variables = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **pair.little,
            **environment,
            "video_url": str(pair.clip),
            "SOURCE_REPEAT": "0",
            "SOURCE_PACE": str(pace),
            "DECISIONS_FILE": str(log),
            **({"BUFFER_POLICY": "drop-oldest"} if pace else {}),
        }
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "workers.edge"], cwd=ROOT, env=variables, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_a_line(log, process)
            time.sleep(WARM_S)
            begun, used = time.time(), _used(others)
            memory = []
            for _ in range(SAMPLES):
                memory.append(rss_bytes(process.pid) or 0)
                time.sleep(seconds / SAMPLES)
            ended, used = time.time(), _used(others) - used
        finally:
            process.terminate()
            process.wait(END_S)
        with log.open(encoding="utf-8") as lines:
            records = list(read_records(lines))
    return replace(figures(records, begun, ended, memory), others_share=used / (ended - begun) / core_count())


def figures(records: Sequence[DecisionRecord], begun: float, ended: float, memory: Sequence[int]) -> EdgeRun:
    """Return the figures of the frames that were captured, or answered by the cloud, between two times of day."""
    closing = [record for record in records if record.emit.closes]
    inside = [record for record in closing if begun <= record.captured < ended]
    by_cloud = [record for record in closing if record.path is AnswerPath.CLOUD and begun <= record.emitted < ended]
    waits = [record.latency_ms.wait + (record.latency_ms.edge or 0) for record in inside]
    times = [record.latency_ms.cloud for record in by_cloud if record.latency_ms.cloud is not None]
    count = Counter((record.source, record.frame) for record in closing)
    wrong = sum(1 for times_ in count.values() if times_ != 1)
    wrong += sum((record.cause is None) != (record.path is not AnswerPath.FALLBACK) for record in closing)
    return EdgeRun(
        frames=len(inside) / (ended - begun),
        offloaded=len(by_cloud) / (ended - begun),
        edge_p50=percentile(waits, 0.5),
        edge_p99=percentile(waits, 0.99),
        cloud_p50=statistics.median(times) if times else None,
        causes=dict(Counter(record.cause.value for record in inside if record.cause).most_common()),
        unanswered=wrong,
        rss_begin=min(memory[: len(memory) // 4]),
        rss_end=min(memory[-len(memory) // 4 :]),
    )


def _used(pids: Sequence[int]) -> float:
    return sum(cpu_seconds(pid) or 0.0 for pid in pids)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed. Raises RuntimeError for none."""
    if not values:
        raise RuntimeError("the edge answered no frame in the time that was measured")
    return sorted(values)[min(math.ceil(share * len(values)) - 1, len(values) - 1)]


def _wait_for_a_line(log: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while not (log.exists() and log.stat().st_size):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the edge worker gave no answer; its status is {process.returncode}")
        time.sleep(0.05)
