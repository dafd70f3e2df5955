"""What the settings of the cloud worker do to its speed: one worker for each, loaded in turn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.serving.comparison import Loaded, closed_loop
from tests.bench.serving.figures import over, spread
from tests.bench.serving.limits import BenchModel
from tests.bench.serving.servers import worker

AS_IT_IS: Final = "nothing set"
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    AS_IT_IS: {},
    "INFERENCE_STREAMS=1": {"INFERENCE_STREAMS": "1"},
    "INFERENCE_THREADS=1": {"INFERENCE_THREADS": "1"},
    "MAX_CONCURRENCY=1": {"MAX_CONCURRENCY": "1"},
    "MAX_CONCURRENCY=2": {"MAX_CONCURRENCY": "2"},
    "MAX_CONCURRENCY=4": {"MAX_CONCURRENCY": "4"},
    "BATCH_SIZE=4, BATCH_DELAY_MS=5": {"BATCH_SIZE": "4", "BATCH_DELAY_MS": "5"},
}
CONNECTIONS: Final = (1, 8, 32)


def measure_settings(
    model: BenchModel, pictures: Path, first: bytes, rounds: int, seconds: float
) -> dict[str, dict[int, Loaded]]:
    """Return the figures by setting and number of connections; every worker runs all the while."""
    figures = {name: {number: Loaded() for number in CONNECTIONS} for name in SETTINGS}
    with ExitStack() as running:
        servers = {
            name: running.enter_context(worker(model.environment, first, **settings))
            for name, settings in SETTINGS.items()
        }
        for _ in range(rounds):
            for number in CONNECTIONS:
                for name, server in servers.items():
                    figures[name][number].add(closed_loop(server, pictures, number, seconds))
    return figures


def report_settings(figures: Mapping[str, Mapping[int, Loaded]]) -> None:
    """Print them, against the worker as it is."""
    for number in CONNECTIONS:
        base = figures[AS_IT_IS][number]
        for name, by_number in figures.items():
            found = by_number[number]
            rate, p50, p99 = (median(values) for values in (found.per_second, found.p50, found.p99))
            print(
                f"    {number} connections, {name}: {rate:.0f} per second, p50 {p50:.1f}, p99 {p99:.1f} ms;"
                f" answers {spread(over(found.per_second, base.per_second))} times as many,"
                f" p99 {spread(over(found.p99, base.p99))}"
            )
