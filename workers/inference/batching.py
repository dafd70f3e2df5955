"""Several frames through the model at once, where that pays: larger models on accelerators, seldom on a CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import numpy as np
import openvino as ov

from sedna_py.errors import ModelError
from sedna_py.estimator import Inputs, Outputs
from workers.inference.engine import AsyncEngine, Work, last_line, prepare

Sizes = Callable[[int], None]  # is told how many frames went together
Shapes = tuple[tuple[str, tuple[int, ...], str], ...]


def with_batch(model: ov.Model, most: int) -> ov.Model:
    """Return the model with a first dimension of 1 to `most` for every input. Raises ModelError if it cannot have that."""
    shapes: dict[Any, ov.PartialShape] = {}
    for port in model.inputs:
        shape = port.partial_shape
        if shape.rank.is_dynamic or not len(shape) or shape[0] not in (ov.Dimension(1), ov.Dimension()):
            raise ModelError(f"input {port.any_name!r} has the shape {shape}; {_NO_BATCH}")
        shape[0] = ov.Dimension(1, most)
        shapes[port] = shape
    try:
        model.reshape(shapes)
    except RuntimeError as error:
        raise ModelError(f"the model cannot be reshaped: {last_line(error)}; {_NO_BATCH}") from error
    for port in model.outputs:
        shape = port.partial_shape
        if shape.rank.is_dynamic or not len(shape) or shape[0].is_static:
            raise ModelError(f"output {port.node.get_friendly_name()!r} has the shape {shape}; {_NO_BATCH}")
    return model


_NO_BATCH = "only a model whose first dimension is the batch can work on several frames at once: leave BATCH_SIZE unset"


class BatchingEngine(AsyncEngine):
    """An AsyncEngine whose threads each take what came within `delay_s` of the first frame, at most `most`.

    Frames whose inputs have other shapes go through on their own. One thread collects at a time; the others infer meanwhile.
    """

    def __init__(
        self, compiled: ov.CompiledModel, threads: int, most: int, delay_s: float, note: Sizes | None = None
    ) -> None:
        self._most = most
        self._delay_s = delay_s
        self._note: Sizes = note or (lambda size: None)
        self._collecting = threading.Lock()
        super().__init__(compiled, threads)

    def _places(self, workers: int) -> int:
        return workers * self._most

    def _serve(self, request: ov.InferRequest) -> None:
        more = True
        while more:
            with self._collecting:
                batch, more = self._collect()
            ready: list[tuple[Work, Inputs]] = []
            for work in batch:
                try:
                    ready.append((work, prepare(work.inputs)))
                except Exception as error:  # noqa: BLE001 - as in AsyncEngine
                    self._deliver(work, error)
            for group in by_shapes(ready):
                self._run_group(request, group)

    def _collect(self) -> tuple[list[Work], bool]:
        """Return the next batch, and whether the thread goes on after it."""
        first = self._work.get()
        if first is None:
            return [], False
        batch, until = [first], first.arrived + self._delay_s
        while len(batch) < self._most:
            left = until - time.monotonic()
            try:
                work = self._work.get(timeout=left) if left > 0 else self._work.get_nowait()
            except Empty:
                break
            if work is None:
                return batch, False
            batch.append(work)
        return batch, True

    def _run_group(self, request: ov.InferRequest, group: list[tuple[Work, Inputs]]) -> None:
        self._note(len(group))
        try:
            outputs = self._infer(request, stacked([inputs for _, inputs in group]))
            answers: list[Outputs | Exception] = [outputs]
            if len(group) > 1:
                answers = [{name: rows[i : i + 1] for name, rows in outputs.items()} for i in range(len(group))]
        except Exception as error:  # noqa: BLE001 - as in AsyncEngine
            answers = [error] * len(group)
        for (work, _), answer in zip(group, answers, strict=True):
            self._deliver(work, answer)


def by_shapes(ready: list[tuple[Work, Inputs]]) -> list[list[tuple[Work, Inputs]]]:
    """Return the frames in groups that can be stacked: the same names, types and shapes, and one frame each."""
    groups: dict[Shapes, list[tuple[Work, Inputs]]] = {}
    alone: list[list[tuple[Work, Inputs]]] = []
    for work, inputs in ready:
        key = tuple((name, np.shape(value), str(getattr(value, "dtype", ""))) for name, value in inputs.items())
        if any(shape[:1] != (1,) for _, shape, _ in key):  # whose rows are whose could not be told afterwards
            alone.append([(work, inputs)])
        else:
            groups.setdefault(key, []).append((work, inputs))
    return [*groups.values(), *alone]


def stacked(inputs: list[Inputs]) -> Inputs:
    """Return the inputs of several frames as one, along the first dimension."""
    if len(inputs) == 1:
        return inputs[0]
    return {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
