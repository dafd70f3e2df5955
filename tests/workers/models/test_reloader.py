"""A changed model is served once it is whole; the one before goes on until then, and is closed after the switch."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sedna_py.errors import ModelError
from tests.workers.models.serving import NEVER_SETTLED, QUICK, FakePredictor, Serving, put, until
from workers.models.reloader import MOST_CHANGES, Reloader, ReloadTimes
from workers.models.version_folder import Candidate, ModelPlace


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(bounded())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_worker_starts_with_the_highest_version_that_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, text in ((1, "one"), (2, "two"), (3, "broken")):
        put(tmp_path, f"{version}/m.xml", text)

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch, poll=False) as reloader:
            assert serving.happened == ["load broken", "refuse 3", "load two", "switch two"]
            assert (reloader.status.version, reloader.status.loads) == ("2", 1)
            assert await reloader.reload_now() == reloader.status
            assert serving.happened[4:] == []
        pinned = Serving(tmp_path, version=1)
        async with pinned.running(monkeypatch, poll=False):
            assert pinned.happened == ["load one", "switch one"]

    run(scenario())


def test_a_worker_with_no_model_that_can_be_loaded_says_why_the_best_one_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(url: Path) -> None:
        async with Serving(url).running(monkeypatch):
            pass

    with pytest.raises(ModelError, match="no model at"):
        run(scenario(tmp_path / "missing"))
    put(tmp_path, "1/m.xml", "broken one")
    put(tmp_path, "2/m.xml", "broken two")
    with pytest.raises(ModelError, match=r"^broken two is not a model$"):
        run(scenario(tmp_path))


def test_each_change_is_loaded_once_and_the_old_model_closed_after_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch) as reloader:
            first = reloader.status
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "close one" in serving.happened)
            await serving.more_looks()
            put(tmp_path, "2/m.xml", "two changed")
            await until(lambda: "close two" in serving.happened)
            await serving.more_looks()
            assert serving.happened == [
                *("load one", "switch one"),
                *("load two", "switch two", "close one"),
                *("load two changed", "switch two changed", "close two"),
            ]
            assert (reloader.status.version, reloader.status.loads) == ("2", 3)
            assert reloader.status.since >= first.since > 0
        assert not serving.happened[8:], "the served model is the server's to close"

    run(scenario())


def test_the_old_model_gets_to_end_what_is_under_way_before_a_third_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "m.onnx", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path / "m.onnx", ReloadTimes(period_s=0.01, settle_s=0.0, close_s=0.05, stop_s=5.0))
        async with serving.running(monkeypatch) as reloader:
            assert serving.serves is not None
            idle = serving.serves.idle
            idle.clear()
            put(tmp_path, "m.onnx", "two")
            await until(lambda: "switch two" in serving.happened)
            put(tmp_path, "m.onnx", "three")
            await until(lambda: any("still busy after 0.05 s" in line for line in warnings(caplog)))
            assert (await reloader.reload_now()).loads == 2
            idle.set()
            await until(lambda: "close two" in serving.happened)
            assert serving.happened[4:] == ["close one", "load three", "switch three", "close two"]

    run(scenario())


def test_reload_now_waits_until_the_old_model_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch, poll=False) as reloader:
            assert serving.serves is not None
            idle = serving.serves.idle
            idle.clear()
            put(tmp_path, "2/m.xml", "two")
            assert (await reloader.reload_now()).version == "2"
            put(tmp_path, "3/m.xml", "three")
            asked = asyncio.create_task(reloader.reload_now())
            done, _ = await asyncio.wait({asked}, timeout=0.1)
            assert not done
            idle.set()
            assert (await asked).version == "3"

    run(scenario())


def test_a_copy_in_progress_is_not_loaded_until_somebody_vouches_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path, NEVER_SETTLED)
        async with serving.running(monkeypatch) as reloader:
            put(tmp_path, "2/m.bin", "weights, and no graph yet")
            await serving.more_looks()
            put(tmp_path, "2/m.xml", "two")
            await serving.more_looks()
            assert serving.happened == ["load one", "switch one"]
            assert (await reloader.reload_now()).version == "2"
            await until(lambda: serving.happened[2:] == ["load two", "switch two", "close one"])

    run(scenario())


def test_a_broken_model_is_refused_once_and_tried_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch) as reloader:
            put(tmp_path, "2/m.xml", "broken\n  at a line")
            await until(lambda: "refuse 2" in serving.happened)
            await serving.more_looks()
            assert serving.happened[2:] == ["load broken\n  at a line", "refuse 2"]
            line = "broken; at a line is not a model"
            assert serving.reasons == [line]
            assert warnings(caplog) == [f"version 2 of the model is refused: {line}; version 1 goes on"]
            status = reloader.status
            assert (status.version, status.refused_version, status.refused_because) == ("1", "2", line)
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "close one" in serving.happened)
            assert (reloader.status.version, reloader.status.refused_version) == ("2", None)

    run(scenario())


@pytest.mark.parametrize("broken", ["two models", "checksum", "exit", "another's error"])
def test_whatever_is_wrong_with_a_model_the_one_before_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    put(tmp_path, "1/m.xml", "one")
    says = {
        "two models": "/2' cannot be served: it holds 2 models (m.xml, n.xml)",
        "checksum": "m.xml' has sha256 3fc4ccfe7458, and SHA256SUMS wants 000000000000",
        "exit": "the estimator called exit",
        "another's error": "KeyError: 'weights'",
    }

    def fail(candidate: Candidate) -> None:
        raise SystemExit if broken == "exit" else KeyError("weights")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch, poll=False) as reloader:
            put(tmp_path, "2/m.xml", "two")
            if broken == "two models":
                put(tmp_path, "2/n.xml", "two")
            elif broken == "checksum":
                put(tmp_path, "2/SHA256SUMS", f"{'0' * 64}  m.xml\n")
            else:
                serving.during_load = fail
            assert (await reloader.reload_now()).version == "1"
            assert says[broken] in serving.reasons[0]
            shutil.rmtree(tmp_path / "2")
            assert (await reloader.reload_now()).refused_version is None

    run(scenario())


def test_a_removed_version_is_served_on_from_memory_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "3/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch):
            shutil.rmtree(tmp_path / "3")
            await until(lambda: bool(warnings(caplog)))
            await serving.more_looks()
            gone = "the files of version 3 are gone; version 3 of the model goes on from memory"
            assert warnings(caplog) == [gone]
            assert serving.happened == ["load one", "switch one"]

    run(scenario())


def test_removing_the_highest_version_goes_back_to_the_one_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")
    put(tmp_path, "2/m.xml", "two")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch) as reloader:
            (tmp_path / "2/m.xml").unlink()  # a folder that is being filled anew is not taken back
            await serving.more_looks()
            assert reloader.status.version == "2"
            (tmp_path / "2").rmdir()
            await until(lambda: "close two" in serving.happened)
            assert serving.happened == ["load two", "switch two", "load one", "switch one", "close two"]
            assert (reloader.status.version, reloader.status.loads) == ("1", 2)

    run(scenario())


def test_a_model_that_changes_while_it_is_loaded_is_not_served_but_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch):

            def interfere(candidate: Candidate) -> None:
                serving.during_load = lambda candidate: None
                put(tmp_path, "2/m.bin", "later")

            serving.during_load = interfere
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "close one" in serving.happened)
            assert serving.happened[2:] == ["load two", "close two", "load two", "switch two", "close one"]

    run(scenario())


def test_code_that_writes_beside_its_model_at_each_load_starts_but_does_not_load_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path, during_load=lambda candidate: put(candidate.path, "cache", "new"))
        async with serving.running(monkeypatch):
            await until(lambda: "refuse 1" in serving.happened)
            await serving.more_looks()
            assert serving.happened == [
                *("load one", "switch one"),
                *["load one", "close one"] * MOST_CHANGES,
                "refuse 1",
            ]
            assert "write nothing into the model's folder" in serving.reasons[0]

    run(scenario())


def test_a_switch_that_fails_has_not_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "1/m.xml", "one")

    def fail() -> None:
        raise RuntimeError("no room")

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch) as reloader:
            serving.during_switch = fail
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "close two" in serving.happened)
            await serving.more_looks()
            assert sorted(serving.happened[2:]) == ["close two", "load two", "refuse 2"]
            assert (reloader.status.version, reloader.status.refused_because) == ("1", "RuntimeError: no room")

    run(scenario())


def test_stop_does_not_wait_for_a_load_whose_model_is_closed_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")
    goes_on = threading.Event()

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch) as reloader:
            serving.during_load = lambda candidate: assert_true(goes_on.wait(20))
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "load two" in serving.happened)
            async with asyncio.timeout(2):
                await reloader.stop()
            goes_on.set()
            await until(lambda: "close two" in serving.happened)
            assert await reloader.reload_now() == reloader.status
            assert serving.happened == ["load one", "switch one", "load two", "close two"]

    run(scenario())


def test_stop_leaves_an_old_model_behind_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        serving = Serving(tmp_path, ReloadTimes(period_s=0.01, settle_s=0.0, stop_s=0.05))
        async with serving.running(monkeypatch) as reloader:
            assert serving.serves is not None
            idle = serving.serves.idle
            idle.clear()
            put(tmp_path, "2/m.xml", "two")
            await until(lambda: "switch two" in serving.happened)
            async with asyncio.timeout(2):
                await reloader.stop()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            idle.set()
            await until(lambda: serving.happened[-1] == "close one")

    run(scenario())


def test_a_load_that_takes_too_long_is_refused_and_its_model_closed_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")
    goes_on = threading.Event()

    async def scenario() -> None:
        serving = Serving(tmp_path, ReloadTimes(period_s=0.01, settle_s=0.0, load_s=0.05))
        serving.during_load = lambda candidate: assert_true(goes_on.wait(20))
        with pytest.raises(ModelError, match=r"not loaded within 0\.05 s"):
            async with serving.running(monkeypatch):
                pass
        goes_on.set()
        await until(lambda: serving.happened == ["load one", "refuse 1", "close one"])

    run(scenario())


def test_a_caller_of_reload_now_who_goes_away_does_not_end_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1/m.xml", "one")
    goes_on = threading.Event()

    async def scenario() -> None:
        serving = Serving(tmp_path)
        async with serving.running(monkeypatch, poll=False) as reloader:
            serving.during_load = lambda candidate: assert_true(goes_on.wait(20))
            put(tmp_path, "2/m.xml", "two")
            caller = asyncio.create_task(reloader.reload_now())
            await until(lambda: "load two" in serving.happened)
            caller.cancel()
            await asyncio.wait({caller})
            assert caller.cancelled()
            goes_on.set()
            await until(lambda: "close one" in serving.happened)
            assert reloader.status.version == "2"

    run(scenario())


def test_looking_goes_on_after_an_error_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "1/m.xml", "one")

    async def scenario() -> None:
        async def switch(predictor: Any, candidate: Candidate) -> None:
            pass

        def refused(candidate: Candidate, reason: str) -> None:
            raise RuntimeError("the callback's")

        loaded: list[str] = []

        def load(candidate: Candidate) -> FakePredictor:
            loaded.append(candidate.version)
            if candidate.version == "2":
                raise ModelError("broken")
            return FakePredictor(candidate.version, [])

        reloader = Reloader(ModelPlace(str(tmp_path)), load, switch, refused, QUICK)
        await reloader.load_first()
        reloader.start()
        put(tmp_path, "2/m.xml", "two")
        await until(lambda: "looking for a new model failed" in warnings(caplog))
        put(tmp_path, "3/m.xml", "three")
        await until(lambda: reloader.status.version == "3")
        await reloader.stop()
        assert loaded == ["1", "2", "3"]

    run(scenario())


def assert_true(value: bool) -> None:
    assert value
