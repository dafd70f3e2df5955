"""The edge's side of the Open Inference Protocol: one picture out, detections in, from whichever server answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.pictures import decode_detections, decode_result, encode_picture_request
from sedna_py.protocol.open_inference.request import RequestedOutput, decode_request
from sedna_py.protocol.open_inference.response import InferResponse, encode_response
from sedna_py.protocol.open_inference.tensors import Tensor

JPEG = b"\xff\xd8\xff\xd9"
ROWS = [[1.0, 2.0, 3.5, 4.0, 0.75, 2.0], [0.0, 0.0, 9.0, 9.0, 0.5, 0.0]]


def _reply(*outputs: Tensor) -> tuple[bytes, int | None]:
    return encode_response(InferResponse("m", outputs), True)


def _rows(name: str, rows: object = ROWS, dtype: type = np.float32) -> Tensor:
    return Tensor.of_array(name, np.array(rows, dtype))


def _result(text: str, name: str = "result") -> Tensor:
    return Tensor.of_bytes(name, [text.encode()])


def test_a_picture_is_one_element_and_the_answer_is_wanted_in_the_binary_form():
    body, headers = encode_picture_request(JPEG)
    assert headers["Content-Type"] == "application/octet-stream"
    request = decode_request(body, int(headers["Inference-Header-Content-Length"]))
    assert [(one.name, one.datatype, one.shape, one.data) for one in request.inputs] == [
        ("image", "BYTES", (1,), [JPEG])
    ]
    assert request.binary_names(["anything"]) == {"anything"}
    body, headers = encode_picture_request(JPEG, input_name="pixels", output_name="boxes")
    request = decode_request(body, int(headers["Inference-Header-Content-Length"]))
    assert request.inputs[0].name == "pixels"
    assert request.outputs == (RequestedOutput("boxes", binary_data=True),)


@pytest.mark.parametrize(
    "outputs",
    [
        [_rows("detections"), Tensor.of_array("counts", np.array([2]))],
        [_rows("detections", dtype=np.float64), _result("[]")],
        [_result(json.dumps(ROWS)), _rows("other", [[0.0] * 6])],
        [_rows("output0", [ROWS])],
        [_rows("output0")],
        [_result(json.dumps(ROWS), "text")],
    ],
)
def test_detections_are_found_in_the_answers_of_many_servers(outputs):
    assert decode_detections(*_reply(*outputs)) == ROWS


def test_an_output_may_be_named():
    reply = _reply(_rows("detections", [[0.0] * 6]), _rows("boxes"))
    assert decode_detections(*reply, output_name="boxes") == ROWS
    with pytest.raises(MalformedBody, match="no output 'nothing', its outputs are: 'detections', 'boxes'"):
        decode_detections(*reply, output_name="nothing")


def test_no_detections_are_an_answer():
    assert decode_detections(*_reply(Tensor.of_array("detections", np.zeros((0, 6), np.float32)))) == []
    assert decode_detections(*_reply(_result("[]"))) == []


def test_results_that_are_no_detections_are_left_as_they_are():
    reply = _reply(_result('["an answer", {"score": 0.5}]'))
    assert decode_result(*reply) == ["an answer", {"score": 0.5}]
    with pytest.raises(MalformedBody, match="not rows of 6 numbers"):
        decode_detections(*reply)


@pytest.mark.parametrize(
    "output",
    [
        _rows("detections", [[np.nan] * 6]),
        _rows("detections", [[-np.inf] * 6]),
        _result('["x", NaN]'),
        _result('["x", {"score": [0.5, 1e999]}]'),
        _result("[-1e999]"),
    ],
)
def test_numbers_that_are_not_finite_are_refused_in_any_result(output):
    with pytest.raises(MalformedBody):
        decode_result(*_reply(output))


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [_rows("a"), _rows("b")],
        [_rows("detections", [[1.0] * 5])],
        [_rows("detections", [1.0] * 6)],
        [_rows("detections", [ROWS, ROWS])],
        [_rows("detections", dtype=np.int64)],
        [_rows("detections", [[np.nan] * 6])],
        [_rows("detections", [[np.inf] * 6])],
        [Tensor.of_bytes("result", [b"[]", b"[]"])],
        [Tensor.of_bytes("result", [])],
        [Tensor.of_bytes("result", [b"\xff"])],
        [_result("{}")],
        [_result("[" * 100_000)],
        [_result("[[1, 2, 3, 4, 0.5]]")],
        [_result('[[1, 2, 3, 4, 0.5, "car"]]')],
        [_result("[[1, 2, 3, 4, true, 1]]")],
        [_result("[[1, 2, 3, 4, NaN, 1]]")],
        [_result("[[1, 2, 3, 4, 1e999, 1]]")],
        [_result(f"[[1, 2, 3, 4, 1{'0' * 400}, 1]]")],
    ],
)
def test_other_answers_are_refused(outputs):
    with pytest.raises(MalformedBody):
        decode_detections(*_reply(*outputs))
