"""The limits that the worker is compared with: the same model without HTTP, and without anything around it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from sedna_py.estimator import import_object
from tests.bench.pairs import ROOT
from workers.inference.detector import GenericDetector

START_S = 60.0
THREADS = (1, 2, 3)  # that feed; more than pays on any machine with as many streams as cores


@dataclass(frozen=True, slots=True)
class BenchModel:
    """A model as the worker is told of it; `graph` is what benchmark_app gets.

    That is what its estimator makes of it; or its own file, where the estimator's graph takes pictures of any size, because there
    is no such inference as that without a picture.
    """

    name: str
    environment: dict[str, str]
    graph: Path

    def per_second(self, seconds: float) -> float:
        """Return inferences/s by OpenVINO's benchmark_app, with the throughput hint and without any data."""
        command = [str(Path(sys.executable).with_name("benchmark_app")), "-m", str(self.graph), "-d", "CPU"]
        command += ["-hint", "throughput", "-t", str(max(round(seconds), 1))]
        said = _output(command, {}, seconds)
        found = re.search(r"Throughput:\s+([0-9.]+) FPS", said)
        if found is None:
            raise RuntimeError(f"benchmark_app said nothing of the throughput: {said[-300:]!r}")
        return float(found[1])

    def without_http(self, pictures: Path, seconds: float, threads: int, *, boxes: bool) -> tuple[float, float]:
        """Return pictures/s without a server, and pictures per processor second."""
        command = [sys.executable, "-m", "tests.bench.serving.no_http", str(pictures), str(seconds), str(threads)]
        each, per_cpu_s = _output([*command, "boxes"] if boxes else command, self.environment, seconds).split()
        return float(each), float(per_cpu_s)

    def best_threads(self, pictures: Path, seconds: float) -> int:
        """Return how many feeding threads pay."""
        return max(THREADS, key=lambda threads: self.without_http(pictures, seconds, threads, boxes=True)[0])


def bench_model(name: str, environment: dict[str, str], folder: Path) -> BenchModel:
    """Return a model, with its graph written into the folder."""
    reference = environment.get("ESTIMATOR")
    estimator = import_object(reference)() if reference else GenericDetector()
    loaded = estimator.load(environment["MODEL_URL"])
    if not isinstance(loaded, ov.Model) or loaded.is_dynamic():
        return BenchModel(name, environment, Path(environment["MODEL_URL"]))
    graph = folder / f"{name}.xml"
    ov.save_model(loaded, graph, compress_to_fp16=False)
    return BenchModel(name, environment, graph)


def _output(command: list[str], environment: dict[str, str], seconds: float) -> str:
    variables = {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, **environment}
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=seconds + START_S)
    if ended.returncode:
        raise RuntimeError(f"{command[0]} failed: {(ended.stderr or ended.stdout).strip()[-300:]}")
    return ended.stdout
