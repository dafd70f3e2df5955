from __future__ import annotations

import logging

import pytest

from sedna_py.errors import ModelError
from sedna_py.model_loading import ModelLocation, call_with_data, find_model, load_estimator


class Recorder:
    def __init__(self):
        self.loaded = "never"

    def load(self, model_url=""):
        self.loaded = model_url

    def predict(self, data):
        return data


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (ModelLocation("https://api/v1", load_mode="https"), "https://api/v1"),
        (ModelLocation("Qwen/Q", load_mode="hf", path_in_folder="/other"), "Qwen/Q"),
        (ModelLocation(None, load_mode="hf"), ""),
        (ModelLocation("/no/such", path_in_folder="/other/m.pb"), "/other/m.pb"),
        (ModelLocation(None, path_in_folder="/other/m.pb"), "/other/m.pb"),
        (ModelLocation("/models", file_name="m.xml"), "/models/m.xml"),
        (ModelLocation("/models", backend="TENSORFLOW"), "/models/model_finetune_tensorflow.pb"),
        (ModelLocation("/models", backend="MINDSPORE"), "/models/model_finetune_mindspore.ckpt"),
        (ModelLocation("/models", backend="SKLEARN"), "/models/model_finetune_.pkl"),
    ],
)
def test_where_the_model_is(location, expected):
    assert find_model(location) == expected


def test_a_file_comes_before_model_path(tmp_path):
    file = tmp_path / "m.pb"
    file.touch()
    assert find_model(ModelLocation(str(file), path_in_folder="/other")) == str(file)


def test_no_model_at_all():
    with pytest.raises(ModelError, match="MODEL_URL is not set"):
        find_model(ModelLocation(None))


def test_a_missing_file_is_upstreams_error():
    with pytest.raises(FileExistsError, match=r"^/no/such\.pb miss$"):
        load_estimator(Recorder, ModelLocation("/no/such.pb", path_in_folder="/no/such.pb"))


@pytest.mark.parametrize("given", [Recorder, Recorder(), lambda: Recorder()], ids=["class", "instance", "factory"])
def test_class_instance_and_factory_are_loaded(given, tmp_path):
    file = tmp_path / "m.pb"
    file.touch()
    assert load_estimator(given, ModelLocation(str(file), backend="TENSORFLOW")).loaded == str(file)


def test_a_load_without_arguments_gets_none():
    class Plain:
        loaded = False

        def load(self):
            self.loaded = True

        def predict(self, data):
            return data

    assert load_estimator(Plain, ModelLocation("x", load_mode="hf")).loaded


def test_an_estimator_without_load_is_taken_as_it_is():
    class Bare:
        def predict(self, data):
            return data

    assert isinstance(load_estimator(Bare, ModelLocation("x", load_mode="hf")), Bare)


def test_torch_loads_without_a_path():
    assert load_estimator(Recorder, ModelLocation("x", load_mode="hf", backend="TORCH")).loaded == ""


def test_torch_survives_a_failed_load_and_says_so(caplog):
    class Broken(Recorder):
        def load(self, model_url=""):
            raise RuntimeError("no weights")

    with caplog.at_level(logging.ERROR):
        assert isinstance(load_estimator(Broken, ModelLocation("x", load_mode="hf", backend="TORCH")), Broken)
    assert "no weights" in caplog.text
    with pytest.raises(RuntimeError, match="no weights"):
        load_estimator(Broken, ModelLocation("x", load_mode="hf"))


def _any_keyword(data, **kwargs):
    return data, kwargs


def _one_keyword(data, scale=1):
    return data, {"scale": scale}


def _other_name(frame):
    return frame, {}


def _named_only(*, data):
    return data, {}


def _everything(*args, **kwargs):
    return args[0], kwargs


@pytest.mark.parametrize(
    ("function", "kwargs", "expected"),
    [
        (_any_keyword, {"a": 1}, {"a": 1}),
        (_one_keyword, {"scale": 2, "other": 3}, {"scale": 2}),
        (_other_name, {"other": 3}, {}),
        (_named_only, {"other": 3}, {}),
        (_everything, {"a": 1}, {"a": 1}),
    ],
)
def test_predict_gets_what_it_takes(function, kwargs, expected):
    assert call_with_data(function, "d", kwargs) == ("d", expected)
