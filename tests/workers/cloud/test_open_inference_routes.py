"""Open Inference Protocol v2 over a real socket, with a real model and with upstream's kind of code behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from sedna_py.protocol.open_inference.pictures import decode_detections, encode_picture_request
from sedna_py.protocol.open_inference.request import InferRequest, RequestedOutput, encode_request
from sedna_py.protocol.open_inference.response import InferResponse, decode_response
from sedna_py.protocol.open_inference.tensors import Tensor

INFER = "/v2/models/model/infer"
LENGTH = "Inference-Header-Content-Length"


def picture(colour: int) -> Any:
    """One colour, RGB: 0 is red, 1 green, 2 blue."""
    frame = np.zeros((24, 30, 3), np.uint8)
    frame[..., colour] = 240
    return frame


def png(colour: int) -> bytes:
    return bytes(cv2.imencode(".png", picture(colour)[..., ::-1])[1])


def ask(worker: Any, request: InferRequest, *, binary: bool, path: str = INFER) -> InferResponse:
    body, length = encode_request(request, binary=binary)
    headers = {} if length is None else {LENGTH: str(length)}
    response = worker.client.post(path, content=body, headers=headers)
    assert response.status_code == 200, response.text
    said = response.headers.get(LENGTH)
    return decode_response(response.content, None if said is None else int(said))


@pytest.mark.parametrize(
    ("form", "binary"),
    [("encoded", True), ("array", True), ("one array", True), ("array", False), ("one array", False)],
)
def test_each_picture_of_a_request_has_its_rows(worker: Any, form: str, *, binary: bool) -> None:
    colours = [2] if form == "one array" else [2, 0, 1]
    if form == "encoded":
        tensor = Tensor.of_bytes("image", [png(colour) for colour in colours])
    else:
        arrays = np.stack([picture(colour) for colour in colours])
        tensor = Tensor.of_array("image", arrays[0] if form == "one array" else arrays)
    outputs = (RequestedOutput("detections", binary), RequestedOutput("counts", binary))
    answer = ask(worker, InferRequest((tensor,), outputs, id="seven"), binary=binary)
    assert (answer.model_name, answer.model_version, answer.id) == ("model", "1", "seven")
    rows, counts = (answer.output(name) for name in ("detections", "counts"))
    assert rows is not None
    assert counts is not None
    assert counts.array().tolist() == [1] * len(colours)
    assert rows.array()[:, 5].tolist() == colours
    assert rows.array()[:, 3].tolist() == [24.0] * len(colours)


def test_a_raw_binary_request_is_one_encoded_picture(worker: Any) -> None:
    response = worker.client.post(INFER, content=png(1), headers={LENGTH: "0"})
    assert decode_detections(response.content, int(response.headers[LENGTH]))[0][5] == 1


def test_what_our_own_client_writes_is_understood(worker: Any) -> None:
    body, headers = encode_picture_request(png(2))
    response = worker.client.post(INFER, content=body, headers=headers)
    said = response.headers.get(LENGTH)
    assert decode_detections(response.content, None if said is None else int(said))[0][5] == 2


def test_upstreams_kind_of_code_gets_texts_and_answers_in_json(serve: Callable[..., Any]) -> None:
    class Shout:
        def predict(self, data: Any) -> Any:
            return [text.upper() for text in data]

    worker = serve(Shout())
    request = InferRequest((Tensor.of_bytes("data", [b"who", b"are you"]),))
    [result] = ask(worker, request, binary=True).outputs
    assert (result.name, [json.loads(item) for item in result.elements()]) == ("result", [["WHO", "ARE YOU"]])
    described = worker.client.get("/v2/models/model").json()
    assert [item["name"] for item in described["inputs"]] == ["image", "data"]
    assert described["platform"] == "python"


def test_what_the_server_and_its_model_say_of_themselves(worker: Any) -> None:
    get = worker.client.get
    assert get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"ready": True}
    described = get("/v2/models/model").json()
    assert described == get("/v2/models/model/versions/1").json()
    assert (described["name"], described["versions"], described["platform"]) == ("model", ["1"], "openvino")
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [item["name"] for item in described["outputs"]] == ["detections", "counts"]
    for path in ("/v2/models/model/ready", "/v2/models/model/versions/1/ready"):
        assert get(path).json() == {"name": "model", "ready": True}
    [entry] = worker.client.post("/v2/repository/index", json={}).json()
    assert entry == {"name": "model", "version": "1", "state": "READY", "reason": ""}


def test_a_version_can_be_asked_for_by_name(worker: Any) -> None:
    body, headers = encode_picture_request(png(0))
    assert worker.client.post("/v2/models/model/versions/1/infer", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v2/models/other/infer", "there is no model 'other'; this server has 'model'"),
        ("/v2/models/model/versions/2/infer", "'model' has no version '2'; it is version '1'"),
        ("/v2/models/other", "there is no model 'other'"),
        ("/v2/models/other/ready", "there is no model 'other'"),
        ("/v2/models/model/versions/9/ready", "no version '9'"),
    ],
)
def test_what_is_not_here_is_404(worker: Any, path: str, says: str) -> None:
    body, headers = encode_picture_request(png(0))
    infers = path.endswith("infer")
    response = worker.client.post(path, content=body, headers=headers) if infers else worker.client.get(path)
    assert response.status_code == 404
    assert says in response.json()["error"]


def test_what_is_not_served_is_said_in_the_protocols_own_form_below_its_addresses_only(worker: Any) -> None:
    missing = worker.client.get("/v2/models/model/config")
    assert missing.status_code == 404
    assert missing.json()["error"].startswith("there is no '/v2/models/model/config' here; GET /v2")
    wrong = worker.client.delete("/v2/models/model")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")
    assert wrong.json() == {"error": "'/v2/models/model' takes no DELETE; use GET"}
    assert worker.client.get("/v3").json() == {"detail": "Not Found"}
    assert worker.client.get(INFER).json()["error"].endswith("takes no GET; use POST")


def test_the_schema_names_every_part_of_an_address(worker: Any) -> None:
    for path, operations in worker.client.get("/openapi.json").json()["paths"].items():
        for operation in operations.values():
            given = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)}", path)), path


def bad_requests() -> list[tuple[str, bytes, dict[str, str], int, str]]:
    def of(request: InferRequest) -> tuple[bytes, dict[str, str]]:
        body, length = encode_request(request, binary=True)
        return body, {LENGTH: str(length)}

    picture_of = encode_picture_request
    return [
        ("no JSON", b"{", {}, 400, "JSON"),
        ("a length beyond the body", b"{}", {LENGTH: "3"}, 400, ""),
        ("a length that is none", b"{}", {LENGTH: "many"}, 400, ""),
        ("another input", *of(InferRequest((Tensor.of_bytes("audio", [b"x"]),))), 400, "send 'image'"),
        ("no picture", *picture_of(b"no picture"), 400, "not an image"),
        ("half a picture", *picture_of(png(0)[:-20]), 400, "cut off"),
        ("65 pictures", *of(InferRequest((Tensor.of_bytes("image", [png(0)] * 65),))), 413, "at most 64"),
        (
            "another output",
            *of(InferRequest((Tensor.of_bytes("image", [png(0)]),), (RequestedOutput("masks"),))),
            400,
            "there is no output 'masks'",
        ),
        ("compressed", b"{}", {"Content-Encoding": "gzip"}, 415, "send the body as it is"),
    ]


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [case[1:] for case in bad_requests()],
    ids=[case[0] for case in bad_requests()],
)
def test_bad_requests_say_what_to_send(
    worker: Any, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    response = worker.client.post(INFER, content=body, headers=headers)
    assert response.status_code == status, response.text
    assert says in response.json()["error"]


def test_one_bad_picture_fails_the_request_and_leaves_nothing_behind(worker: Any) -> None:
    tensor = Tensor.of_bytes("image", [png(0), b"no picture", *[png(1)] * 20])
    body, length = encode_request(InferRequest((tensor,)), binary=True)
    response = worker.client.post(INFER, content=body, headers={LENGTH: str(length)})
    assert response.status_code == 400
    worker.wait_until_idle()
    body, headers = encode_picture_request(png(0))
    assert worker.client.post(INFER, content=body, headers=headers).status_code == 200


def test_before_the_model_is_there(serve: Callable[..., Any]) -> None:
    worker = serve(None)
    assert worker.client.get("/v2/health/live").status_code == 200
    ready = worker.client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert worker.client.post("/v2/repository/index", json={"ready": True}).json() == []
    [entry] = worker.client.post("/v2/repository/index").json()
    assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", "the model is being loaded")
    body, headers = encode_picture_request(png(0))
    response = worker.client.post(INFER, content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (503, "the model is being loaded")


def test_too_busy_is_429_with_a_time_to_come_back(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    request = InferRequest((Tensor.of_bytes("data", [b"q", b"r"]),))
    body, length = encode_request(request, binary=True)
    with worker.connect(f"POST {INFER} HTTP/1.1\nHost: x\n{LENGTH}: {length}\nContent-Length: {len(body)}", body):
        worker.wait_for(lambda: gate.calls == 1)
        response = worker.client.post(INFER, content=body, headers={LENGTH: str(length)})
        assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
        gate.opened.set()
