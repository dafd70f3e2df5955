"""JointInference against a real loopback server: upstream's table of results and counters, and what is on the wire."""

from __future__ import annotations

import json
import socket
import time

import numpy as np
import pytest

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter
from sedna_py.errors import FilterError, ModelError, SettingsError
from sedna_py.joint_inference import JointInference
from sedna_py.protocol import npy

LATER, FIRST = "inference-then-mining", "mining-then-inference"
FRAME = np.array([[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]], np.uint8)
CLOUD, REPLY = [["cloud"]], {"result": [["cloud"]]}
RAW, SHOWN = ["raw"], ["raw", "shown"]


class Estimator:
    def __init__(self):
        self.loaded = None
        self.calls = []

    def load(self, model_url=""):
        self.loaded = model_url

    def predict(self, data, **kwargs):
        self.calls.append((data, kwargs))
        return ["raw"]


def show(result):
    result.append("shown")  # in place: the raw answer must not change
    return result


@pytest.fixture
def start(worker_environment, loopback):
    """Start a JointInference whose cloud is the loopback server; `port` replaces it."""
    started = []

    def make(filter_name=None, mode=LATER, estimator=Estimator, **environment):
        variables = {"MODEL_URL": "model", "MODEL_LOAD_MODE": "none", "MINING_MODE": mode}
        address = {"BIG_MODEL_IP": "127.0.0.1", "BIG_MODEL_PORT": loopback.port}
        worker_environment(**{**variables, **address, **environment})
        mining = {"method": filter_name} if filter_name else None
        started.append(JointInference(estimator=estimator, hard_example_mining=mining))
        return started[-1]

    yield make
    for job in started:
        job.close()


def refusing_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize(
    ("mode", "filter_name", "status", "expected", "counts"),
    [
        (LATER, None, 200, [False, SHOWN, RAW, None], (1, 0)),
        (LATER, "EdgeOnly", 200, [False, SHOWN, RAW, None], (1, 0)),
        (LATER, "CloudOnly", 200, [True, CLOUD, RAW, CLOUD], (2, 1)),
        (LATER, "CloudOnly", 500, [True, SHOWN, RAW, None], (2, 1)),
        (FIRST, "EdgeOnly", 200, [False, SHOWN, RAW, None], (1, 0)),
        (FIRST, "CloudOnly", 200, [True, REPLY, None, REPLY], (1, 1)),
        (FIRST, "CloudOnly", 500, [True, SHOWN, RAW, None], (1, 1)),
    ],
)
def test_the_table(start, loopback, mode, filter_name, status, expected, counts):
    loopback.status = status
    job = start(filter_name, mode)
    answer = job.inference(FRAME, post_process=show)
    assert answer == expected
    assert type(answer) is list
    assert type(answer[0]) is bool
    assert job.counts == InferenceCounts(*counts)


def parameters(**values):
    return json.dumps([{"key": key, "value": value} for key, value in values.items()])


@pytest.mark.parametrize("mode", [LATER, FIRST])
def test_a_cap_keeps_the_edges_answer(start, loopback, mode):
    job = start(None, mode, HEM_NAME="CloudOnly", HEM_PARAMETERS=parameters(cap="0.01 fps"))
    answers = [job.inference(FRAME) for _ in range(3)]
    assert [answer[0] for answer in answers] == [True] * 3
    assert [answer[3] is None for answer in answers] == [False, True, True]
    assert [answer[1] for answer in answers[1:]] == [RAW, RAW]
    assert len(loopback.received) == 1


def test_a_budget_holds_a_share_of_the_examples(start, loopback):
    class Boxes(Estimator):
        def predict(self, data, **kwargs):
            return [[0, 0, 1, 1, 0.9, 0]]  # easy for the filter's own threshold, all of them

    job = start(None, estimator=Boxes, HEM_NAME="Threshold", HEM_PARAMETERS=parameters(budget="25%"))
    assert sum(job.inference(FRAME)[0] for _ in range(80)) == pytest.approx(20, abs=1)
    assert len(loopback.received) == pytest.approx(20, abs=1)


