"""The reloader with real models: the worker's own loading, its answers before and after, and memory that goes back."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.inference.tiny_models import MODEL_INFO, save_colour_detector
from tests.workers.models.serving import until
from workers.inference.engine import EngineOptions
from workers.inference.predictor import HookPredictor, Predictor, create_predictor
from workers.models import memory
from workers.models.memory import give_memory_back, let_go
from workers.models.reloader import Reloader, ReloadTimes
from workers.models.threads import in_daemon_thread
from workers.models.version_folder import Candidate, ModelPlace

RED = np.zeros((8, 8, 3), np.uint8)
RED[..., 2] = 255  # BGR


def test_a_served_model_is_replaced_by_a_whole_one_and_not_by_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed = threading.Event()
    monkeypatch.setattr(memory, "give_memory_back", trimmed.set)
    save_colour_detector(tmp_path / "1")
    serves: list[Any] = []
    refused: list[str] = []

    def load(candidate: Candidate) -> Predictor:
        return create_predictor(str(candidate.path), options=EngineOptions(streams=1))

    async def switch(predictor: Predictor, candidate: Candidate) -> None:
        serves[:] = [predictor]

    def ask(predictor: HookPredictor) -> Any:
        answer: Future[Any] = Future()
        predictor.submit(RED, answer.set_result)
        return answer.result(20)

    async def scenario() -> None:
        times = ReloadTimes(period_s=0.02, settle_s=0.05)
        reloader = Reloader(ModelPlace(str(tmp_path)), load, switch, lambda _, reason: refused.append(reason), times)
        await reloader.load_first()
        reloader.start()
        try:
            assert serves[0].labels == ["red", "green", "blue"]
            whole = save_colour_detector(tmp_path / "whole", model_info={**MODEL_INFO, "labels": "cherry lime sky"})
            half = whole.read_bytes()[: whole.stat().st_size // 2]
            (tmp_path / "2").mkdir()
            (tmp_path / "2" / "model.xml").write_bytes(half)
            await until(lambda: bool(refused))
            assert "cannot be read as a model" in refused[0]
            assert len(await asyncio.to_thread(ask, serves[0])) == 1
            old, threads = weakref.ref(serves[0]), list(serves[0]._engine._threads)
            whole.with_suffix(".bin").rename(tmp_path / "2" / "model.bin")
            whole.rename(tmp_path / "2" / "model.xml")
            await until(lambda: reloader.status.version == "2")
            assert serves[0].labels == ["cherry", "lime", "sky"]
            assert await asyncio.to_thread(ask, serves[0]) == [[0.0, 0.0, 3.0, 8.0, 1.0, 0.0]]
            await until(lambda: old() is None)
            await until(trimmed.is_set)
            assert not any(thread.is_alive() for thread in threads)
        finally:
            await reloader.stop()
            serves[0].close()
        assert (reloader.status.loads, reloader.status.refused_version) == (2, None)

    asyncio.run(scenario())


class Model:
    """Something that a cycle keeps alive."""

    def __init__(self) -> None:
        self.cycle = self


def test_memory_is_given_back_when_the_last_holder_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed = threading.Event()
    monkeypatch.setattr(memory, "give_memory_back", trimmed.set)
    monkeypatch.setattr(memory, "LAST_HOLDERS_S", 600.0)
    model = Model()
    held: list[Any] = [model]
    thread = threading.Thread(target=let_go, args=(held,), daemon=True)
    thread.start()
    assert not trimmed.wait(0.1)
    model.__dict__.clear()
    del model
    assert trimmed.wait(20), "it waited longer than for the holder"
    thread.join()
    assert held == []


def test_what_only_a_cycle_keeps_alive_is_collected() -> None:
    model = Model()
    reference, held = weakref.ref(model), [model]
    del model
    gc.disable()  # by itself
    try:
        let_go(held)
        assert reference() is None
    finally:
        gc.enable()


def test_a_holder_that_never_goes_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LAST_HOLDERS_S", 0.01)
    model = Model()
    let_go([model])
    let_go([object()])  # of which there can be no weak reference
    assert model.cycle is model


def test_memory_stays_where_there_is_no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    assert give_memory_back() in (True, False)

    def no_library(name: object) -> object:
        raise OSError

    monkeypatch.setattr(memory.ctypes, "CDLL", no_library)
    assert give_memory_back() is False
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert give_memory_back() is False


def test_what_comes_after_nobody_waits_any_more_goes_to_whoever_closes_it() -> None:
    goes_on, dropped = threading.Event(), [threading.Event(), threading.Event()]

    async def scenario() -> None:
        late = in_daemon_thread(lambda: goes_on.wait(20), "late", lambda _: dropped[0].set())
        late.cancel()
        await asyncio.wait({late})
        goes_on.set()
        assert await asyncio.to_thread(dropped[0].wait, 10)
        ended = threading.Event()
        just_done = in_daemon_thread(ended.set, "just done", lambda _: dropped[1].set())
        assert ended.wait(10)  # blocks the loop: the outcome comes, and the future does not know of it
        just_done.cancel()
        await asyncio.wait({just_done})
        assert await asyncio.to_thread(dropped[1].wait, 10)

    asyncio.run(scenario())
