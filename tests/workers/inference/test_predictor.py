"""Both kinds of model code behind one face: answered once, serialised unless thread-safe, one-line errors at load."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sedna_py.errors import EstimatorError, MalformedBody, ModelError, SednaError
from tests.workers.inference.tiny_models import reshape_network
from workers.inference.engine import EngineOptions
from workers.inference.predictor import (
    EstimatorPredictor,
    HookPredictor,
    create_predictor,
    is_hook_estimator,
    load_estimator,
)

FRAME = np.full((4, 5, 3), (1, 2, 3), np.uint8)  # BGR


class Hooks:
    """Answers with the sum of the frame's numbers, through the reshape network."""

    labels = ("a", "b")

    def __init__(self, **failures: Any) -> None:
        self._failures = failures
        self.shape = np.array([2, 3])

    def _fail(self, hook: str) -> None:
        if hook in self._failures:
            raise self._failures[hook]

    def load(self, model_url: str) -> Any:
        self._fail("load")
        return reshape_network()

    def preprocess(self, frame: Any) -> tuple[Any, Any]:
        self._fail("preprocess")
        return {"numbers": np.full(6, frame.sum(), np.float32), "shape": self.shape}, frame.shape

    def postprocess(self, outputs: Any, meta: Any) -> Any:
        self._fail("postprocess")
        return [float(outputs["reshaped"][0, 0]), *meta]


def ask(predictor: Any, data: Any) -> Any:
    future: Future[Any] = Future()
    predictor.submit(data, future.set_result)
    return future.result(20)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Any:
    """Make predictors that are closed at the end."""

    def keep(predictor: Any) -> Any:
        request.addfinalizer(predictor.close)
        return predictor

    return keep


def test_hooks_run_around_the_engine(make: Any) -> None:
    predictor = make(HookPredictor(Hooks(), "unused", EngineOptions(streams=1)))
    assert ask(predictor, FRAME) == [120.0, 4, 5, 3]
    assert predictor.labels == ["a", "b"]
    assert (predictor.streams, predictor.requests) == (1, 5)


@pytest.mark.parametrize("hook", ["preprocess", "postprocess"])
@pytest.mark.parametrize("error", [KeyError("broken"), SystemExit(3)])
def test_a_hook_that_raises_answers_its_frame_and_no_other(make: Any, hook: str, error: BaseException) -> None:
    hooks = Hooks(**{hook: error})
    predictor = make(HookPredictor(hooks, "unused", EngineOptions(streams=1)))
    for _ in range(predictor.requests + 1):
        answer = ask(predictor, FRAME)
        assert answer is error if isinstance(error, Exception) else "exit" in str(answer)
    hooks._failures.clear()
    assert ask(predictor, FRAME) == [120.0, 4, 5, 3]


@pytest.mark.parametrize(
    "data",
    ["text", [[[1, 2, 3]]], FRAME[..., 0], FRAME[..., :2], FRAME.astype(np.float32), np.zeros((1, 2, 2, 3), np.uint8)],
)
def test_hooks_take_pictures_only(make: Any, data: Any) -> None:
    predictor = make(HookPredictor(Hooks(), "unused", EngineOptions(streams=1)))
    assert isinstance(ask(predictor, data), MalformedBody)


def test_a_failing_inference_is_an_answer(make: Any) -> None:
    hooks = Hooks()
    hooks.shape = np.array([4, 4])
    predictor = make(HookPredictor(hooks, "unused", EngineOptions(streams=1)))
    assert isinstance(ask(predictor, FRAME), RuntimeError)


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        (Hooks(preprocess=KeyError("broken")), "the model failed on its first frame: KeyError: 'broken'"),
        (Hooks(postprocess=ValueError("worse")), "the model failed on its first frame: ValueError: worse"),
    ],
)
def test_warm_up_says_what_failed(make: Any, hooks: Hooks, says: str) -> None:
    predictor = make(HookPredictor(hooks, "unused", EngineOptions(streams=1)))
    with pytest.raises(EstimatorError, match=says):
        predictor.warm_up()


def test_warm_up_hears_of_a_failure_inside_the_model(make: Any) -> None:
    hooks = Hooks()
    hooks.shape = np.array([4, 4])
    with pytest.raises(EstimatorError) as caught:
        make(HookPredictor(hooks, "unused", EngineOptions(streams=1))).warm_up()
    assert "conflicts with the reshape pattern" in str(caught.value)
    assert "\n" not in str(caught.value)


