from __future__ import annotations

import pytest

from sedna_py import big_model_service
from sedna_py.big_model_service import BigModelService, ServedModel, find_server
from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.errors import ModelError, SednaError, SettingsError


class Estimator:
    thread_safe = True

    def load(self, model_url=""):
        self.model_url = model_url

    def predict(self, data, **kwargs):
        return [self.model_url, data, kwargs]


@pytest.fixture
def served(monkeypatch):
    calls = []
    monkeypatch.setattr(big_model_service, "find_server", lambda: lambda model, **where: calls.append((model, where)))
    return calls


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"host": "0.0.0.0", "port": 5000, "prefix": "sedna"}),
        (
            {"BIG_MODEL_BIND_IP": "127.0.0.1", "BIG_MODEL_BIND_PORT": "5001", "JOB_NAME": "other"},
            {"host": "127.0.0.1", "port": 5001, "prefix": "other"},
        ),
    ],
)
def test_where_it_listens(worker_environment, served, environment, expected):
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none", **environment)
    BigModelService(Estimator).start()
    model, where = served[0]
    assert where == expected
    assert model.predict("d") == ["m", "d", {}]
    assert model.thread_safe


def test_a_missing_model_is_not_served(worker_environment, served):
    worker_environment(MODEL_URL="/no/such.pb", MODEL_PATH="/no/such.pb")
    with pytest.raises(ModelError, match=r"^/no/such.pb miss$"):
        BigModelService(Estimator).start()
    assert served == []


def test_a_bad_port(worker_environment, served):
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none", BIG_MODEL_BIND_PORT="none")
    with pytest.raises(SettingsError, match="BIG_MODEL_BIND_PORT"):
        BigModelService(Estimator).start()


def test_a_subclass_may_infer_itself(worker_environment):
    class Own(BigModelService):
        def inference(self, data=None, post_process=None, **kwargs):
            return ["own", data]

    worker_environment()
    assert ServedModel(Own(Estimator)).predict("d") == ["own", "d"]


def test_inference_with_post_processing(worker_environment):
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none")
    service = BigModelService(Estimator())
    service.load_model()
    assert service.inference("d", k=1) == ["m", "d", {"k": 1}]
    assert service.inference("d", post_process=len) == 3
    ClassFactory.register_cls(len, ClassType.CALLBACK, "big_model_test_len")
    assert service.inference("d", post_process="big_model_test_len") == 3


def test_training_does_nothing_but_say_so(worker_environment, caplog):
    worker_environment()
    assert BigModelService(Estimator).train([1]) is None
    assert "does not train" in caplog.text


class _Entry:
    name = "fastapi"
    value = "workers.cloud.estimator_server:serve_estimator"

    def load(self):
        raise ImportError("No module named 'fastapi'")


@pytest.mark.parametrize("found", [[], [_Entry()]])
def test_without_a_server_it_says_what_to_install(monkeypatch, found):
    monkeypatch.setattr(big_model_service, "entry_points", lambda group: found)
    with pytest.raises(SednaError, match=r"run: pip install 'sedna-py\[cloud\]'"):
        find_server()
