"""One face for every kind of model code: hand a frame in, hear the answer later."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sedna_py.errors import EstimatorError, MalformedBody, SednaError
from sedna_py.estimator import Estimator, HookEstimator, Inputs, accepted_kwargs, import_object, instantiate, is_frame
from workers.inference.batching import BatchingEngine, with_batch
from workers.inference.engine import (
    AsyncEngine,
    EngineOptions,
    PredictorClosed,
    compile_model,
    last_line,
    the_core,
)
from workers.inference.frame_need import FrameNeed
from workers.inference.model_files import find_model_file, model_folder
from workers.inference.reduced_decode import ReducedFrame

Answer = Callable[[Any], None]  # gets the result, or the exception


class Predictor(Protocol):
    """What the two workers run. `requests` is how many frames it can use at once, `streams` how many it works on at once.

    `labels` names its classes.
    """

    requests: int
    streams: int
    labels: list[str]

    def submit(self, data: Any, answer: Answer) -> None:
        """Start on one frame (BGR, uint8, height x width x 3), or on what a function returns in a thread of the model.

        Waits while `requests` are under way. `answer` is called once.
        """

    def close(self) -> None:
        """Wait for what is under way and let go of the model."""


class HookPredictor:
    """Runs a HookEstimator: the worker's own engine between its hooks."""

    def __init__(self, estimator: HookEstimator, model_url: str, options: EngineOptions) -> None:
        self._estimator = estimator
        self.batch_sizes: Callable[[int], None] = lambda size: None  # told how many frames went through together
        self._engine = self._start(load_hooks(estimator, model_url), options)
        self.requests = self._engine.requests
        self.streams = self._engine.streams
        self.labels: list[str] = list(getattr(estimator, "labels", []))
        self.frame_need: FrameNeed | None = frame_need_of(estimator)

    def submit(self, data: Any, answer: Answer) -> None:
        """Pre-process, infer and post-process one frame in a thread of the engine; a ReducedFrame's boxes are enlarged."""
        meta: list[Any] = []

        def inputs() -> Inputs:
            given: Any = data() if callable(data) else data
            scale = None
            if isinstance(given, ReducedFrame):
                given, scale = given.frame, given.scale
            try:
                prepared, known = self._estimator.preprocess(as_frame(given))
            except SystemExit as error:
                raise as_exception(error) from error
            meta.extend((known, scale))
            return prepared

        self._engine.submit(inputs, lambda outputs: answer(self._decode(outputs, meta)))

    def warm_up(self) -> None:
        """Run one grey picture through, so that the first real frame does not pay for lazy set-up. Raises EstimatorError."""
        finished = threading.Event()
        answers: list[Any] = []

        def note(answer: Any) -> None:
            answers.append(answer)
            finished.set()

        self.submit(np.full((480, 640, 3), 114, np.uint8), note)
        if not finished.wait(timeout=120):
            raise EstimatorError("the model did not answer its first frame within 120 s")
        if isinstance(answers[0], Exception):
            failed = type(answers[0]).__name__
            raise EstimatorError(
                f"the model failed on its first frame: {failed}: {last_line(answers[0])}"
            ) from answers[0]

    def close(self) -> None:
        """Wait for what is under way."""
        self._engine.close()

    def _start(self, graph: Any, options: EngineOptions) -> AsyncEngine:
        if options.batch_size == 1:
            return AsyncEngine(compile_model(graph, options), options.threads)
        graph = the_core().read_model(str(graph)) if isinstance(graph, str | Path) else graph
        compiled = compile_model(with_batch(graph, options.batch_size), options)
        return BatchingEngine(
            compiled, options.threads, options.batch_size, options.batch_delay_s, lambda size: self.batch_sizes(size)
        )

    def _decode(self, outputs: Any, meta: list[Any]) -> Any:
        if isinstance(outputs, Exception):
            return outputs
        try:
            result = self._estimator.postprocess(outputs, meta[0])
            return detached(result) if meta[1] is None else meta[1].enlarge(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code; its frame must be answered whatever it raises
            return as_exception(error)


class EstimatorPredictor:
    """Runs an upstream-style estimator in threads: one call at a time, unless the class says `thread_safe = True`."""

    def __init__(self, estimator: Estimator, requests: int = 0) -> None:
        self._estimator = estimator
        parallel = (requests or os.cpu_count() or 1) if getattr(estimator, "thread_safe", False) else 1
        self.requests = parallel
        self.streams = parallel
        self.labels: list[str] = list(getattr(estimator, "labels", []))
        self.frame_need: FrameNeed | None = None
        self._free = threading.Semaphore(parallel + 1)  # one waits ready, so that no thread idles between two frames
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="estimator")

    def submit(self, data: Any, answer: Answer) -> None:
        """Hand a frame (turned to RGB, as upstream's scripts send it) or any other data to `predict`."""
        self._free.acquire()
        try:
            self._threads.submit(self._predict, data, answer)
        except RuntimeError:
            self._free.release()
            answer(PredictorClosed("the estimator is closed; submit nothing after close"))

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown(wait=True)

    def _predict(self, data: Any, answer: Answer) -> None:
        result: Any
        try:
            data = data() if callable(data) else data
            if is_frame(data):
                data = np.ascontiguousarray(data[..., ::-1])
            result = self._estimator.predict(data)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code, as above
            result = as_exception(error)
        finally:
            self._free.release()
        answer(result)