class Busy:
    """Notes how many calls it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.all_in = threading.Event()
        self.wanted = 3
        self.seen: list[Any] = []

    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == self.wanted:
                self.all_in.set()
        self.all_in.wait(0.02 if self.wanted > 3 else 10)
        with self.lock:
            self.now -= 1
        self.seen.append(data)
        return [1]


class ThreadSafe(Busy):
    thread_safe = True


def test_an_estimator_has_one_call_at_a_time(make: Any) -> None:
    busy = Busy()
    busy.wanted = 99
    predictor = make(EstimatorPredictor(busy, requests=3))
    assert predictor.requests == 1
    answers: list[Future[Any]] = [Future() for _ in range(6)]
    callers = [threading.Thread(target=predictor.submit, args=(["x"], a.set_result)) for a in answers]
    for caller in callers:
        caller.start()
    assert [a.result(20) for a in answers] == [[1]] * 6
    for caller in callers:
        caller.join()
    assert busy.most == 1


def test_a_thread_safe_estimator_has_several(make: Any) -> None:
    safe = ThreadSafe()
    predictor = make(EstimatorPredictor(safe, requests=3))
    assert predictor.requests == 3
    answers: list[Future[Any]] = [Future() for _ in range(3)]
    for answer in answers:
        predictor.submit(["x"], answer.set_result)
    assert [a.result(20) for a in answers] == [[1]] * 3
    assert safe.most == 3


def test_an_estimator_gets_frames_in_rgb_and_everything_else_as_it_is(make: Any) -> None:
    busy = Busy()
    busy.wanted = 1
    predictor = make(EstimatorPredictor(busy))
    tensor = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for data in (FRAME, tensor, ["question"]):
        ask(predictor, data)
    assert busy.seen[0][0, 0].tolist() == [3, 2, 1]
    assert busy.seen[0].flags.c_contiguous
    assert busy.seen[1] is tensor
    assert busy.seen[2] == ["question"]


@pytest.mark.parametrize("error", [ZeroDivisionError("nothing"), SystemExit(2)])
def test_an_estimator_that_raises_answers_and_lives_on(make: Any, error: BaseException) -> None:
    class Raises(Busy):
        def predict(self, data: Any, **kwargs: Any) -> Any:
            if data == ["bad"]:
                raise error
            return data

    predictor = make(EstimatorPredictor(Raises()))
    for _ in range(4):
        assert isinstance(ask(predictor, ["bad"]), Exception)
    assert ask(predictor, ["good"]) == ["good"]


def test_a_closed_estimator_refuses_without_blocking() -> None:
    before = set(threading.enumerate())
    predictor = EstimatorPredictor(Busy())
    predictor.close()
    for _ in range(5):
        assert isinstance(ask(predictor, ["x"]), EstimatorError)
    assert set(threading.enumerate()) == before


def test_the_two_forms_are_told_apart() -> None:
    assert is_hook_estimator(Hooks)
    assert is_hook_estimator(Hooks())
    assert not is_hook_estimator(Busy)


def test_upstream_code_may_load_without_an_argument() -> None:
    class NoArgument:
        def load(self) -> None:
            self.loaded = True

        def predict(self, data: Any) -> Any: ...

    assert load_estimator(NoArgument, "m").loaded


USER_CODE = """
from pathlib import Path
import numpy as np

class Upstream:
    def load(self, model_url=""):
        if "bad" in model_url:
            raise OSError("first line\\nsecond line")
    def predict(self, data, **kwargs):
        return data

class Hooks:
    def __init__(self, *needed): pass
    def load(self, model_url): return Path(model_url)
    def preprocess(self, frame): return {}, None
    def postprocess(self, outputs, meta): return []

class LoadRaises(Hooks):
    def load(self, model_url): raise KeyError("broken")

class ReturnsNothing(Hooks):
    def load(self, model_url): pass

class FailsWarm(Hooks):
    def load(self, model_url):
        from tests.workers.inference.tiny_models import reshape_network
        return reshape_network()
    def preprocess(self, frame): return {"numbers": np.zeros(6, np.float32), "shape": np.array([2, 3])}, None
    def postprocess(self, outputs, meta): raise ValueError("cold")

class NeedsMore(Hooks):
    def __init__(self, path): pass

class UpstreamNeedsMore(Upstream):
    def __init__(self, path): pass
"""


@pytest.fixture
def user_code(tmp_path: Path) -> Path:
    file = tmp_path / "user_code.py"
    file.write_text(USER_CODE)
    (tmp_path / "model.tflite").write_bytes(b"TFL3")
    (tmp_path / "bad.tflite").write_bytes(b"TFL3")
    return file


def test_upstream_code_is_found_and_loaded(make: Any, user_code: Path) -> None:
    predictor = make(create_predictor("anything", estimator=f"{user_code}:Upstream"))
    assert isinstance(predictor, EstimatorPredictor)
    assert ask(predictor, ["hello"]) == ["hello"]


def test_code_may_lie_beside_the_model(make: Any, user_code: Path) -> None:
    predictor = make(create_predictor(str(user_code.with_name("model.tflite")), estimator="user_code.py:Upstream"))
    assert ask(predictor, "found") == "found"


@pytest.mark.parametrize(
    ("name", "model", "kind", "says"),
    [
        ("Upstream", "bad.tflite", EstimatorError, "bad.tflite': OSError: second line"),
        ("UpstreamNeedsMore", "model.tflite", EstimatorError, "path"),
        ("NeedsMore", "model.tflite", EstimatorError, "could not load .*path"),
        ("LoadRaises", "model.tflite", EstimatorError, "could not load .*KeyError: 'broken'"),
        ("ReturnsNothing", "model.tflite", ModelError, "NoneType where a model belongs"),
        ("FailsWarm", "model.tflite", EstimatorError, "failed on its first frame: ValueError: cold"),
        ("Hooks", "model.tflite", ModelError, "not a model that OpenVINO can run"),
        ("Hooks", "missing.tflite", ModelError, "no model at .*MODEL_URL"),
        ("Unknown", "model.tflite", EstimatorError, "has no 'Unknown'"),
    ],
)
def test_load_errors_are_one_line(user_code: Path, name: str, model: str, kind: type[SednaError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        create_predictor(str(user_code.parent / model), estimator=f"{user_code}:{name}")
    assert "\n" not in str(caught.value)
    assert not [t for t in threading.enumerate() if t.name.startswith(("infer", "estimator"))]


def teardown_module() -> None:
    sys.modules.pop("_sedna_user_user_code", None)
