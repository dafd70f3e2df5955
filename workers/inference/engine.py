"""Runs one compiled OpenVINO model, with every stream kept busy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino as ov

from sedna_py.errors import ModelError
from sedna_py.estimator import Inputs, Outputs

LOG = logging.getLogger(__name__)

Done = Callable[[Outputs | Exception], None]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the model is compiled. `streams` 0 lets OpenVINO choose for throughput."""

    device: str = "CPU"
    streams: int = 0

    def properties(self) -> dict[str, Any]:
        """Return the OpenVINO properties."""
        if self.streams:
            return {"NUM_STREAMS": self.streams}
        return {"PERFORMANCE_HINT": "THROUGHPUT"}


def compile_model(model: ov.Model | str | Path, options: EngineOptions) -> ov.CompiledModel:
    """Compile a model, or the file that holds one. Raises ModelError in one line."""
    if not isinstance(model, ov.Model | str | Path):
        raise ModelError(
            f"there is a {type(model).__name__} where a model belongs; return an openvino.Model, or its path"
        )
    core = ov.Core()
    try:
        network = core.read_model(str(model)) if isinstance(model, str | Path) else model
        return core.compile_model(network, options.device, options.properties())
    except RuntimeError as error:
        raise ModelError(f"{_name(model)} is not a model that OpenVINO can run: {last_line(error)}") from error


def last_line(error: BaseException) -> str:
    """Return the line of an OpenVINO error that says what happened (its first lines name source files)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _name(model: ov.Model | str | Path) -> str:
    return repr(str(model)) if isinstance(model, str | Path) else repr(model.get_friendly_name())


class AsyncEngine:
    """A compiled model and `streams + 1` inference requests, each run by a thread of its own.

    The one request more than streams is the one that is being filled or emptied while the others compute. This is
    openvino.AsyncInferQueue's job, but that one calls nobody back for an inference that failed, refuses every later start
    because of it, and ends the process for a callback that raised (2026.4).
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self.streams = max(int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")), 1)
        self.requests = self.streams + 1
        self._names = [output.any_name for output in compiled.outputs]
        # OpenVINO's first conversion between numpy and its tensors deadlocks if two threads make it at once (2026.4).
        _ = ov.Tensor(np.zeros(1, np.float32)).data
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(self.requests):
            self._idle.put(compiled.create_infer_request())
        self._threads = ThreadPoolExecutor(self.requests, thread_name_prefix="infer")

    def submit(self, inputs: Inputs, done: Done) -> None:
        """Start one inference; wait while all requests are busy.

        `done` gets copies of the outputs by name, or the exception, from a thread of the engine; it is called exactly once.
        """
        request = self._idle.get()
        try:
            self._threads.submit(self._run, request, inputs, done)
        except RuntimeError:
            self._idle.put(request)
            done(ModelError("the model is closed; submit nothing after close"))

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown(wait=True)

    def _run(self, request: ov.InferRequest, inputs: Inputs, done: Done) -> None:
        outcome: Outputs | Exception
        try:
            found = request.infer(dict(inputs))
            outcome = {name: found[i] for i, name in enumerate(self._names)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller of this frame must hear of it
            outcome = error
        try:
            done(outcome)
        except Exception:
            LOG.exception("an answer could not be delivered")
        finally:
            self._idle.put(request)