def test_a_budget_of_bits_is_told_what_was_sent(start, loopback):
    job = start(None, HEM_NAME="CrossEntropy", HEM_PARAMETERS=parameters(budget="800 kbit/s"))
    job.hard_example_mining_algorithm.wrapped = lambda _: True
    while not loopback.received:
        job.inference(FRAME)
    assert job.hard_example_mining_algorithm.figures()[0].spent > 0


def test_a_budget_that_cannot_be_kept_is_refused(start):
    with pytest.raises(FilterError, match="budget needs a filter with a score"):
        start(None, HEM_NAME="Random", HEM_PARAMETERS=parameters(budget="25%"))


@pytest.mark.parametrize("data", [FRAME, FRAME.tolist(), FRAME.astype(np.float32), ["question"]])
@pytest.mark.parametrize("mode", [LATER, FIRST])
def test_lists_and_arrays_reach_the_cloud(start, loopback, mode, data):
    assert start("CloudOnly", mode).inference(data)[3] is not None
    sent = json.loads(loopback.received[0].body)["data"]
    assert sent == (data.tolist() if isinstance(data, np.ndarray) else data)


def test_the_contracts_body(start, loopback):
    start("CloudOnly").inference(FRAME)
    request = loopback.received[0]
    assert (request.method, request.path) == ("POST", "/sedna/predict")
    assert request.headers["content-type"] == "application/json"
    literal = '{"data": [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]], "post_process": null}'
    # White space between the numbers is free in JSON; everything else is literal.
    assert b"".join(request.body.split()) == literal.replace(" ", "").encode()


def test_the_prefix_is_the_job_name(start, loopback):
    start("CloudOnly", JOB_NAME="other").inference(FRAME)
    assert loopback.received[0].path == "/other/predict"


def test_keyword_arguments_go_both_ways(start, loopback):
    job = start("CloudOnly")
    job.inference(["q"], temperature=0.5)
    assert job.estimator.calls == [(["q"], {"temperature": 0.5})]
    assert json.loads(loopback.received[0].body) == {"data": ["q"], "post_process": None, "temperature": 0.5}


def test_a_callable_post_process_stays_here(start, loopback):
    assert start("CloudOnly").inference(["q"], post_process=show) == [True, CLOUD, RAW, CLOUD]
    assert json.loads(loopback.received[0].body) == {"data": ["q"], "post_process": None}


@pytest.mark.parametrize(("opted_in", "more"), [("", {}), ("true", {"callback": "ji_test_show"})])
def test_a_named_post_process_runs_in_the_cloud_only_if_asked_for(start, loopback, opted_in, more):
    ClassFactory.register_cls(show, ClassType.CALLBACK, "ji_test_show")
    job = start("CloudOnly", CLOUD_POST_PROCESS=opted_in)
    assert job.inference(["q"], post_process="ji_test_show")[2] == RAW
    assert json.loads(loopback.received[0].body) == {"data": ["q"], "post_process": "ji_test_show", **more}


def test_an_unknown_post_process_is_an_error_of_the_script(start):
    with pytest.raises(ValueError, match="no_such_callback"):
        start().inference(["q"], post_process="no_such_callback")


def test_npy_if_asked_for(start, loopback):
    start("CloudOnly", OFFLOAD_FORMAT="npy").inference(FRAME)
    assert loopback.received[0].headers["content-type"] == "application/x-npy"
    assert np.array_equal(npy.decode(loopback.received[0].body, max_bytes=100), FRAME)


def test_the_reply_unwrapped_if_asked_for(start):
    assert start("CloudOnly", FIRST, UNWRAP_CLOUD_REPLY="true").inference(["q"]) == [True, CLOUD, None, CLOUD]


def test_hard_frames_counted_once_if_asked_for(start):
    job = start("CloudOnly", COUNT_HARD_ONCE="true")
    job.inference(FRAME)
    assert job.counts == InferenceCounts(1, 1)


