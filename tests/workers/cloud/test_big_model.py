"""BigModel by itself: attach, drain, close, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from workers.cloud.big_model import BigModel, Limits, NotReady, Stages
from workers.inference.predictor import EstimatorPredictor, create_predictor

JSON = "application/json"
BODY = b'{"data": ["q"]}'


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def ask(model: BigModel) -> asyncio.Task[list[Any]]:
    return asyncio.create_task(model.predict(BODY, JSON, Stages()))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - bounded by `run`
        await asyncio.sleep(0.002)


def test_not_ready_ready_draining(gate: Any) -> None:
    async def scenario() -> None:
        model = BigModel(Limits())
        assert model.not_ready() == "the model is being loaded"
        with pytest.raises(NotReady, match="being loaded"):
            await ask(model)
        gate.opened.set()
        model.attach(EstimatorPredictor(gate))
        assert model.not_ready() is None
        assert await ask(model) == [1]
        model.drain()
        assert model.not_ready() == "the worker is shutting down"
        assert await ask(model) == [1]  # somebody sent it before he knew
        model.close()
        with pytest.raises(NotReady, match="shutting down"):
            await ask(model)
        assert model.admission.in_flight == 0

    run(scenario)


def test_closing_what_was_never_attached() -> None:
    model = BigModel(Limits())
    model.close()
    assert model.not_ready() == "the worker is shutting down"


def test_concurrency_is_the_models_unless_it_is_said(gate: Any) -> None:
    async def scenario(concurrency: int, expected: int) -> None:
        model = BigModel(Limits(concurrency=concurrency, waiting=9))
        model.attach(EstimatorPredictor(gate, requests=3))
        requests = [ask(model) for _ in range(9)]
        await until(lambda: model.admission.in_flight + model.admission.waiting == 9)
        assert model.admission.in_flight == expected
        gate.opened.set()
        assert await asyncio.gather(*requests) == [[1]] * 9
        await asyncio.to_thread(model.close)
        gate.opened.clear()

    run(lambda: scenario(0, 3))
    run(lambda: scenario(2, 2))
    run(lambda: scenario(5, 3))  # more than it can use would only block


def test_close_waits_for_the_model_and_answers_who_waits_for_a_slot(gate: Any) -> None:
    async def scenario() -> None:
        before = set(threading.enumerate())
        model = BigModel(Limits(concurrency=1, waiting=3))
        model.attach(EstimatorPredictor(gate, requests=1))
        inside, *waiting = (ask(model) for _ in range(3))
        await until(lambda: (model.admission.in_flight, model.admission.waiting) == (1, 2))
        closing = threading.Thread(target=model.close)
        closing.start()
        await until(lambda: model.not_ready() is not None)
        assert closing.is_alive()
        assert not inside.done()
        gate.opened.set()
        assert await inside == [1]
        for request in waiting:
            with pytest.raises(NotReady):
                await request
        closing.join(10)
        assert (model.admission.in_flight, model.admission.waiting) == (0, 0)
        assert {t for t in set(threading.enumerate()) - before if t.name.startswith(("decode", "estimator"))} == set()

    run(scenario)


def test_an_answer_after_the_loop_has_gone_harms_nobody(gate: Any) -> None:
    model = BigModel(Limits())

    async def scenario() -> None:
        model.attach(EstimatorPredictor(gate))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(model), 0.02)

    asyncio.run(scenario())
    gate.opened.set()
    model.close()  # warnings are errors: an exception in a thread would fail this test


def test_close_ends_every_thread_of_a_real_model(model_path: str) -> None:
    before = set(threading.enumerate())

    async def scenario() -> None:
        model = BigModel(Limits())
        model.attach(create_predictor(model_path))
        row = b"[[255, 0, 0], [255, 0, 0], [255, 0, 0], [255, 0, 0], [255, 0, 0]]"
        picture = b'{"data": [' + b", ".join([row] * 5) + b"]}"
        requests = [model.predict(picture, JSON, Stages()) for _ in range(5)]
        assert all(result[0][5] == 0 for result in await asyncio.gather(*requests))
        model.close()

    run(scenario)
    assert set(threading.enumerate()) == before
