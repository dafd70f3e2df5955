"""What is wrong with a request, or with the answer to it: a status, a cause, a sentence, and a worker that lives on."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from workers.inference.predictor import create_predictor

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
JPEG = cv2.imencode(".jpg", PICTURE)[1].tobytes()
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()
MIB = 1024 * 1024


def png_bomb(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + PNG[33:]


def jpeg_bomb() -> bytes:
    start = JPEG.index(b"\xff\xc0")
    return JPEG[: start + 5] + struct.pack(">HH", 60000, 60000) + JPEG[start + 9 :]


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def huge_npy() -> bytes:
    return npy(np.zeros((1, 1, 3), np.uint8)).replace(b"(1, 1, 3), }      ", b"(99999, 99999, 3)}")


def data(value: Any) -> bytes:
    return json.dumps({"data": value}).encode()


def damaged(body: bytes) -> bytes:
    return body[: len(body) // 2] + bytes(40) + body[len(body) // 2 + 40 :]


def refused(worker: Any, body: Any, content_type: str, status: int, cause: str, says: str = "") -> None:
    counted = worker.metric("sedna_cloud_requests_total", outcome=cause)
    response = worker.predict(content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["cause"]) == (status, cause)
    assert says in str(response.json()["detail"])
    assert set(response.json()) == {"detail", "cause"}
    assert worker.predict(content=PNG, headers={"Content-Type": "image/png"}).status_code == 200
    assert worker.metric("sedna_cloud_requests_total", outcome=cause) == counted + 1
    worker.wait_until_idle()


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        pytest.param("image/jpeg", JPEG[:-2], "end marker is missing", id="JPEG without its end"),
        pytest.param("image/jpeg", JPEG[: len(JPEG) // 2], "end marker is missing", id="half a JPEG"),
        pytest.param("image/jpeg", JPEG[:30], "send all of it", id="a JPEG's first bytes"),
        pytest.param("image/jpeg", b"\xff\xd8\xff\xd9", "", id="an empty JPEG"),
        pytest.param("image/png", PNG[: len(PNG) // 2], "end marker is missing", id="half a PNG"),
        pytest.param("image/png", PNG[:20], "cut off", id="a PNG's first bytes"),
        pytest.param("image/png", damaged(PNG), "cannot be decoded", id="a PNG with zeros inside"),
        pytest.param("image/png", b"garbage" * 99, "send JPEG or PNG", id="garbage"),
        pytest.param("image/jpeg", b"", "send JPEG or PNG", id="nothing as JPEG"),
        pytest.param("image/png", png_bomb(0, 10), "0x10", id="a PNG without width"),
        pytest.param("application/x-npy", b"garbage", "numpy.save", id="garbage as npy"),
        pytest.param("application/x-npy", npy(PICTURE)[:-1], "send the whole file", id="npy cut off"),
        pytest.param("application/x-npy", npy(PICTURE[..., :2]), "shape (40, 50, 2)", id="npy of two channels"),
        pytest.param("application/x-npy", npy(PICTURE.astype(int) - 1), "0 to 255", id="npy with negative numbers"),
        pytest.param("application/x-npy", npy(PICTURE * np.nan), "0 to 255", id="npy of NaN"),
        pytest.param("application/x-npy", b"", "numpy.save", id="nothing as npy"),
        pytest.param("application/json", b"", "field required", id="nothing"),
        pytest.param("application/json", b"{", "type", id="cut JSON"),
        pytest.param("application/json", b"\xff\xfe\x00", "", id="JSON that is no text"),
        pytest.param("application/json", b"[]", "valid dict", id="JSON of another kind"),
        pytest.param("application/json", b'{"date": []}', "field required", id="no data"),
        pytest.param("application/json", data("text"), "valid list", id="data is text"),
        pytest.param("application/json", data({"a": 1}), "valid list", id="data is an object"),
        pytest.param("application/json", data([[[float("nan")] * 3]]), "NaN", id="NaN"),
        pytest.param("application/json", b'{"data": [[[1e999, 0, 0]]]}', "too large", id="infinity by its exponent"),
        pytest.param("application/json", b"[" * 200_000, "", id="nested for ever"),
        pytest.param("application/json", b'{"data": [], "callback": 3}', "str type", id="a callback that is a number"),
        pytest.param("application/json", data([]), "shape (0,)", id="empty data"),
        pytest.param("application/json", data([[]]), "shape (1, 0)", id="an empty row"),
        pytest.param("application/json", data(["question"]), "shape (1,)", id="text for a detector"),
        pytest.param("application/json", data([[1, 2, 3]]), "shape (1, 3)", id="two dimensions"),
        pytest.param("application/json", data([[[1, 2]]]), "shape (1, 1, 2)", id="two channels"),
        pytest.param("application/json", data([[[1, 2, 3], [1, 2]]]), "no picture", id="ragged"),
        pytest.param("application/json", data([[[1, 2, 300]]]), "0 to 255", id="300"),
        pytest.param("application/json", data([[[1, 2, -1]]]), "0 to 255", id="-1"),
        pytest.param("application/json", data([[[1, 2, 2**80]]]), "0 to 255", id="a very large number"),
        pytest.param("application/json", data([[["a", "b", "c"]]]), "0 to 255", id="letters"),
        pytest.param("application/json", data([[[None, 1, 2]]]), "0 to 255", id="null"),
        pytest.param("application/json", data([[[True, False, True]]]), "0 to 255", id="booleans"),
        pytest.param("application/json", data([[[{}, 1, 2]]]), "0 to 255", id="objects"),
    ],
)
def test_malformed(worker: Any, content_type: str, body: bytes, says: str) -> None:
    refused(worker, body, content_type, 422, "malformed_body", says)


def test_the_422_detail_of_json_is_a_list_as_upstreams(worker: Any) -> None:
    response = worker.predict(json={"date": []})
    assert response.json()["detail"] == [
        {"loc": ["body", "data"], "msg": "field required", "type": "value_error.missing"}
    ]


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "image/webp", "nonsense"])
def test_unsupported(worker: Any, content_type: str) -> None:
    refused(worker, PNG, content_type, 415, "unsupported_media_type", "application/json, image/jpeg")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", png_bomb(60000, 60000)),
        ("image/png", png_bomb(2**31 - 1, 2**31 - 1)),
        ("image/jpeg", jpeg_bomb()),
        ("application/x-npy", huge_npy()),
    ],
    ids=["PNG", "PNG at the format's limit", "JPEG", "npy"],
)
def test_bombs(worker: Any, content_type: str, body: bytes) -> None:
    refused(worker, body, content_type, 413, "body_too_large")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-npy"])
def test_too_many_pixels_as_numbers(serve: Callable[..., Any], model_path: str, content_type: str) -> None:
    worker = serve(create_predictor(model_path), pixels=1999)
    body = npy(PICTURE) if content_type == "application/x-npy" else data(PICTURE.tolist())
    response = worker.predict(content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["cause"]) == (413, "body_too_large")


def a_hundred_mib(sent: list[int]) -> Iterator[bytes]:
    for _ in range(100):
        sent[0] += 1
        yield bytes(MIB)


@pytest.mark.parametrize("announced", [True, False], ids=["Content-Length", "chunked"])
def test_a_hundred_mib_is_refused_and_worker_and_connection_live_on(worker: Any, announced: bool) -> None:
    sent = [0]
    headers = {"Content-Type": "image/jpeg"} | ({"Content-Length": str(100 * MIB)} if announced else {})
    response = worker.predict(content=a_hundred_mib(sent), headers=headers)
    assert (response.status_code, response.json()["cause"]) == (413, "body_too_large")
    assert "MAX_BODY_BYTES" in response.json()["detail"]
    connections = len(worker.server.server_state.connections)
    assert worker.predict(content=PNG, headers={"Content-Type": "image/png"}).status_code == 200
    assert len(worker.server.server_state.connections) == connections == 1


def test_a_body_of_exactly_the_limit_is_taken(serve: Callable[..., Any], model_path: str) -> None:
    worker = serve(create_predictor(model_path), body_bytes=len(PNG))
    for body, status in ((PNG, 200), (PNG + b"\n", 413)):
        assert worker.predict(content=body, headers={"Content-Type": "image/png"}).status_code == status
        assert worker.predict(content=iter([body]), headers={"Content-Type": "image/png"}).status_code == status


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e3", "99999999999"])
def test_a_bad_deadline(worker: Any, value: str) -> None:
    response = worker.predict(content=PNG, headers={"Content-Type": "image/png", "X-Deadline-Ms": value})
    assert (response.status_code, response.json()["cause"]) == (422, "malformed_body")
    assert "X-Deadline-Ms" in response.json()["detail"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/sedna/predict", 405), ("GET", "/nowhere", 404)])
def test_other_addresses(worker: Any, method: str, path: str, status: int) -> None:
    assert worker.client.request(method, path).status_code == status


def test_bytes_that_are_no_http(worker: Any) -> None:
    with worker.connect("THIS IS NOT HTTP") as connection:
        assert b" 400 " in connection.makefile("rb").readline()
    assert worker.client.get("/healthz").status_code == 200


class Returns:
    """An estimator that gives back, or raises, what the test says."""

    value: Any = None

    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> Any:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param(ValueError("no such thing"), "ValueError: no such thing", id="raises"),
        pytest.param(TimeoutError("of its own"), "TimeoutError", id="raises a time-out of its own"),
        pytest.param(SystemExit(3), "exit", id="exits"),
        pytest.param("text", "returned str; return a list", id="str"),
        pytest.param({"a": 1}, "returned dict; return a list", id="dict"),
        pytest.param(None, "returned NoneType", id="None"),
        pytest.param(np.float32(3), "returned float", id="a numpy number"),
        pytest.param([[1.0, float("nan")]], "cannot be sent", id="NaN"),
        pytest.param(np.array([np.inf]), "cannot be sent", id="an array with infinity"),
        pytest.param([object()], "cannot be sent", id="an object"),
    ],
)
def test_an_estimator_that_fails(serve: Callable[..., Any], value: Any, says: str) -> None:
    estimator = Returns()
    worker = serve(estimator)
    for _ in range(3):  # it fails every time, and costs no slot
        estimator.value = value
        response = worker.predict(json={"data": ["q"]})
        assert (response.status_code, response.json()["cause"]) == (500, "prediction_failed")
        assert says in response.json()["detail"]
        assert "\n" not in response.json()["detail"]
    estimator.value = np.array([[1, 2.5]])
    assert worker.predict(json={"data": ["q"]}).json() == {"result": [[1.0, 2.5]]}
    assert worker.metric("sedna_cloud_requests_total", outcome="prediction_failed") == 3


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (("answer",), ["answer"]),
        ([np.float32(0.5), np.int64(3), np.array([1, 2])], [0.5, 3, [1, 2]]),
        ([], []),
        ([None, {"a": "b"}, True], [None, {"a": "b"}, True]),
    ],
)
def test_what_an_estimator_may_return(serve: Callable[..., Any], value: Any, result: Any) -> None:
    estimator = Returns()
    estimator.value = value
    assert serve(estimator).predict(json={"data": ["q"]}).json() == {"result": result}


def test_hundreds_of_bad_requests_leave_nothing_behind(worker: Any) -> None:
    bodies = [(JPEG[:-9], "image/jpeg"), (b"{", "application/json"), (png_bomb(9**5, 9**5), "image/png")]
    for number in range(300):
        body, kind = bodies[number % 3]
        assert worker.predict(content=body, headers={"Content-Type": kind}).status_code in (413, 422)
    assert worker.metric("sedna_cloud_requests_in_flight") == worker.metric("sedna_cloud_requests_waiting") == 0
    assert worker.predict(content=PNG, headers={"Content-Type": "image/png"}).status_code == 200