def test_the_mode_is_read_at_each_call(start, monkeypatch):
    job = start("CloudOnly", LATER)
    assert job.inference(FRAME)[2] == RAW
    monkeypatch.setenv("MINING_MODE", FIRST)
    assert job.inference(FRAME)[2] is None
    monkeypatch.setenv("MINING_MODE", "both")
    with pytest.raises(ValueError, match="Invalid MINING_MODE"):
        job.inference(FRAME)


def test_mining_first_needs_a_filter(start):
    with pytest.raises(ValueError, match="Hard example mining algorithm is not set"):
        start(None, FIRST).inference(FRAME)


@pytest.mark.parametrize(
    "body", [b"", b"no json", b'{"result": "text"}', b'{"result": null}', b"[]", b'{"result": [NaN]}']
)
def test_a_reply_that_is_none_is_a_failure(start, loopback, body):
    loopback.reply = body
    assert start("CloudOnly").inference(FRAME) == [True, RAW, RAW, None]


def test_pods_are_asked_where_dns_names_them(start, loopback, monkeypatch):
    """The address of the Service refuses; localhost stands for a headless Service with one pod."""
    job = start("CloudOnly", BIG_MODEL_PORT=refusing_port(), BIG_MODEL_PODS=f"localhost:{loopback.port}")
    limit = time.monotonic() + 10
    while job.inference(FRAME)[3] is None and time.monotonic() < limit:
        time.sleep(0.01)
    assert job.inference(FRAME) == [True, CLOUD, RAW, CLOUD]


@pytest.mark.parametrize("mode", [LATER, FIRST])
def test_a_refusing_cloud_costs_nothing(start, mode):
    job = start("CloudOnly", mode, BIG_MODEL_PORT=refusing_port())
    begun = time.monotonic()
    answers = [job.inference(FRAME) for _ in range(50)]
    assert time.monotonic() - begun < 5  # upstream: 12 s for each of them
    assert answers == [[True, RAW, RAW, None]] * 50


def test_a_hanging_cloud_is_waited_for_twice_and_then_not_at_all(start, loopback):
    loopback.hang = True
    job = start("CloudOnly", OFFLOAD_DEADLINE_MS=200)
    begun = time.monotonic()
    answers = [job.inference(FRAME) for _ in range(20)]
    assert answers == [[True, RAW, RAW, None]] * 20
    assert time.monotonic() - begun < 20 * 0.2
    assert len(loopback.received) <= 3  # two that were waited for, and one probe on a machine that is very slow


def test_the_filter_of_the_environment(start):
    parameters = json.dumps([{"key": "threshold_img", "value": "0.9"}, {"key": "threshold_box", "value": "0.8"}])
    job = start(HEM_NAME="IBT", HEM_PARAMETERS=parameters)
    chosen = JointInference.get_hem_algorithm_from_config(threshold_img=0.5)
    assert chosen == {"method": "IBT", "param": {"threshold_img": 0.5, "threshold_box": "0.8"}}
    assert job.hard_example_mining_algorithm([[0, 0, 1, 1, 0.1, 0]])
    assert not job.hard_example_mining_algorithm([[0, 0, 1, 1, 0.95, 0]])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"HEM_PARAMETERS": "[]"}, {}),
        ({"HEM_NAME": "Random", "HEM_PARAMETERS": "null"}, {"method": "Random", "param": {}}),
        ({"HEM_NAME": "Random", "HEM_PARAMETERS": "{"}, {"method": "Random", "param": {}}),
    ],
)
def test_hem_from_config(worker_environment, environment, expected):
    worker_environment(**environment)
    assert JointInference.get_hem_algorithm_from_config() == expected


def test_the_filter_sees_the_post_processed_answer(start):
    seen = []

    @ClassFactory.register(ClassType.HEM, alias="ji_test_recording")
    class Recording:
        def __call__(self, result):
            seen.append(result)
            return False

    start("ji_test_recording").inference(FRAME, post_process=show)
    assert seen == [SHOWN]


