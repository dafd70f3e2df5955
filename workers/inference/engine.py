"""Runs one compiled OpenVINO model, with every stream kept busy."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from sedna_py.errors import EstimatorError, ModelError
from sedna_py.estimator import Inputs, Outputs
from workers.inference.background import in_background

LOG = logging.getLogger(__name__)

Done = Callable[[Outputs | Exception], None]
Ask = Inputs | Callable[[], Inputs]
SPARE = 2  # threads beyond those that compute, which prepare and deliver meanwhile
WAITING = 2  # pieces of work in line for the threads, so that none has to wait until somebody gives it the next one


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the model is compiled. `streams` 0 lets OpenVINO choose for throughput, `threads` 0 takes all of the machine.

    `batch_size` above 1: up to so many frames that come within `batch_delay_s` of the first one go through the model together.
    """

    device: str = "CPU"
    streams: int = 0
    threads: int = 0
    batch_size: int = 1
    batch_delay_s: float = 0.0

    def properties(self) -> dict[str, Any]:
        """Return the OpenVINO properties.

        OpenVINO binds its threads to cpus while they compute, counted from the first, and knows nothing of other processes: all
        pods of a node would compute on the same cpus, with the rest of them idle. The kernel places threads better.
        """
        chosen: dict[str, Any] = {"NUM_STREAMS": self.streams} if self.streams else {"PERFORMANCE_HINT": "THROUGHPUT"}
        if self.device == "CPU":  # other devices refuse the properties
            chosen["ENABLE_CPU_PINNING"] = False
            if self.threads:
                chosen["INFERENCE_NUM_THREADS"] = self.threads
        return chosen


@cache
def the_core() -> ov.Core:
    """Return the process's only Core, which stays until the end.

    The CPU plugin gives the thread that loads it another stack for signals, which is gone when the Core goes in another
    thread: the next signal then ends the process by SIGSEGV (2026.4).
    """
    return ov.Core()


def compile_model(model: ov.Model | str | Path, options: EngineOptions) -> ov.CompiledModel:
    """Compile a model, or the file that holds one. Raises ModelError in one line.

    OpenVINO starts the threads of its streams here. They compute without end and without Python's lock, so on a busy machine they
    would push aside whichever thread has that lock, and everybody would wait for it. Hence they are background work.
    """
    if not isinstance(model, ov.Model | str | Path):
        raise ModelError(
            f"there is a {type(model).__name__} where a model belongs; return an openvino.Model, or its path"
        )
    core = the_core()
    try:
        network = core.read_model(str(model)) if isinstance(model, str | Path) else model
        return in_background(lambda: core.compile_model(network, options.device, options.properties()))
    except RuntimeError as error:
        raise ModelError(f"{_name(model)} is not a model that OpenVINO can run: {last_line(error)}") from error


@dataclass(frozen=True, slots=True)
class Work:
    """One frame for the model, and when it came (by time.monotonic)."""

    inputs: Ask
    done: Done
    arrived: float


def last_line(error: BaseException) -> str:
    """Return the line of an OpenVINO error that says what happened (its first lines name source files)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _name(model: ov.Model | str | Path) -> str:
    return repr(str(model)) if isinstance(model, str | Path) else repr(model.get_friendly_name())


@dataclass(frozen=True, slots=True)
class PlainInput:
    """The only input of a model, of one shape: what fits it as it is needs none of OpenVINO's looking over.

    That takes 40 us of Python per inference, where there is nothing to find: a thirtieth of a small model's time.
    """

    names: frozenset[str]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, compiled: ov.CompiledModel) -> PlainInput | None:
        """Return a model's plain input; None if it has another kind."""
        if len(compiled.inputs) != 1 or compiled.input(0).partial_shape.is_dynamic:
            return None
        port = compiled.input(0)
        dtype: np.dtype[Any] = np.dtype(port.element_type.to_dtype())
        # NumPy has no bfloat16 and no half bytes: to_dtype names another type for them.
        if ov.Type(dtype) != port.element_type or dtype.kind == "S":
            return None
        return cls(frozenset(port.names), dtype, tuple(port.shape))

    def picked(self, given: Inputs) -> NDArray[Any] | None:
        """Return the array, if it is the only one and OpenVINO can use its memory as it is."""
        if len(given) != 1:
            return None
        ((name, array),) = given.items()
        fits = (
            type(array) is np.ndarray
            and name in self.names
            and array.shape == self.shape
            and array.dtype == self.dtype
            and array.flags.carray
        )
        return array if fits else None


