"""Prints which cpus the threads of a process may run on while its only model computes.

A process of its own: in one with other tests their models have threads too, and OpenVINO binds a thread for a moment when it
first looks at the machine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.workers.inference.tiny_models import busy_network
from workers.inference.engine import AsyncEngine, EngineOptions, compile_model

ROUNDS: Final = 20


def cpus_allowed() -> set[str]:
    """Return the masks of the threads of this process."""
    found = set()
    for status in Path("/proc/self/task").glob("*/status"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found |= {line.split()[1] for line in status.read_text().splitlines() if line.startswith("Cpus_allowed:")}
    return found


def masks_of_rounds(engine: AsyncEngine) -> Iterator[set[str]]:
    """Yield the masks while two requests at a time are computed."""
    inputs = {"numbers": np.ones((1, 512), np.float32)}
    for _ in range(ROUNDS):
        answers: list[Future[Any]] = [Future() for _ in range(2)]
        for answer in answers:
            engine.submit(inputs, answer.set_result)
        while not all(answer.done() for answer in answers):
            yield cpus_allowed()
        assert not any(isinstance(answer.result(), Exception) for answer in answers)


def main() -> None:
    """Print the masks before and during."""
    before = cpus_allowed()
    engine = AsyncEngine(compile_model(busy_network(), EngineOptions(streams=1, threads=1)), 1)
    try:
        looked = [masks for rounds in range(2) for masks in masks_of_rounds(engine)]
    finally:
        engine.close()
    during = set().union(*looked[len(looked) // 2 :])  # by then it has looked at the machine
    print(json.dumps({"before": sorted(before), "during": sorted(during)}))


if __name__ == "__main__":
    main()
