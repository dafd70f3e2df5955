"""Contract 5.1 over a real socket, with a real OpenVINO model behind it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.protocol.headers import parse_server_timing

# The contract's own picture: 2 x 2 pixels of blue, in RGB.
CONTRACT_BODY = b'{"data": [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]], "post_process": null}'
# The tiny model's third box, with the mean of blue (248.5 of 255) for its score.
CONTRACT_RESULT = [[1.0, 0.0, 2.0, 2.0, 0.9745, 2.0]]
LEFT_RED_RIGHT_BLUE = np.zeros((24, 30, 3), np.uint8)  # RGB
LEFT_RED_RIGHT_BLUE[:, :18] = (255, 0, 0)
LEFT_RED_RIGHT_BLUE[:, 18:] = (0, 40, 250)


class Echo:
    """Gives back what it got, and keeps it."""

    seen: Any = None

    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> Any:
        self.seen = data
        return data


def post_json(worker: Any, body: bytes, **headers: str) -> httpx.Response:
    response: httpx.Response = worker.predict(content=body, headers={"Content-Type": "application/json", **headers})
    return response


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_the_contracts_request_and_reply(worker: Any) -> None:
    response = post_json(worker, CONTRACT_BODY)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    document = json.loads(response.content)
    assert list(document) == ["result"]
    [row] = document["result"]
    assert row == pytest.approx(CONTRACT_RESULT[0], abs=1e-3)
    assert all(isinstance(number, float) for number in row)


@pytest.mark.parametrize(
    "extra",
    [b"", b', "post_process": null', b', "callback": null', b', "callback": ""', b', "frame": {"a": [1]}, "x": 1'],
)
def test_other_keys_are_ignored(worker: Any, extra: bytes) -> None:
    body = b'{"data": [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]]' + extra + b"}"
    assert post_json(worker, body).json() == post_json(worker, CONTRACT_BODY).json()


def test_a_client_that_names_no_content_type_means_json(worker: Any) -> None:
    head = f"POST /sedna/predict HTTP/1.1\nHost: x\nContent-Length: {len(CONTRACT_BODY)}\nConnection: close"
    with worker.connect(head, CONTRACT_BODY) as connection:
        reply = connection.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 200")
    assert b'{"result":[[' in reply


def test_model_info(worker: Any) -> None:
    response = worker.client.get("/sedna")
    assert response.status_code == 200
    infos = response.json()["infos"]
    assert {"path": "/sedna", "name": "model_info"} in infos
    assert {"path": "/sedna/predict", "name": "predict"} in infos


@pytest.mark.parametrize("prefix", ["helmet-detection", "/helmet-detection/", "team/helmet"])
def test_the_job_name_is_the_prefix(serve: Callable[..., Any], prefix: str) -> None:
    worker = serve(Echo(), prefix=prefix)
    path = "/" + prefix.strip("/")
    assert worker.client.post(f"{path}/predict", json={"data": ["q"]}).json() == {"result": ["q"]}
    assert worker.client.get(path).json()["infos"][0]["path"] == path
    assert worker.client.post("/sedna/predict", json={"data": ["q"]}).status_code == 404


@pytest.fixture
def same_picture() -> dict[str, bytes]:
    bgr = LEFT_RED_RIGHT_BLUE[..., ::-1]
    return {
        "application/json": json.dumps({"data": LEFT_RED_RIGHT_BLUE.tolist()}).encode(),
        "application/x-npy": npy(LEFT_RED_RIGHT_BLUE),
        "image/png": cv2.imencode(".png", bgr)[1].tobytes(),
        "image/jpeg": cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes(),
    }


def test_every_format_of_one_picture_gives_the_same_boxes(worker: Any, same_picture: dict[str, bytes]) -> None:
    results = {
        media_type: worker.predict(content=body, headers={"Content-Type": media_type}).json()["result"]
        for media_type, body in same_picture.items()
    }
    [expected] = results["image/png"]
    assert expected == pytest.approx([0, 0, 10, 24, 0.6, 0], abs=0.05)  # red, not blue: three fifths of the pixels
    assert results["application/json"] == results["application/x-npy"] == [expected]
    [from_jpeg] = results["image/jpeg"]
    assert from_jpeg == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_number_type(worker: Any, dtype: Any, order: Any) -> None:
    array = np.asarray(LEFT_RED_RIGHT_BLUE, dtype=dtype, order=order)
    response = worker.predict(content=npy(array), headers={"Content-Type": "application/x-npy"})
    assert response.json()["result"][0][5] == 0


def test_content_type_parameters_and_case_do_not_matter(worker: Any, same_picture: dict[str, bytes]) -> None:
    for kind in ("Image/PNG", "image/png; name=a.png"):
        assert worker.predict(content=same_picture["image/png"], headers={"Content-Type": kind}).status_code == 200


def test_ids_are_echoed_and_stages_timed(worker: Any) -> None:
    headers = {"X-Frame-Id": "cam-1/17", "X-Request-Id": "abc", "X-Deadline-Ms": "20000", "traceparent": "nonsense"}
    response = post_json(worker, CONTRACT_BODY, **headers)
    assert response.headers["X-Frame-Id"] == "cam-1/17"
    assert response.headers["X-Request-Id"] == "abc"
    assert "X-Deadline-Ms" not in response.headers
    timings = parse_server_timing(response.headers["Server-Timing"])
    assert set(timings) == {"read", "queue", "decode", "infer", "encode"}
    assert all(0 < ms < 20_000 for ms in timings.values())


def test_ids_are_echoed_on_errors_too(worker: Any) -> None:
    response = post_json(worker, b"{", **{"X-Frame-Id": "17"})
    assert response.status_code == 422
    assert response.headers["X-Frame-Id"] == "17"


def test_an_estimator_gets_json_as_it_was_sent_and_pictures_in_rgb(
    serve: Callable[..., Any], same_picture: dict[str, bytes]
) -> None:
    echo = Echo()
    worker = serve(echo)
    assert worker.predict(json={"data": ["what is this?"]}).json() == {"result": ["what is this?"]}
    assert worker.predict(json={"data": [[[1, 2, 3]]]}).json() == {"result": [[[1, 2, 3]]]}
    assert echo.seen == [[[1, 2, 3]]]
    for media_type in ("image/png", "application/x-npy"):
        worker.predict(content=same_picture[media_type], headers={"Content-Type": media_type})
        assert np.array_equal(echo.seen, LEFT_RED_RIGHT_BLUE)


def test_an_estimator_gets_tensors_as_they_are(serve: Callable[..., Any]) -> None:
    echo = Echo()
    worker = serve(echo)
    tensor = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    response = worker.predict(content=npy(tensor), headers={"Content-Type": "application/x-npy"})
    assert response.json()["result"] == tensor.tolist()
    assert echo.seen.dtype == np.float32


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> str:
    def keep_scores(result: Any) -> Any:
        return [row[4] for row in result]

    def fails(result: Any) -> Any:
        raise KeyError("callback")

    monkeypatch.setattr(ClassFactory, "_registry", {})
    ClassFactory.register_cls(keep_scores, ClassType.CALLBACK, "keep_scores")
    ClassFactory.register_cls(fails, ClassType.CALLBACK, "fails")
    return "keep_scores"


def test_a_registered_callback_is_applied(worker: Any, callback: str) -> None:
    body = CONTRACT_BODY.replace(b'"post_process": null', f'"callback": "{callback}"'.encode())
    assert post_json(worker, body).json()["result"] == [pytest.approx(0.9745, abs=1e-3)]


def test_a_callback_that_fails_is_a_failed_prediction(worker: Any, callback: str) -> None:
    response = post_json(worker, CONTRACT_BODY.replace(b'"post_process": null', b'"callback": "fails"'))
    assert (response.status_code, response.json()["cause"]) == (500, "prediction_failed")
    assert "KeyError" in response.json()["detail"]


def test_an_unknown_callback_is_refused(worker: Any) -> None:
    response = post_json(worker, CONTRACT_BODY.replace(b'"post_process": null', b'"callback": "nobody"'))
    assert (response.status_code, response.json()["cause"]) == (422, "malformed_body")
    assert "'nobody'" in response.json()["detail"]


def test_pages_of_every_origin_may_call(worker: Any) -> None:
    asked = {"Origin": "http://dashboard", "Access-Control-Request-Method": "POST"}
    assert worker.client.options("/sedna/predict", headers=asked).headers["access-control-allow-origin"] == "*"
    assert post_json(worker, CONTRACT_BODY, Origin="http://d").headers["access-control-allow-origin"] == "*"


def test_one_connection_serves_many_requests(worker: Any) -> None:
    for _ in range(20):
        assert post_json(worker, CONTRACT_BODY).status_code == 200
    worker.wait_for(lambda: len(worker.server.server_state.connections) == 1)


def test_probes_and_metrics(worker: Any) -> None:
    assert worker.client.get("/healthz").text == "ok\n"
    assert worker.client.get("/readyz").text == "ok\n"
    counts = [
        ("sedna_cloud_requests_total", {"outcome": "ok"}),
        ("sedna_cloud_requests_total", {"outcome": "malformed_body"}),
        ("sedna_cloud_stage_seconds_count", {"stage": "infer"}),
    ]
    before = [worker.metric(name, **labels) for name, labels in counts]
    post_json(worker, CONTRACT_BODY)
    post_json(worker, b"{")
    assert [worker.metric(name, **labels) for name, labels in counts] == [count + 1 for count in before]
    assert worker.metric("sedna_cloud_streams") >= 1
    assert worker.metric("sedna_cloud_requests_in_flight") == 0


def test_before_the_model_is_there(serve: Callable[..., Any]) -> None:
    worker = serve(None)
    assert worker.client.get("/healthz").status_code == 200
    for path in ("/readyz", "/sedna"):
        ready = worker.client.get(path)
        assert (ready.status_code, ready.json()["cause"], ready.headers["Retry-After"]) == (503, "not_ready", "1")
    response = post_json(worker, CONTRACT_BODY)
    assert (response.status_code, response.json()["cause"]) == (503, "not_ready")
    assert response.headers["Retry-After"] == "1"
    assert "being loaded" in response.json()["detail"]