class PredictorClosed(ModelError, EstimatorError):
    """The model was closed before this work was handed in."""


class AsyncEngine:
    """A compiled model behind a line of work, and threads that each take from it, prepare, infer and deliver.

    Without a bound there are SPARE threads more than the model has streams: they fill and empty while the others compute. Where
    `options.threads` bounds what may run at once, there are no more than that (or the streams). Beyond the threads WAITING pieces
    of work wait in line: where whoever hears an answer has to run before the next piece comes, a thread would sleep so long
    (measured with the cloud worker and a light model: 6 % fewer answers, and a longer tail).
    This is openvino.AsyncInferQueue's job, but that one calls nobody back for an inference that failed, refuses every later
    start because of it, and ends the process for a callback that raised (2026.4).
    """

    def __init__(self, compiled: ov.CompiledModel, threads: int = 0) -> None:
        self.streams = max(int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")), 1)
        workers = max(self.streams, threads) if threads else self.streams + SPARE
        self.requests = self._places(workers + WAITING)
        self._names = [_output_name(output, i) for i, output in enumerate(compiled.outputs)]
        self._plain = PlainInput.of(compiled)
        # OpenVINO's first conversion between numpy and its tensors deadlocks if two threads make it at once (2026.4).
        _ = ov.Tensor(np.zeros(1, np.float32)).data
        # Not a semaphore and not an executor, which are Python: that would be a tenth of a small model's time, and nobody waits
        # for a future here.
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(self.requests):
            self._room.put(None)
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, args=(compiled.create_infer_request(),), name="infer", daemon=True)
            for _ in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, inputs: Ask, done: Done) -> None:
        """Start one inference; wait while `requests` of them are under way.

        `inputs` may be a function that returns them, which is called in a thread of the engine. `done` gets the outputs by
        name, or the exception, in that same thread, exactly once. The outputs are the request's own memory: they hold until
        `done` returns. An output without a name is called by its number.
        """
        self._room.get()
        with self._closing:
            if self._threads:
                self._work.put(Work(inputs, done, time.monotonic()))
                return
        self._room.put(None)
        done(PredictorClosed("the model is closed; submit nothing after close"))

    def close(self) -> None:
        """Wait for what is under way."""
        with self._closing:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            thread.join()

    def _places(self, workers: int) -> int:
        """Return how many frames may be under way with so many of them computing or about to."""
        return workers

    def _serve(self, request: ov.InferRequest) -> None:
        while (work := self._work.get()) is not None:
            self._run(request, work)

    def _run(self, request: ov.InferRequest, work: Work) -> None:
        outcome: Outputs | Exception
        try:
            outcome = self._infer(request, prepare(work.inputs))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller of this frame must hear of it
            outcome = error
        self._deliver(work, outcome)

    def _infer(self, request: ov.InferRequest, given: Inputs) -> Outputs:
        # Nothing is copied: this thread holds inputs and request until everybody is done with them.
        if self._plain is not None and (array := self._plain.picked(given)) is not None:
            request.set_input_tensor(ov.Tensor(array, shared_memory=True))
            found = request.infer(share_outputs=True)
        else:
            found = request.infer(dict(given), share_inputs=True, share_outputs=True)
        return {name: found[i] for i, name in enumerate(self._names)}

    def _deliver(self, work: Work, outcome: Outputs | Exception) -> None:
        self._room.put(None)  # first: whoever hears the answer may bring the next frame at once
        try:
            work.done(outcome)
        except Exception:
            LOG.exception("an answer could not be delivered")


def prepare(inputs: Ask) -> Inputs:
    """Return the inputs. Raises what the function that makes them raises."""
    return inputs() if callable(inputs) else inputs


def _output_name(output: ov.ConstOutput, index: int) -> str:
    return str(output.any_name) if output.names else str(index)
