"""AsyncEngine on a real compiled model: every caller hears exactly once, whatever happens inside."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from sedna_py.errors import ModelError
from tests.workers.inference.tiny_models import passing_network, reshape_network, static_network
from workers.inference.engine import AsyncEngine, EngineOptions, PlainInput, compile_model, last_line


def good(first: float = 0.0) -> dict[str, Any]:
    return {"numbers": np.arange(first, first + 6, dtype=np.float32), "shape": np.array([2, 3])}


def fails_inside(number: int) -> dict[str, Any]:
    # Another shape every time: the CPU plugin (2026.4) skips its check for the shape that failed last in the same stream.
    return {"numbers": np.zeros(6, np.float32), "shape": np.array([number + 7, 7])}


FAILS_AT_START = [
    {"numbers": np.zeros((2, 2, 2), np.float32), "shape": np.array([2, 3])},
    {"no such input": np.zeros(6, np.float32)},
]


@pytest.fixture
def engine() -> Iterator[AsyncEngine]:
    engine = AsyncEngine(compile_model(reshape_network(), EngineOptions(streams=2)))
    yield engine
    engine.close()


def ask(engine: AsyncEngine, inputs: Any) -> Future[Any]:
    future: Future[Any] = Future()

    def keep(outcome: Any) -> None:
        future.set_result(outcome if isinstance(outcome, Exception) else {k: v.copy() for k, v in outcome.items()})

    engine.submit(inputs, keep)
    return future


def test_two_threads_prepare_and_two_pieces_of_work_wait_beyond_the_streams(engine: AsyncEngine) -> None:
    assert engine.streams == 2
    assert engine.requests == 6


@pytest.mark.parametrize(("streams", "threads", "running"), [(2, 0, 4), (2, 2, 2), (1, 1, 1), (1, 2, 2)])
def test_no_more_threads_than_may_run_at_once_but_a_line_before_them(streams: int, threads: int, running: int) -> None:
    compiled = compile_model(reshape_network(), EngineOptions(streams=streams))
    before = set(threading.enumerate())
    engine = AsyncEngine(compiled, threads)
    try:
        assert len(set(threading.enumerate()) - before) == running
        assert engine.requests == running + 2
        let_go = threading.Event()
        answers = [
            ask(engine, lambda: good() if let_go.wait(20) else {}) for _ in range(engine.requests)
        ]  # none waits here
        let_go.set()
        assert all(isinstance(answer.result(20), dict) for answer in answers)
    finally:
        engine.close()


def test_outputs_hold_until_done_returns(engine: AsyncEngine) -> None:
    held, let_go = threading.Semaphore(0), threading.Event()
    seen: list[tuple[Any, Any]] = []

    def hold(outputs: Any) -> None:
        before = outputs["reshaped"].tolist()
        held.release()
        let_go.wait(10)
        seen.append((before, outputs["reshaped"].tolist()))

    engine.submit(good(0), hold)
    assert held.acquire(timeout=10)
    for start in range(10):
        ask(engine, good(100.0 * start)).result(10)
    let_go.set()
    engine.close()
    assert seen == [([[0, 1, 2], [3, 4, 5]], [[0, 1, 2], [3, 4, 5]])]


def test_inputs_may_be_prepared_in_the_engines_thread(engine: AsyncEngine) -> None:
    threads: list[str] = []

    def prepare() -> Any:
        threads.append(threading.current_thread().name)
        return good(7)

    assert ask(engine, prepare).result(10)["reshaped"].tolist() == [[7, 8, 9], [10, 11, 12]]
    assert threads != [threading.current_thread().name]

    def fails() -> Any:
        raise KeyError("no such frame")

    assert isinstance(ask(engine, fails).result(10), KeyError)


def test_an_output_without_a_name_is_called_as_its_node() -> None:
    engine = AsyncEngine(compile_model(reshape_network(names=False), EngineOptions()))
    try:
        assert list(ask(engine, good()).result(10)) == ["the result"]
    finally:
        engine.close()


def test_several_threads_each_get_their_own_answers(engine: AsyncEngine) -> None:
    def caller(number: int) -> bool:
        starts = [1000.0 * number + i for i in range(50)]
        answers = [ask(engine, good(start)) for start in starts]
        return [a.result(30)["reshaped"][0, 0] for a in answers] == starts

    with ThreadPoolExecutor(6) as callers:
        assert all(callers.map(caller, range(6)))


@pytest.mark.parametrize("bad", [fails_inside, lambda number: FAILS_AT_START[0], lambda number: FAILS_AT_START[1]])
def test_a_failed_inference_is_told_at_once_and_spoils_nothing(engine: AsyncEngine, bad: Callable[[int], Any]) -> None:
    # More failures than requests: each must have given its request back, fit for use.
    for number in range(engine.requests + 2):
        assert isinstance(ask(engine, bad(number)).result(10), Exception)
        assert ask(engine, good(7)).result(10)["reshaped"].tolist() == [[7, 8, 9], [10, 11, 12]]


def test_good_and_bad_mixed_from_several_threads_are_answered_exactly_once(engine: AsyncEngine) -> None:
    calls: collections.Counter[int] = collections.Counter()
    kinds: dict[int, bool] = {}
    left = threading.Semaphore(0)
    lock = threading.Lock()

    def done_for(number: int) -> Callable[[Any], None]:
        def done(outcome: Any) -> None:
            with lock:
                calls[number] += 1
                kinds[number] = isinstance(outcome, Exception)
            left.release()

        return done

    def inputs(number: int) -> dict[str, Any]:
        if number % 3:
            return good()
        return [fails_inside(number), *FAILS_AT_START][number % 9 // 3]

    def caller(offset: int) -> None:
        for number in range(offset, 120, 4):
            engine.submit(inputs(number), done_for(number))

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(caller, range(4)))
    assert all(left.acquire(timeout=30) for _ in range(120))
    engine.close()
    assert calls == collections.Counter(range(120))
    assert kinds == {number: number % 3 == 0 for number in range(120)}


def test_a_callback_that_raises_does_not_harm_the_engine(engine: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    def raises(outcome: Any) -> None:
        raise ValueError("in the callback")

    for _ in range(engine.requests + 1):
        engine.submit(good(), raises)
    assert ask(engine, good(3)).result(10)["reshaped"][0, 0] == 3
    assert "could not be delivered" in caplog.text


def test_submit_waits_while_all_requests_are_busy(engine: AsyncEngine) -> None:
    let_go = threading.Event()
    arrived = threading.Semaphore(0)

    def prepare() -> dict[str, Any]:
        let_go.wait(30)
        return good()

    for _ in range(engine.requests):
        engine.submit(prepare, lambda outcome: arrived.release())
    one_more = threading.Thread(target=engine.submit, args=(good(), lambda outcome: arrived.release()))
    one_more.start()
    try:
        assert not arrived.acquire(timeout=0.1)
        assert one_more.is_alive()
    finally:
        let_go.set()
        one_more.join(10)
    assert not one_more.is_alive()
    assert all(arrived.acquire(timeout=10) for _ in range(engine.requests + 1))


def test_who_hears_an_answer_may_submit_the_next_work_at_once(engine: AsyncEngine) -> None:
    finished = threading.Event()

    def again(outcome: Any) -> None:
        engine.submit(good(), lambda outcome: finished.set())

    let_go = threading.Event()
    for _ in range(engine.requests):  # every place is taken when the first answer comes
        engine.submit(lambda: good() if let_go.wait(20) else {}, again)
    let_go.set()
    assert finished.wait(20)


def test_close_waits_ends_the_threads_and_refuses_more() -> None:
    before = set(threading.enumerate())
    engine = AsyncEngine(compile_model(reshape_network(), EngineOptions(streams=1)))
    answers = [ask(engine, good(i)) for i in range(5)]
    engine.close()
    assert all(answer.done() for answer in answers)
    assert set(threading.enumerate()) == before
    for _ in range(engine.requests + 1):  # does not run out of requests, either
        assert isinstance(ask(engine, good()).result(0), ModelError)


def test_options_become_properties() -> None:
    free = {"ENABLE_CPU_PINNING": False}
    assert EngineOptions().properties() == {"PERFORMANCE_HINT": "THROUGHPUT", **free}
    assert EngineOptions(streams=3).properties() == {"NUM_STREAMS": 3, **free}
    assert EngineOptions(streams=3, threads=2).properties() == {"NUM_STREAMS": 3, "INFERENCE_NUM_THREADS": 2, **free}
    assert EngineOptions(threads=1).properties() == {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": 1,
        **free,
    }
    assert EngineOptions("GPU", threads=1).properties() == {"PERFORMANCE_HINT": "THROUGHPUT"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one cpu for everybody")
def test_no_thread_is_bound_to_a_cpu_while_it_computes() -> None:
    script = [sys.executable, "-m", "tests.workers.inference.bound_threads"]
    finished = subprocess.run(script, check=True, timeout=60, stdout=subprocess.PIPE)
    masks = json.loads(finished.stdout)
    assert masks["during"] == masks["before"]


@pytest.mark.parametrize(
    ("model", "device", "says"),
    [
        (None, "CPU", "NoneType where a model belongs"),
        (Path("/no/such/model.xml"), "CPU", "'/no/such/model.xml' is not a model that OpenVINO can run"),
        ("/no/such/model.xml", "CPU", "'/no/such/model.xml' is not a model"),
        (reshape_network(), "ABACUS", "'reshape' is not a model that OpenVINO can run"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(model: Any, device: str, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        compile_model(model, EngineOptions(device))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"), [("Exception from a.cpp:1:\n\n  the cause  \n\n", "the cause"), ("", "RuntimeError")]
)
def test_last_line(text: str, line: str) -> None:
    assert last_line(RuntimeError(text)) == line


def test_only_what_fits_the_only_input_as_it_is_goes_there_without_a_look() -> None:
    plain = PlainInput.of(compile_model(static_network(), EngineOptions(streams=1)))
    assert PlainInput.of(compile_model(reshape_network(), EngineOptions(streams=1))) is None  # of two inputs
    for odd in (ov.Type.bf16, ov.Type.string):  # NumPy has no such numbers
        assert PlainInput.of(compile_model(passing_network(odd), EngineOptions(streams=1))) is None
    assert plain is not None
    row = np.ones((2, 3), np.float32)
    assert plain.picked({"numbers": row}) is row
    read_only = row.copy()
    read_only.flags.writeable = False
    others: list[dict[Any, Any]] = [
        {"other": row},
        {"numbers": row, "more": row},
        {"numbers": row.astype(np.float64)},
        {"numbers": np.ones((3, 2), np.float32)},
        {"numbers": np.ones((3, 2), np.float32).T},
        {"numbers": read_only},
        {"numbers": row.tolist()},
        {0: row},
        {},
    ]
    assert [plain.picked(given) for given in others] == [None] * len(others)


@pytest.mark.parametrize(
    "given", [np.ones((2, 3), np.float32), np.ones((3, 2), np.float64).T, np.ones((2, 3), np.uint8)]
)
def test_a_model_with_one_input_of_one_shape_answers_the_same_to_whatever_becomes_it(given: Any) -> None:
    engine = AsyncEngine(compile_model(static_network(), EngineOptions(streams=1)))
    try:
        for _ in range(3):
            assert ask(engine, {"numbers": np.zeros((2, 3), np.float32)}).result(10)["doubled"].sum() == 0
            assert ask(engine, {"numbers": given}).result(10)["doubled"].tolist() == [[2.0] * 3] * 2
    finally:
        engine.close()
