from __future__ import annotations

import json

import pytest

from sedna_py import http_request as requests_module
from sedna_py.compat.inference_server import InferenceServer
from sedna_py.compat.service_client import LCClient, LCReporter, ModelClient, http_request
from sedna_py.errors import MalformedBody
from sedna_py.http_request import RequestFailed

MESSAGE = {"name": "w", "namespace": "n", "ownerName": "o", "ownerKind": "k", "kind": "inference", "results": []}


@pytest.fixture
def pauses(monkeypatch):
    slept = []
    monkeypatch.setattr(requests_module.time, "sleep", slept.append)
    return slept


def test_the_three_forms_of_an_answer(loopback):
    loopback.reply = {"a": 1}
    assert http_request(loopback.url) == {"a": 1}
    assert http_request(loopback.url, binary=False) == '{"a": 1}'
    assert http_request(loopback.url, method="post", no_decode=True, data="text") == b'{"a": 1}'
    assert [request.method for request in loopback.received] == ["GET", "GET", "POST"]
    assert loopback.received[2].body == b"text"


def test_an_answer_that_is_no_json(loopback):
    loopback.reply = b"<html>"
    with pytest.raises(RequestFailed, match="not JSON"):
        http_request(loopback.url)


@pytest.mark.parametrize(("status", "attempts"), [(500, 5), (503, 5), (429, 5), (404, 1), (422, 1)])
def test_attempts_are_bounded(loopback, pauses, status, attempts):
    loopback.status = status
    with pytest.raises(RequestFailed, match=f"status {status}"):
        http_request(loopback.url)
    assert len(loopback.received) == attempts
    assert pauses == [3.0] * (attempts - 1)


def test_a_hanging_server_is_left(loopback):
    loopback.hang = True
    with pytest.raises(RequestFailed, match="Timeout"):
        http_request(loopback.url, timeout=0.05)


def test_an_unusable_address(pauses):
    with pytest.raises(RequestFailed, match="write http://host:port/path"):
        http_request("no-scheme/path")
    assert pauses == []


def test_model_client(loopback):
    client = ModelClient("sedna", host="127.0.0.1", port=loopback.port)
    assert client.inference([1], post_process=None) == {"result": [["cloud"]]}
    assert loopback.received[0].path == "/sedna/predict"
    assert json.loads(loopback.received[0].body) == {"data": [1], "post_process": None}
    assert client.check_server_status()
    assert loopback.received[1].path == "/sedna"
    with pytest.raises(MalformedBody):
        client.inference("text")


def test_model_client_sees_a_dead_server():
    assert not ModelClient("sedna", host="127.0.0.1", port=1).check_server_status()


def test_lc_client(loopback):
    loopback.reply = {"Status": 200, "Message": "OK"}
    assert LCClient.send(loopback.url, "w", MESSAGE)["Message"] == "OK"
    assert (loopback.received[0].path, json.loads(loopback.received[0].body)) == ("/sedna/workers/w/info", MESSAGE)


def test_lc_reporter(loopback):
    loopback.reply = {"Status": 200}
    reporter = LCReporter(loopback.url, MESSAGE, period_interval=3600)
    reporter.update_for_edge_inference()
    reporter.update_for_collaboration_inference()
    reporter.start()
    reporter.stop()
    reporter.join(10)
    report = json.loads(loopback.received[0].body)
    assert {key: report[key] for key in MESSAGE} == MESSAGE
    assert report["ownerInfo"]["inferenceNumber"] == 2
    assert report["ownerInfo"]["uploadCloudRatio"] == 0.5
    assert reporter.period_increment == 0


def test_lc_reporter_keeps_what_it_could_not_send(caplog):
    reporter = LCReporter("http://127.0.0.1:1", MESSAGE, period_interval=3600)
    reporter.update_for_edge_inference()
    reporter.start()
    reporter.stop()
    reporter.join(10)
    assert not reporter.is_alive()
    assert reporter.period_increment == 1
    assert "no report to the local controller" in caplog.text


def test_lc_reporter_says_nothing_without_an_inference(loopback):
    reporter = LCReporter(loopback.url, MESSAGE, period_interval=3600)
    reporter.start()
    reporter.stop()
    reporter.join(10)
    assert loopback.received == []


def test_inference_server(monkeypatch):
    class Model:
        def inference(self, data):
            return ["served", data]

    calls = []
    monkeypatch.setattr(
        "sedna_py.compat.inference_server.find_server", lambda: lambda model, **where: calls.append((model, where))
    )
    server = InferenceServer(Model(), "sedna", http_port="5000")
    server.start()
    model, where = calls[0]
    assert where == {"host": "127.0.0.1", "port": 5000, "prefix": "sedna"}
    assert model.predict("d") == ["served", "d"]
    assert server.url == "http://127.0.0.1:5000/sedna"
