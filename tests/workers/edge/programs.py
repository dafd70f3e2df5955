"""Real worker processes for tests: started with an environment of their own, ended whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from sedna_py.decision_log import DecisionRecord
from tests.workers.edge.fakes import log_of, until

ROOT = Path(__file__).parents[3]
START_S = 60.0  # imports, model, warm-up, on a busy machine

HOOKS = '''
"""A detector whose one box has the frame's mean brightness (0 to 1) as its score; OpenVINO computes it."""
import numpy as np
import openvino as ov
from openvino import opset13 as ops


class Brightness:
    labels = ["thing"]

    def load(self, model_url):
        pixels = ops.parameter([1, 8, 8, 3], np.float32, name="pixels")
        mean = ops.reduce_mean(pixels, ops.constant([1, 2, 3]), keep_dims=False)
        score = ops.divide(mean, ops.constant(np.float32(255)))
        score.output(0).get_tensor().set_names({"score"})
        return ov.Model([ops.result(score)], [pixels], "brightness")

    def preprocess(self, frame):
        return {"pixels": frame[None, :8, :8].astype(np.float32)}, frame.shape

    def postprocess(self, outputs, meta):
        return [[1.0, 1.0, meta[1] - 2.0, meta[0] - 2.0, round(float(outputs["score"][0]), 4), 0]]
'''

UPSTREAM = '''
"""Upstream's form, numpy only: the same box; it gets RGB."""
import os
import time


class Estimator:
    def load(self, model_url=""):
        while "TEST_LOADED" in os.environ and not os.path.exists(os.environ["TEST_LOADED"]):
            time.sleep(0.01)

    def predict(self, data, **kwargs):
        if data[0, 0, 0] == 7:
            raise RuntimeError("seven")
        while data[0, 0, 0] == 99 and not os.path.exists(os.environ["TEST_GO_ON"]):
            time.sleep(0.01)
        return [[1.0, 1.0, data.shape[1] - 2.0, data.shape[0] - 2.0, float(data[:8, :8].mean()) / 255, 0]]
'''


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pictures(folder: Path, values: list[int], shape: tuple[int, int, int] = (96, 128, 3)) -> Path:
    """Write one grey picture a value, in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, value in enumerate(values):
        cv2.imwrite(str(folder / f"{index:05d}.png"), np.full(shape, value, np.uint8))
    return folder


class Program:
    """One worker process. `log` is what it wrote to standard error."""

    def __init__(self, module: str, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stderr = folder / f"{module}-{time.monotonic_ns()}.log"
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env={**inherited, **environment}, stderr=stderr
            )

    @property
    def log(self) -> str:
        return self._stderr.read_text()

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def wait(self) -> int:
        """Return the exit status; a program that does not end fails the test with its log."""
        try:
            return self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.log}") from None

    def running(self) -> bool:
        """Whether it runs; one that ended by itself while it should run fails the test with its log."""
        assert self.process.poll() is None, f"it ended with status {self.process.returncode}:\n{self.log}"
        return True


class Programs:
    """Starts workers in a folder; `end` ends what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tiny.xml").write_text("<none/>")  # the hook estimator builds its model itself
        (folder / "hooks.py").write_text(HOOKS)
        (folder / "upstream.py").write_text(UPSTREAM)
        self._started: list[Program] = []

    def edge(self, **environment: Any) -> Program:
        return self._start("workers.edge", {"WORKER_NAME": "edge-1", **environment})

    def cloud(self, port: int, **environment: Any) -> Program:
        address = {"BIG_MODEL_BIND_IP": "127.0.0.1", "BIG_MODEL_BIND_PORT": port}
        return self._start("workers.cloud", {"WORKER_NAME": "cloud-1", **address, **environment})

    def _start(self, module: str, environment: dict[str, Any]) -> Program:
        defaults = {"MODEL_URL": self.folder / "tiny.xml", "ESTIMATOR": f"{self.folder}/hooks.py:Brightness"}
        merged = {name: str(value) for name, value in {**defaults, **environment}.items()}
        program = Program(module, self.folder / "logs", merged)
        self._started.append(program)
        return program

    def end(self) -> None:
        for program in self._started:
            if program.process.poll() is None:
                program.kill()


def wait_ready(program: Program, port: int) -> float:
    """Wait until /readyz says 200; return the time of day of that answer."""

    def ready() -> float | None:
        program.running()
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False)
        except httpx.HTTPError:
            return None
        return time.time() if answer.status_code == 200 else None

    return float(until(ready, f"readiness:\n{program.log}", START_S))


def wait_log(program: Program, path: Path, enough: Any, what: str) -> list[DecisionRecord]:
    """Wait until `enough(records)` of a decision log that the program writes; return the records."""
    found: list[DecisionRecord] = []

    def look() -> bool:
        program.running()
        found[:] = log_of(path)
        return bool(enough(found))

    until(look, what, START_S)
    return found
