"""Runs one compiled OpenVINO model, with its asynchronous queue kept full."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from sedna_py.errors import ModelError
from sedna_py.estimator import Inputs, Outputs

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
    """A compiled model and its AsyncInferQueue of `streams + 1` requests.

    The one request more than streams is the one that is being filled or emptied while the others compute.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.streams = max(optimal, 1)
        self.requests = self.streams + 1
        self._names = [output.any_name for output in compiled.outputs]
        self._queue = ov.AsyncInferQueue(compiled, self.requests)
        self._queue.set_callback(self._finished)
        self._pending: dict[int, Done] = {}
        self._ids = itertools.count()
        self._lock = threading.Lock()

    def submit(self, inputs: Inputs, done: Done) -> None:
        """Start one inference; wait while all requests are busy.

        `done` gets copies of the outputs by name, or the exception, from a thread of OpenVINO; it is called exactly once.
        """
        number = next(self._ids)
        self._pending[number] = done
        try:
            with self._lock:  # start_async is not made for several callers at once
                self._queue.start_async(dict(inputs), userdata=number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller of this frame must hear of it
            self._fail(number, error)

    def close(self) -> None:
        """Wait for what is under way."""
        self._queue.wait_all()

    def _finished(self, request: ov.InferRequest, number: int) -> None:
        # The tensors belong to the request, which is used again as soon as this returns.
        outputs = {name: request.get_output_tensor(i).data.copy() for i, name in enumerate(self._names)}
        self._pending.pop(number)(outputs)

    def _fail(self, number: int, error: Exception) -> None:
        failed = [self._pending.pop(number, None)]
        if isinstance(error, RuntimeError) and self._pending:
            # AsyncInferQueue raises an earlier request's failure at the next start, and calls nobody for that request:
            # once all have come to rest, whoever still waits was one of those.
            try:
                self._queue.wait_all()
            except RuntimeError as earlier:
                error = earlier
            failed += [self._pending.pop(n, None) for n in list(self._pending)]
        for done in failed:
            if done is not None:
                done(error)
