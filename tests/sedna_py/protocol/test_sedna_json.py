"""Sedna JSON against the bodies that upstream's client and server exchange."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol import sedna_json
from sedna_py.protocol.sedna_json import InvalidPredictRequest, PredictRequest

FRAME = [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]]
UPSTREAM_REQUEST = b'{"data": [[[12, 30, 255], [11, 29, 250]], [[10, 28, 249], [9, 27, 240]]], "post_process": null}'


def test_upstream_request_is_read():
    assert sedna_json.decode_request(UPSTREAM_REQUEST) == PredictRequest(FRAME, None)


@pytest.mark.parametrize("data", [FRAME, np.array(FRAME, np.uint8), np.array(FRAME, np.int64), tuple(FRAME)])
def test_the_same_request_is_written(data):
    assert json.loads(sedna_json.encode_request(data, post_process=None)) == json.loads(UPSTREAM_REQUEST)


def test_text_and_callback():
    body = b'{"data": ["question"], "callback": "count_boxes", "temperature": 0.5}'
    assert sedna_json.decode_request(body) == PredictRequest(["question"], "count_boxes")
    assert sedna_json.encode_request(["question"], callback="count_boxes") == (
        b'{"data":["question"],"callback":"count_boxes"}'
    )


def test_arrays_at_any_depth():
    data = [{"image": np.array([[1, 2]], np.uint8), "scale": np.float32(0.5)}, np.array(3), np.bool_(True)]
    body = sedna_json.encode_request(data, window=np.array([0.25, 1.0]))
    assert json.loads(body) == {"data": [{"image": [[1, 2]], "scale": 0.5}, 3, True], "window": [0.25, 1.0]}


@pytest.mark.parametrize("shape", [(1,), (256,), (3, 5), (4, 3, 3), (2, 3, 4, 5), (1, 1, 1, 1, 1), (0, 3), (2, 0)])
@pytest.mark.parametrize("extra", [{}, {"post_process": None}])
def test_uint8_arrays_of_any_shape(shape, extra):
    array = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    assert json.loads(sedna_json.encode_request(array, **extra)) == {"data": array.tolist(), **extra}


def test_uint8_views_are_encoded_in_their_own_order():
    array = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for view in (array[::-1, ::2], array.transpose(2, 0, 1), np.asfortranarray(array)):
        assert json.loads(sedna_json.encode_request(view)) == {"data": view.tolist()}


@pytest.mark.parametrize("data", ["text", {"a": 1}, None, 3, np.uint8(3), np.array(3), b"raw"])
def test_data_must_be_a_list(data):
    with pytest.raises(MalformedBody, match=r"data is .* give a list or an array"):
        sedna_json.encode_request(data)


def _circular():
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [
        [float("nan")],
        [float("inf")],
        [np.float32("nan")],
        np.array([[1.0, np.nan]]),
        [{1, 2}],
        [len],
        [b"bytes"],
        [np.array([None])],
        [np.array([1 + 2j])],
        [np.datetime64("2025-01-01")],
        _circular(),
    ],
)
def test_what_json_cannot_carry_is_refused_both_ways(value):
    with pytest.raises(MalformedBody):
        sedna_json.encode_request(value)
    with pytest.raises(MalformedBody):
        sedna_json.encode_reply(value)
    with pytest.raises(MalformedBody):
        sedna_json.encode_request(np.zeros((1, 1), np.uint8), extra=value)


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b"", ["body"], "value_error.missing"),
        (b"  \n", ["body"], "value_error.missing"),
        (b"{", ["body", 1], "value_error.jsondecode"),
        (b"\xff\xd8\xff\xe0", ["body"], "value_error.jsondecode"),
        (b"[1]", ["body"], "type_error.dict"),
        (b"null", ["body"], "type_error.dict"),
        (b"{}", ["body", "data"], "value_error.missing"),
        (b'{"data": "text"}', ["body", "data"], "type_error.list"),
        (b'{"data": null}', ["body", "data"], "type_error.list"),
        (b'{"data": {"a": 1}}', ["body", "data"], "type_error.list"),
        (b'{"data": [], "callback": 3}', ["body", "callback"], "type_error.str"),
        (b'{"data": [NaN]}', ["body"], "value_error.jsondecode"),
        (b'{"data": [-Infinity]}', ["body"], "value_error.jsondecode"),
        (b'{"data": [1e999]}', ["body"], "value_error.jsondecode"),
        (b'{"data": [' + b"9" * 5000 + b"]}", ["body"], "value_error.jsondecode"),
        (b'{"data": ' + b"[" * 100_000, ["body"], "value_error.jsondecode"),
    ],
)
def test_bad_requests_are_told_where_and_what(body, loc, kind):
    with pytest.raises(InvalidPredictRequest) as caught:
        sedna_json.decode_request(body)
    (finding,) = caught.value.detail
    assert (finding["loc"], finding["type"]) == (loc, kind)
    assert finding["msg"]
    assert finding["msg"] in str(caught.value)
    assert isinstance(caught.value, MalformedBody)
    json.dumps(sedna_json.error_body("rejected", caught.value.detail))


@pytest.mark.parametrize("result", [[], [[10, 20, 30.5, 40, 0.9, 1]], ["answer text"]])
def test_replies_there_and_back(result):
    assert sedna_json.decode_reply(sedna_json.encode_reply(result)) == result


def test_upstream_reply_is_read_and_written():
    assert sedna_json.decode_reply(b'{"result": ["answer text"]}') == ["answer text"]
    assert sedna_json.encode_reply(["answer text"]) == b'{"result":["answer text"]}'
    boxes = np.array([[1, 2, 3, 4, 0.5, 0]], np.float32)
    assert json.loads(sedna_json.encode_reply(boxes)) == {"result": [[1.0, 2.0, 3.0, 4.0, 0.5, 0.0]]}
    assert json.loads(sedna_json.encode_reply([boxes[0], np.int64(3)])) == {"result": [[1, 2, 3, 4, 0.5, 0], 3]}


@pytest.mark.parametrize("result", ["text", {"boxes": []}, None, 1.5, np.float32(1)])
def test_a_result_must_be_a_list(result):
    with pytest.raises(MalformedBody, match="result is"):
        sedna_json.encode_reply(result)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"result": null}',
        b'{"result": "text"}',
        b'{"result": [NaN]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_bad_replies_are_refused(body):
    with pytest.raises(MalformedBody):
        sedna_json.decode_reply(body)


@pytest.mark.parametrize("prefix", ["sedna", "/sedna", "/sedna/"])
def test_service_infos(prefix):
    assert sedna_json.service_infos(prefix) == {
        "infos": [{"path": "/sedna", "name": "model_info"}, {"path": "/sedna/predict", "name": "predict"}]
    }


def test_error_body_keeps_upstreams_key():
    assert sedna_json.error_body("overloaded", "no room") == {"detail": "no room", "cause": "overloaded"}
