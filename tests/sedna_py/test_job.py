from __future__ import annotations

import pytest

from sedna_py.job import JobBase, find_post_process


class Estimator:
    def predict(self, data):
        return [data]

    def evaluate(self, data, scale=1):
        return {"score": scale}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("sedna", "sedna", "sedna")),
        ({"SERVICE_NAME": "helmet"}, ("sedna", "sedna", "sedna")),
        ({"JOB_NAME": "", "SERVICE_NAME": "helmet"}, ("helmet", "helmet", "helmet")),
        ({"JOB_NAME": "job", "WORKER_NAME": "w", "NAMESPACE": "n"}, ("job", "w", "n")),
    ],
)
def test_identity(worker_environment, environment, expected):
    worker_environment(**environment)
    job = JobBase(Estimator())
    assert (job.job_name, job.worker_name, job.namespace) == expected


def test_inference_and_evaluation(worker_environment):
    worker_environment()
    job = JobBase(Estimator())
    assert job.inference("d", ignored=1) == ["d"]
    assert job.inference("d", post_process=len) == 1
    assert job.evaluate("d", scale=3, ignored=1) == {"score": 3}
    assert job.evaluate("d", post_process=len) == 1


def test_config_replaces_the_environment(worker_environment, monkeypatch):
    worker_environment(WORKER_NAME="w")
    monkeypatch.setattr("sedna_py.context.BaseConfig.worker_name", "w")  # put back after the test
    assert JobBase(Estimator(), config={"worker_name": "other"}).worker_name == "other"


def test_report_without_a_controller_is_only_logged(worker_environment, caplog):
    worker_environment(LC_SERVER="http://127.0.0.1:1")
    JobBase(Estimator()).report_task_info(None, "running")
    JobBase(Estimator()).report_task_info({"not": {"json"}}, "running")
    assert caplog.text.count("the report was not sent") == 2


@pytest.mark.parametrize("given", [None, len])
def test_post_process_as_it_is(given):
    assert find_post_process(given) is given


def test_post_process_by_name():
    with pytest.raises(ValueError, match="no post_process_callback is called 'no_such'"):
        find_post_process("no_such")


def test_a_hot_update_that_is_asked_for_is_not_ignored_in_silence(worker_environment, caplog):
    worker_environment(MODEL_HOT_UPDATE="True")
    JobBase(Estimator())
    assert "MODEL_HOT_UPDATE is not supported" in caplog.text
