"""Open Inference tensors in both forms: every datatype there and back, and bounds before anything is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.request import InferRequest, decode_request, encode_request
from sedna_py.protocol.open_inference.tensors import (
    DATATYPES,
    MAX_BYTES_ELEMENTS,
    MAX_ELEMENTS,
    MAX_TENSORS,
    Tensor,
    dtype_of,
)

NUMERIC = [datatype for datatype in DATATYPES if datatype != "BYTES"]


def _extremes(datatype: str) -> np.ndarray:
    dtype = dtype_of(datatype)
    if dtype.kind == "b":
        values = [True, False, False, True, True, False]
    elif dtype.kind == "f":
        info = np.finfo(dtype)
        values = [info.max, info.min, info.smallest_subnormal, 0.1, -0.0, 1 / 3]
    else:
        info = np.iinfo(dtype)
        values = [info.min, info.max, 0, 1, info.max - 1, 77]
    return np.array(values, dtype).reshape(1, 2, 3)


def _read(document: dict, blobs: bytes | None = None) -> InferRequest:
    header = json.dumps(document).encode()
    return decode_request(header + (blobs or b""), None if blobs is None else len(header))


def _json_input(datatype: str, shape: list, data: object) -> Tensor:
    return _read({"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}]}).inputs[0]


def _binary_input(datatype: object, shape: object, data: bytes, size: object = None) -> Tensor:
    parameters = {"binary_data_size": len(data) if size is None else size}
    entry = {"name": "x", "datatype": datatype, "shape": shape, "parameters": parameters}
    return _read({"inputs": [entry]}, data).inputs[0]


@pytest.mark.parametrize(
    ("datatype", "binary"),
    [(datatype, binary) for datatype in NUMERIC for binary in (True, False) if binary or datatype != "FP16"],
)
def test_numbers_come_back_to_the_last_bit(datatype, binary):
    for array in (_extremes(datatype), np.zeros((0, 3), dtype_of(datatype)), np.asarray(_extremes(datatype).flat[0])):
        body, length = encode_request(InferRequest((Tensor.of_array("x", array),)), binary=binary)
        tensor = decode_request(body, length).inputs[0]
        assert (length is None) == (not binary)
        assert (tensor.datatype, tensor.shape, tensor.array().dtype) == (datatype, array.shape, array.dtype)
        assert tensor.array().tobytes() == array.tobytes()


@pytest.mark.parametrize("binary", [True, False])
def test_bytes_come_back(binary):
    elements = ["", "grüße", "a\x00b", "x" * 300, '"\\', "\U0001f600"]
    tensor = Tensor("x", "BYTES", (2, 3), [text.encode() for text in elements])
    body, length = encode_request(InferRequest((tensor,)), binary=binary)
    read = decode_request(body, length).inputs[0]
    assert (read.shape, read.elements()) == ((2, 3), tensor.data)


def test_the_layout_of_a_binary_request_is_the_extensions():
    request = InferRequest(
        (
            Tensor.of_array("a", np.array([[1, 2], [3, 4]], ">u4")[:, ::-1]),
            Tensor.of_array("b", np.array([True, False])),
            Tensor.of_bytes("c", [b"hi", b""]),
        )
    )
    body, length = encode_request(request, binary=True)
    blobs = bytes.fromhex("02000000 01000000 04000000 03000000010002000000 6869 00000000")
    assert body[length:] == blobs
    assert json.loads(body[:length]) == {
        "inputs": [
            {"name": "a", "shape": [2, 2], "datatype": "UINT32", "parameters": {"binary_data_size": 16}},
            {"name": "b", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}},
            {"name": "c", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}},
        ]
    }


def test_binary_numbers_are_views_of_the_body():
    body, length = encode_request(InferRequest((Tensor.of_array("x", np.arange(12.0).reshape(3, 4)),)), binary=True)
    array = decode_request(body, length).inputs[0].array()
    assert np.shares_memory(array, np.frombuffer(body, np.uint8))
    assert not array.flags.writeable


@pytest.mark.parametrize("data", [[[[1, 2]], [[3, 4]], [[5, 6]]], [1, 2, 3, 4, 5, 6]])
def test_json_data_may_be_nested_or_flat(data):
    assert _json_input("INT16", [3, 1, 2], data).array().tolist() == [[[1, 2]], [[3, 4]], [[5, 6]]]
    assert _json_input("BYTES", [3, 1, 2], json.loads(json.dumps(data).translate(DIGITS_AS_TEXT))).elements() == [
        b"1", b"2", b"3", b"4", b"5", b"6",
    ]  # fmt: skip


DIGITS_AS_TEXT = {ord(digit): f'"{digit}"' for digit in "123456"}


def test_whole_numbers_may_stand_for_floats():
    assert _json_input("FP32", [3], [1, 2.5, -3]).array().tolist() == [1.0, 2.5, -3.0]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "says"),
    [
        ("INT32", [2], [1], "exactly its elements"),
        ("INT32", [2, 2], [[1, 2], [3]], "exactly its elements"),
        ("INT32", [2, 2], [[1, 2], 3], "exactly its elements"),
        ("INT32", [2, 2], [1, [2, 3], 4, 5], "all INT32"),
        ("INT32", [4], [[1, 2], [3, 4]], "exactly its elements"),
        ("INT32", [2, 2, 1], [[1, 2], [3, 4]], "exactly its elements"),
        ("INT32", [], [[1]], "exactly its elements"),
        ("INT32", [2], [1, 2.0], "all INT32"),
        ("INT32", [2], [1, True], "all INT32"),
        ("BOOL", [2], [True, 1], "all BOOL"),
        ("FP32", [2], [1.0, "2"], "all FP32"),
        ("FP32", [1], [None], "all FP32"),
        ("FP32", [1], [True], "all FP32"),
        ("BYTES", [2], ["a", 1], "all text"),
        ("UINT8", [1], [256], "cannot hold"),
        ("UINT8", [1], [-1], "cannot hold"),
        ("INT64", [1], [2**63], "cannot hold"),
        ("UINT64", [1], [10**400], "cannot hold"),
        ("FP32", [1], [1e39], "cannot hold"),
        ("FP64", [1], [10**400], "cannot hold"),
        ("FP16", [1], [1.0], "binary form"),
        ("INT32", [1], 1, "has no data"),
        ("INT32", [1], None, "has no data"),
        ("BF16", [1], [1.0], "BF16"),
        ("FP8", [1], [1.0], "write one of BOOL"),
        ("STRING", [1], ["a"], "write one of BOOL"),
        (["FP32"], [1], [1.0], "write one of BOOL"),
    ],
)
def test_json_data_that_is_not_exactly_the_tensor_is_refused(datatype, shape, data, says):
    with pytest.raises(MalformedBody, match=says):
        _json_input(datatype, shape, data)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_in_json(number):
    body = b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [%s]}]}' % number.encode()
    with pytest.raises(MalformedBody):
        decode_request(body, None)
    array = np.array([float(number)])
    with pytest.raises(MalformedBody, match="binary form"):
        encode_request(InferRequest((Tensor.of_array("x", array),)), binary=False)
    body, length = encode_request(InferRequest((Tensor.of_array("x", array),)), binary=True)
    assert decode_request(body, length).inputs[0].array().tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "size", "says"),
    [
        ("FP32", [2], b"\0" * 7, None, "takes 8 bytes"),
        ("FP32", [2], b"\0" * 12, None, "takes 8 bytes"),
        ("FP32", [2], b"\0" * 12, 8, "4 bytes behind the JSON object"),
        ("FP32", [2], b"\0" * 4, 8, "4 are left"),
        ("FP32", [2], b"\0" * 8, -8, "whole number"),
        ("FP32", [2], b"\0" * 8, 8.0, "whole number"),
        ("FP32", [2], b"\0" * 8, True, "whole number"),
        ("FP32", [2], b"\0" * 8, 10**4000, "are left"),
        ("BOOL", [2], b"\1\2", None, "byte over 1"),
        ("BYTES", [1], b"\2\0\0\0a", None, "1 elements"),
        ("BYTES", [1], b"\1\0\0\0ab", None, "1 elements"),
        ("BYTES", [2], b"\1\0\0\0a", None, "2 elements"),
        ("BYTES", [0], b"\0\0\0\0", None, "0 elements"),
        ("BYTES", [1], b"\xff\xff\xff\xff", None, "1 elements"),
        ("BYTES", [1], b"\0\0\0", None, "1 elements"),
        ("BYTES", [MAX_BYTES_ELEMENTS], b"\0\0\0\0", None, "65536 elements"),
        ("BYTES", [MAX_BYTES_ELEMENTS + 1], b"\0\0\0\0", None, "fewer at a time"),
        ("UINT8", [MAX_ELEMENTS + 1], b"", None, "fewer at a time"),
        ("UINT8", [2**32, 2**32], b"", None, "fewer at a time"),
        ("UINT8", [0, 2**63], b"", None, "fewer at a time"),
        ("UINT8", [10**4000], b"", None, "fewer at a time"),
        ("UINT8", [-1], b"\0", None, "whole numbers"),
        ("UINT8", [-1, -1], b"\0", None, "whole numbers"),
        ("UINT8", [1.0], b"\0", None, "whole numbers"),
        ("UINT8", [True], b"\0", None, "whole numbers"),
        ("UINT8", [1] * 9, b"\0", None, "at most 8"),
        ("UINT8", 1, b"\0", None, "has no shape"),
        ("UINT8", None, b"\0", None, "has no shape"),
    ],
)
def test_binary_data_that_is_not_exactly_the_tensor_is_refused(datatype, shape, data, size, says):
    with pytest.raises(MalformedBody, match=says):
        _binary_input(datatype, shape, data, size)


def test_bytes_that_are_no_text_go_in_the_binary_form_only():
    request = InferRequest((Tensor.of_bytes("x", [b"\xff\xd8"]),))
    with pytest.raises(MalformedBody, match="UTF-8"):
        encode_request(request, binary=False)
    body, length = encode_request(request, binary=True)
    assert decode_request(body, length).inputs[0].elements() == [b"\xff\xd8"]


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("x", "FP32", (3,), np.zeros(2, np.float32)),
        Tensor("x", "FP32", (2,), np.zeros(2, np.float64)),
        Tensor("x", "FP32", (2,), [b"a", b"b"]),
        Tensor("x", "BYTES", (2,), [b"a"]),
        Tensor("x", "BYTES", (2,), np.zeros(2, np.uint8)),
        Tensor("x", "BF16", (2,), np.zeros(2, np.uint16)),
        Tensor("", "UINT8", (2,), np.zeros(2, np.uint8)),
        Tensor("x" * 257, "UINT8", (2,), np.zeros(2, np.uint8)),
    ],
)
def test_a_tensor_that_could_not_be_read_again_is_not_written(tensor):
    with pytest.raises(MalformedBody):
        encode_request(InferRequest((tensor,)), binary=True)


def test_arrays_of_other_things_than_numbers_are_no_tensors():
    for array in (np.array(["a"]), np.array([None]), np.array([1j])):
        with pytest.raises(MalformedBody, match="give one of BOOL"):
            Tensor.of_array("x", array)


def test_names_are_few_and_unique():
    one = {"datatype": "UINT8", "shape": [1], "data": [1]}
    assert len(_read({"inputs": [{"name": f"x{n}", **one} for n in range(MAX_TENSORS)]}).inputs) == MAX_TENSORS
    with pytest.raises(MalformedBody, match="at most 64"):
        _read({"inputs": [{"name": f"x{n}", **one} for n in range(MAX_TENSORS + 1)]})
    with pytest.raises(MalformedBody, match="'x' is there twice"):
        _read({"inputs": [{"name": "x", **one}, {"name": "x", **one}]})
    for name in ("", None, 3, "x" * 257):
        with pytest.raises(MalformedBody, match="no usable name"):
            _read({"inputs": [{"name": name, **one}]})
