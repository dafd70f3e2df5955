"""Pictures in the JSON form: base64, where the tensor says so."""

from __future__ import annotations

import json

import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.pictures import encode_picture_request
from sedna_py.protocol.open_inference.request import decode_request
from sedna_py.protocol.open_inference.tensors import MAX_NAME_CHARS

PICTURE = bytes(range(256))


def decode(data: list[str], **parameters: object) -> list[bytes]:
    tensor = {"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data, "parameters": parameters}
    return decode_request(json.dumps({"inputs": [tensor]}).encode(), None).inputs[0].elements()


def test_a_picture_is_read_as_it_was_written():
    body, headers = encode_picture_request(PICTURE, request_id="one", output_name="boxes", binary=False)
    assert headers == {"Content-Type": "application/json"}
    request = decode_request(body, None)
    assert request.inputs[0].elements() == [PICTURE]
    assert (request.id, request.output_names()) == ("one", ("boxes",))
    assert request.binary_names(["boxes"]) == frozenset()


def test_without_that_word_text_is_text():
    assert decode(["AAEC"]) == [b"AAEC"]
    assert decode(["AAEC"], content_type="str") == [b"AAEC"]
    assert decode(["AAEC", ""], content_type="base64") == [b"\x00\x01\x02", b""]


@pytest.mark.parametrize("text", ["AAE", "AA EC", "AAEC\n", "é", "-_-_", "A" * 5])
def test_what_is_not_base64_is_refused_with_what_to_do(text):
    with pytest.raises(MalformedBody, match="said to be base64 and is not"):
        decode([text], content_type="base64")


@pytest.mark.parametrize(
    "wrong", [{"input_name": ""}, {"output_name": "x" * (MAX_NAME_CHARS + 1)}, {"request_id": "x" * 257}]
)
def test_names_that_nobody_could_read_are_not_written(wrong):
    with pytest.raises(MalformedBody):
        encode_picture_request(PICTURE, binary=False, **wrong)
