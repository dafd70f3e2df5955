"""Open Inference requests, responses and the small documents, against bodies as other servers and clients write them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference import metadata
from sedna_py.protocol.open_inference.binary_form import parse_header_length
from sedna_py.protocol.open_inference.request import InferRequest, RequestedOutput, decode_request, encode_request
from sedna_py.protocol.open_inference.response import InferResponse, decode_response, encode_response
from sedna_py.protocol.open_inference.tensors import Tensor

INPUT = {"name": "x", "datatype": "UINT8", "shape": [1], "data": [7]}
ONE = Tensor.of_array("x", np.array([7], np.uint8))


def _request(**document: object) -> InferRequest:
    return decode_request(json.dumps({"inputs": [INPUT], **document}).encode(), None)


def test_a_request_says_which_outputs_it_wants_and_how():
    request = InferRequest(
        (ONE,),
        (RequestedOutput("a"), RequestedOutput("b", binary_data=True), RequestedOutput("c", binary_data=False)),
        id="r-1",
        parameters={"binary_data_output": True, "priority": 3, "note": "ü", "scale": 0.5},
    )
    for binary in (True, False):
        read = decode_request(*encode_request(request, binary=binary))
        assert (read.outputs, read.id, read.parameters) == (request.outputs, request.id, request.parameters)
        assert read.output_names() == ("a", "b", "c")
        assert read.binary_names(read.output_names()) == {"a", "b"}
    assert _request(outputs=[{"name": "a"}]).binary_names(["a"]) == frozenset()
    assert _request(parameters={"binary_data_output": True}).binary_names(["p", "q"]) == {"p", "q"}


def test_what_is_null_was_not_given_and_other_keys_are_passed_over():
    request = _request(id=None, parameters=None, outputs=None, model_name="m", inputs=[{**INPUT, "parameters": None}])
    assert (request.id, request.parameters, request.outputs) == ("", {}, ())
    assert _request(parameters={"a": None, "b": 1}).parameters == {"b": 1}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"inputs": []}, "no inputs"),
        ({"inputs": None}, "no inputs"),
        ({"inputs": {"x": 1}}, "list of objects"),
        ({"inputs": ["x"]}, "list of objects"),
        ({"outputs": "a"}, "list of objects"),
        ({"outputs": [{"name": "a"}, {"name": "a"}]}, "twice among the outputs"),
        ({"outputs": [{}]}, "no usable name"),
        ({"outputs": [{"name": "a", "parameters": {"binary_data": 1}}]}, "neither true nor false"),
        ({"outputs": [{"name": "a", "parameters": {"classification": 3}}]}, "classification"),
        ({"outputs": [{"name": "a", "parameters": {"shared_memory_region": "s"}}]}, "shared_memory_region"),
        ({"inputs": [{**INPUT, "parameters": {"shared_memory_region": "s"}}]}, "shared memory"),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": 0}, "shape": [0]}]}, "send one of them"),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": 1}, "data": None}]}, "Inference-Header"),
        ({"parameters": {"binary_data_output": "yes"}}, "neither true nor false"),
        ({"parameters": {"a": []}}, "truth values"),
        ({"parameters": [1]}, "'parameters'"),
        ({"parameters": {str(n): n for n in range(65)}}, "at most 64"),
        ({"id": 7}, "'id'"),
        ({"id": "x" * 257}, "'id'"),
    ],
)
def test_a_request_of_another_shape_is_refused(document, says):
    with pytest.raises(MalformedBody, match=says):
        _request(**document)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"inputs"',
        b"\xff\xfe",
        b'{"inputs": [{"name": "\\ud800"}]}',
        b'{"inputs": "' + b"\xc3" + b'"}',
        b"[" * 100_000,
        b'{"inputs":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": ' + b"9" * 100_000 + b"}",
        b'{"inputs": []} {}',
    ],
)
def test_what_is_no_json_object_is_refused(body):
    for decode in (decode_request, decode_response):
        with pytest.raises(MalformedBody):
            decode(body, None)


@pytest.mark.parametrize("length", [-1, 0, 1, 10**9])
def test_the_header_length_must_be_that_of_the_json_object(length):
    body, right = encode_request(InferRequest((ONE,)), binary=True)
    with pytest.raises(MalformedBody):
        decode_request(body, length)
    for wrong in (None, right - 1, right + 1):
        with pytest.raises(MalformedBody):
            decode_request(body, wrong)


def test_a_raw_body_is_the_only_input_of_a_model_that_takes_one():
    request = decode_request(b"\xff\xd8 picture", 0, raw_input="image")
    assert (request.inputs[0].name, request.inputs[0].shape) == ("image", (1,))
    assert request.inputs[0].elements() == [b"\xff\xd8 picture"]
    assert request.binary_names(["a"]) == {"a"}
    with pytest.raises(MalformedBody, match="body has 0 bytes"):
        decode_request(b"", 0, raw_input="image")


@pytest.mark.parametrize(("text", "length"), [(None, None), ("", None), (" 17 ", 17), ("0", 0)])
def test_the_header_is_a_number_of_bytes(text, length):
    assert parse_header_length(text) == length


@pytest.mark.parametrize("text", ["-1", "1.0", "0x1", "²", "١", "1 1", "9" * 13])
def test_another_header_is_refused(text):
    with pytest.raises(MalformedBody, match="number of bytes"):
        parse_header_length(text)


@pytest.mark.parametrize("binary", [True, False, frozenset({"rows"}), frozenset()])
def test_a_response_comes_back(binary):
    rows = np.array([[1.5, 2, 3, 4, 0.1, 5]], np.float32)
    response = InferResponse(
        "m", (Tensor.of_array("rows", rows), Tensor.of_bytes("texts", ["ä".encode()])), model_version="3", id="r-1"
    )
    body, length = encode_response(response, binary)
    read = decode_response(body, length)
    assert (read.model_name, read.model_version, read.id) == ("m", "3", "r-1")
    assert [(tensor.name, tensor.shape) for tensor in read.outputs] == [("rows", (1, 6)), ("texts", (1,))]
    assert read.outputs[0].array().tobytes() == rows.tobytes()
    assert read.outputs[1].elements() == ["ä".encode()]
    header = json.loads(body[:length])
    sizes = [output.get("parameters") for output in header["outputs"]]
    assert sizes == [
        {"binary_data_size": 24} if binary is True or binary == {"rows"} else None,
        {"binary_data_size": 6} if binary is True else None,
    ]


def test_responses_of_other_servers_are_read():
    kserve = b'{"model_name": "m", "model_version": null, "id": "1", "parameters": null, "outputs": [{"name": "o",'
    kserve += b'"shape": [1, 2], "datatype": "FP64", "parameters": null, "data": [0.5, 2]}]}'
    assert decode_response(kserve, None).outputs[0].array().tolist() == [[0.5, 2.0]]
    triton = b'{"model_name":"m","model_version":"1","outputs":[{"name":"o","datatype":"INT32","shape":[2],'
    triton += b'"parameters":{"binary_data_size":8}}]}'
    read = decode_response(triton + b"\1\0\0\0\xff\xff\xff\xff", len(triton))
    assert read.outputs[0].array().tolist() == [1, -1]
    assert read.output("o") is read.outputs[0]
    assert read.output("p") is None


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"error": "no such model"}, "no such model"),
        ({"model_name": "m"}, "no outputs"),
        ({"model_name": 1, "outputs": []}, "model_name"),
        ({"outputs": [INPUT, INPUT]}, "twice"),
    ],
)
def test_a_response_of_another_shape_is_refused(document, says):
    with pytest.raises(MalformedBody, match=says):
        decode_response(json.dumps(document).encode(), None)


def test_requests_and_responses_that_could_not_be_read_again_are_not_written():
    for request in (
        InferRequest(()),
        InferRequest((ONE, ONE)),
        InferRequest((ONE,), (RequestedOutput("a"), RequestedOutput("a"))),
        InferRequest((ONE,), (RequestedOutput(""),)),
        InferRequest((ONE,), id="x" * 257),
        InferRequest((ONE,), id="\ud800"),
        InferRequest((ONE,), parameters={"a": float("nan")}),
        InferRequest((ONE,), parameters={"binary_data_output": 1}),
    ):
        with pytest.raises(MalformedBody):
            encode_request(request, binary=True)
    for response in (InferResponse("m", (ONE, ONE)), InferResponse("m" * 257, ())):
        with pytest.raises(MalformedBody):
            encode_response(response, True)


def test_the_small_documents():
    assert metadata.server_metadata("sedna", "1") == {
        "name": "sedna",
        "version": "1",
        "extensions": ["binary_tensor_data"],
    }
    image = metadata.TensorMetadata("image", "BYTES", (-1,))
    described = {"name": "image", "datatype": "BYTES", "shape": [-1]}
    assert metadata.ModelMetadata("m", "openvino_ir", (image,), (), ("1",)).document() == {
        "name": "m",
        "versions": ["1"],
        "platform": "openvino_ir",
        "inputs": [described],
        "outputs": [],
    }
    assert "versions" not in metadata.ModelMetadata("m", "openvino_ir", (image,), ()).document()
    assert metadata.IndexEntry("m", ready=True, version="1").document() == {
        "name": "m",
        "version": "1",
        "state": "READY",
        "reason": "",
    }
    assert metadata.IndexEntry("m", ready=False, reason="loading").document() == {
        "name": "m",
        "state": "UNAVAILABLE",
        "reason": "loading",
    }
    assert metadata.model_ready("m", ready=False) == {"name": "m", "ready": False}
    assert (metadata.server_live(live=True), metadata.server_ready(ready=False)) == ({"live": True}, {"ready": False})


def test_errors_and_index_requests_are_read():
    assert metadata.read_error(json.dumps(metadata.error_document("why")).encode()) == "why"
    assert [metadata.read_error(body) for body in (b"<html>", b"", b'{"error": 3}', b"[]")] == [""] * 4
    assert [metadata.read_index_request(body) for body in (b"", b" ", b"{}", b'{"ready": true}')] == [False] * 3 + [
        True
    ]
    with pytest.raises(MalformedBody, match="'ready'"):
        metadata.read_index_request(b'{"ready": 1}')
