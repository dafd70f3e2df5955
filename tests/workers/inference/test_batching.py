"""Several frames through one inference: whose rows are whose, and who is spared what happens to others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from sedna_py.errors import ModelError
from tests.workers.inference.tiny_models import MeanColour, named, save_colour_detector
from workers.inference.batching import BatchingEngine, with_batch
from workers.inference.engine import EngineOptions, compile_model
from workers.inference.predictor import HookPredictor, create_predictor


def doubling_network() -> ov.Model:
    """(1, 3) -> (1, 3), each number doubled."""
    numbers = named(op.parameter([1, 3], np.float32, name="numbers"), "numbers")
    return ov.Model([op.result(named(op.multiply(numbers, op.constant(np.float32(2))), "doubled"))], [numbers])


@pytest.fixture
def start() -> Iterator[Callable[..., BatchingEngine]]:
    engines = []

    def make(most: int = 4, delay_s: float = 5.0, sizes: list[int] | None = None) -> BatchingEngine:
        compiled = compile_model(with_batch(doubling_network(), most), EngineOptions(streams=1))
        note = None if sizes is None else sizes.append
        engines.append(BatchingEngine(compiled, 1, most, delay_s, note))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def row(number: float) -> dict[str, Any]:
    return {"numbers": np.full((1, 3), number, np.float32)}


def ask(engine: BatchingEngine, inputs: Any) -> Future[Any]:
    future: Future[Any] = Future()
    engine.submit(inputs, lambda out: future.set_result(out if isinstance(out, Exception) else out["doubled"].copy()))
    return future


def test_a_full_batch_does_not_wait_and_everybody_gets_his_own_rows(start: Callable[..., BatchingEngine]) -> None:
    sizes: list[int] = []
    engine = start(most=4, delay_s=60, sizes=sizes)
    answers = [ask(engine, row(n)) for n in range(4)]
    for number, answer in enumerate(answers):
        assert answer.result(10).tolist() == [[2 * number] * 3]
    assert sizes == [4]


def test_the_delay_counts_from_the_first_frame(start: Callable[..., BatchingEngine]) -> None:
    sizes: list[int] = []
    engine = start(most=4, delay_s=2.0, sizes=sizes)  # the second one is there by then, on a busy machine too
    assert [answer.result(10)[0][0] for answer in [ask(engine, row(n)) for n in (1, 2)]] == [2, 4]
    assert sizes == [2]


def test_a_frame_that_cannot_be_prepared_spoils_no_other(start: Callable[..., BatchingEngine]) -> None:
    engine = start(most=3, delay_s=60)

    def broken() -> Any:
        raise ValueError("no picture")

    good, bad, other = ask(engine, row(1)), ask(engine, broken), ask(engine, row(2))
    assert isinstance(bad.result(10), ValueError)
    assert (good.result(10)[0][0], other.result(10)[0][0]) == (2, 4)


def test_frames_of_another_shape_go_on_their_own(start: Callable[..., BatchingEngine]) -> None:
    sizes: list[int] = []
    engine = start(most=3, delay_s=60, sizes=sizes)
    wide = ask(engine, {"numbers": np.ones((1, 4), np.float32)})  # which this model does not take
    first, second = ask(engine, row(1)), ask(engine, row(2))
    assert isinstance(wide.result(10), Exception)
    assert (first.result(10)[0][0], second.result(10)[0][0]) == (2, 4)
    assert sorted(sizes) == [1, 2]


def test_two_rows_from_one_frame_stay_together(start: Callable[..., BatchingEngine]) -> None:
    engine = start(most=2, delay_s=60)
    pair, one = ask(engine, {"numbers": np.array([[1, 1, 1], [2, 2, 2]], np.float32)}), ask(engine, row(5))
    assert pair.result(10).tolist() == [[2, 2, 2], [4, 4, 4]]
    assert one.result(10).tolist() == [[10, 10, 10]]


def test_closing_answers_what_is_in_the_line(start: Callable[..., BatchingEngine]) -> None:
    engine = start(most=8, delay_s=60)
    answer = ask(engine, row(3))
    engine.close()  # and does not wait for the batch to fill
    assert answer.result(0)[0][0] == 6
    assert not [thread for thread in threading.enumerate() if thread.name == "infer"]


def test_many_threads_each_get_the_answer_to_their_own_picture() -> None:
    sizes: list[int] = []
    predictor = HookPredictor(MeanColour(), "", EngineOptions(batch_size=4, batch_delay_s=0.01))  # type: ignore[arg-type]
    predictor.batch_sizes = sizes.append

    def one(number: int) -> bool:
        frame = np.zeros((12, 36, 3), np.uint8)
        frame[..., 2 - number % 3] = number % 256  # BGR
        done: Future[Any] = Future()
        predictor.submit(frame, done.set_result)
        [row] = done.result(20)
        return row[number % 3] == number % 256

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(300)))
    predictor.close()
    assert max(sizes) > 1


def test_a_detector_whose_output_has_its_batch_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="leave BATCH_SIZE unset"):
        create_predictor(str(save_colour_detector(tmp_path)), options=EngineOptions(batch_size=4))


def test_what_has_no_batch_dimension_is_refused() -> None:
    fixed = named(op.parameter([2, 3], np.float32, name="numbers"), "numbers")
    with pytest.raises(ModelError, match="only a model whose first dimension is the batch"):
        with_batch(ov.Model([op.result(fixed)], [fixed]), 4)