def detached(result: Any) -> Any:
    """Return a result that holds no array, which could be a view of the engine's memory and change with the next frame."""
    if isinstance(result, np.ndarray):
        return result.tolist()
    if isinstance(result, list | tuple):
        return [item.tolist() if isinstance(item, np.ndarray) else item for item in result]
    return result


def frame_need_of(estimator: Any) -> FrameNeed | None:
    """Return what an estimator says of its input: `input_size` (width, height) and, for one that stretches, `letterbox = False`.

    One that says nothing gets every frame in full.
    """
    size = getattr(estimator, "input_size", None)
    if size is None:
        return None
    try:
        width, height = (int(side) for side in size)
    except (TypeError, ValueError):
        width = height = 0
    if width < 1 or height < 1:
        raise EstimatorError(f"input_size is {size!r}; write (width, height) in pixels, or leave it out")
    return FrameNeed(width, height, bool(getattr(estimator, "letterbox", True)))


def as_exception(error: BaseException) -> Exception:
    """Return what user code raised; an exit becomes an error of this one frame, for it would only end the thread."""
    return error if isinstance(error, Exception) else EstimatorError("the estimator called exit")


def as_frame(data: Any) -> Any:
    """Return the BGR frame that `data` is. Raises MalformedBody where it is no picture."""
    if is_frame(data):
        return data
    raise MalformedBody("the data is no picture; send height x width x 3 numbers from 0 to 255 (RGB), or a JPEG or PNG")


def load_estimator(estimator: Any, model_url: str) -> Any:
    """Instantiate upstream-style model code and let it load the model. Raises EstimatorError in one line."""
    try:
        instance = instantiate(estimator)
        instance.load(**accepted_kwargs(instance.load, {"model_url": model_url}))
    except Exception as error:
        raise EstimatorError(could_not_load(model_url, error)) from error
    return instance


def load_hooks(estimator: HookEstimator, model_url: str) -> Any:
    """Let the estimator load its graph. Raises EstimatorError in one line, or the estimator's own SednaError."""
    try:
        return estimator.load(model_url)
    except SednaError:
        raise
    except Exception as error:
        raise EstimatorError(could_not_load(model_url, error)) from error


def could_not_load(model_url: str, error: Exception) -> str:
    """Return the line for an estimator that failed in its constructor or in `load`."""
    return f"the estimator could not load {model_url!r}: {type(error).__name__}: {last_line(error)}"


def is_hook_estimator(estimator: Any) -> bool:
    """Tell the two forms apart by the hooks, which upstream's form does not have."""
    return all(callable(getattr(estimator, hook, None)) for hook in ("load", "preprocess", "postprocess"))


def generic_detector(detection_threshold: float | None, model_type: str | None) -> HookEstimator:
    """Return the code that needs nobody's code."""
    from workers.inference.detector import (
        GenericDetector,
    )  # imports ONNX, which a worker with code of its own starts without

    return GenericDetector(detection_threshold, model_type)


def create_predictor(
    model_url: str,
    *,
    model_name: str | None = None,
    estimator: str | None = None,
    detection_threshold: float | None = None,
    model_type: str | None = None,
    options: EngineOptions | None = None,
    code_folder: Path | None = None,
) -> HookPredictor | EstimatorPredictor:
    """Load the model with the user's code if `estimator` names some, else with the generic detector, and warm it.

    A relative path of the code is looked for in the working directory, then beside the model, then in `code_folder`.
    """
    options = options or EngineOptions()
    code = (
        generic_detector(detection_threshold, model_type)
        if estimator is None
        else import_object(estimator, [model_folder(model_url), *([code_folder] if code_folder else [])])
    )
    if inspect.isclass(code) and is_hook_estimator(code):
        try:
            code = code()
        except Exception as error:
            raise EstimatorError(could_not_load(model_url, error)) from error
    if not is_hook_estimator(code):
        return EstimatorPredictor(load_estimator(code, model_url), options.threads)
    predictor = HookPredictor(code, str(find_model_file(model_url, model_name)), options)
    try:
        predictor.warm_up()
    except EstimatorError:
        predictor.close()
        raise
    return predictor