def test_what_is_wrong_is_said_at_the_start(worker_environment):
    worker_environment(MODEL_URL="/no/such.pb")
    with pytest.raises(ModelError, match=r"miss$"):
        JointInference(estimator=Estimator)
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none")
    with pytest.raises(FilterError, match="unknown filter 'Nope'"):
        JointInference(estimator=Estimator, hard_example_mining={"method": "Nope"})
    with pytest.raises(SettingsError, match="has no estimator"):
        JointInference()
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none", BIG_MODEL_PODS="http://pods")
    with pytest.raises(SettingsError, match="BIG_MODEL_PODS"):
        JointInference(estimator=Estimator)
    worker_environment(MODEL_URL="m", MODEL_LOAD_MODE="none", OFFLOAD_FORMAT="bmp")
    with pytest.raises(SettingsError, match="OFFLOAD_FORMAT"):
        JointInference(estimator=Estimator)


def test_attributes_of_the_job(start):
    job = start(WORKER_NAME="edgeworker-x7k2m", NAMESPACE="factory")
    assert (job.job_kind, job.job_name, job.worker_name) == ("jointinferenceservice", "sedna", "edgeworker-x7k2m")
    assert (job.namespace, job.model_path, job.model_load_mode) == ("factory", "model", "none")
    assert (job.lc_server, job.estimator.loaded) == ("http://127.0.0.1:9100", "model")
    assert job.get_parameters("worker_name") == "edgeworker-x7k2m"
    assert job.get_parameters("no_such", "fallback") == "fallback"
    bare = start()
    assert (bare.worker_name, bare.namespace) == ("sedna", "sedna")


def test_counts_are_reported_to_the_local_controller(start, loopback, monkeypatch):
    # The only report has no time-out that a busy machine could reach.
    monkeypatch.setitem(LocalControllerReporter.__init__.__kwdefaults__, "timeout_s", 20.0)
    job = start(LC_SERVER=loopback.url, LC_PERIOD=3600, WORKER_NAME="edgeworker-1", NAMESPACE="factory")
    job.inference(FRAME)
    run = job._loop.run
    monkeypatch.setattr(job._loop, "run", lambda coroutine, timeout_s: run(coroutine, timeout_s=20.0))
    job.close()
    request = loopback.received[-1]
    report = json.loads(request.body)
    assert request.path == "/sedna/workers/edgeworker-1/info"
    assert (report["name"], report["namespace"], report["ownerName"]) == ("edgeworker-1", "factory", "sedna")
    assert report["ownerInfo"]["inferenceNumber"] == 1


def test_a_dead_local_controller_disturbs_nobody(start):
    job = start(LC_SERVER=f"http://127.0.0.1:{refusing_port()}", LC_PERIOD=0.01)
    assert job.inference(FRAME) == [False, RAW, RAW, None]
    job.close()
    job.close()


def test_an_unusable_local_controller_disturbs_nobody(start, caplog):
    assert start(LC_SERVER="localhost:9100").inference(FRAME) == [False, RAW, RAW, None]
    assert "no reports are sent: LC_SERVER is 'localhost:9100'; write http://host:port" in caplog.text


def test_a_dead_cloud_is_not_logged_for_every_example(start, caplog):
    job = start("CloudOnly", BIG_MODEL_PORT=refusing_port())
    for _ in range(20):
        job.inference(FRAME)
    assert caplog.text.count("get cloud result error") == 2


def test_as_a_context_manager(start):
    with start("CloudOnly") as job:
        assert job.inference(FRAME)[3] == CLOUD
    assert job.inference(FRAME) == [True, RAW, RAW, None]


def test_report_task_info(start, loopback):
    job = start(LC_SERVER=loopback.url, WORKER_NAME="w")
    job.report_task_info({"done": 1}, "running", [{"url": "m"}], kind="eval")
    sent = json.loads(loopback.received[-1].body)
    assert sent == {
        "name": "w",
        "namespace": "sedna",
        "ownerName": "sedna",
        "ownerKind": "jointinferenceservice",
        "kind": "eval",
        "status": "running",
        "results": [{"url": "m"}],
        "ownerInfo": {"done": 1},
    }
    loopback.status = 500
    job.report_task_info(None, "failed")
    assert len(loopback.received) == 2
