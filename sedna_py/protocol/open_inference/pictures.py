"""An edge's side: one encoded picture to a server of this protocol, and the detections in its answer."""

from __future__ import annotations

import math
from base64 import b64encode
from itertools import chain
from typing import Any, Final

import numpy as np

from sedna_py.errors import MalformedBody
from sedna_py.protocol.media_types import JSON
from sedna_py.protocol.open_inference import json_form
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE, HEADER_LENGTH
from sedna_py.protocol.open_inference.json_form import BASE64, CONTENT_TYPE_PARAMETER
from sedna_py.protocol.open_inference.request import BINARY_DATA_OUTPUT, InferRequest, RequestedOutput, encode_request
from sedna_py.protocol.open_inference.response import InferResponse, decode_response
from sedna_py.protocol.open_inference.tensors import BYTES, Tensor, check_name

IMAGE: Final = "image"
DETECTIONS: Final = "detections"
COUNTS: Final = "counts"
RESULT: Final = "result"
ROW_LENGTH: Final = 6  # xmin, ymin, xmax, ymax, score, class

_EXPECTED: Final = f"expected {DETECTIONS!r} of FP32 or FP64 [n, 6], or {RESULT!r} of BYTES with one JSON list"


def encode_picture_request(
    encoded_image: bytes,
    *,
    input_name: str = IMAGE,
    output_name: str | None = None,
    request_id: str = "",
    binary: bool = True,
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers that ask about one JPEG or PNG (BYTES of shape [1]).

    `binary`: the picture and the answer are in the binary form; else in JSON, the picture as base64 of the `content_type`
    base64, as MLServer has it. No `output_name`: every output that the model has. Some servers (KServe 0.21) fail without a
    `request_id`. Raises MalformedBody for a bad name or id.
    """
    if not binary:
        return _encode_json(encoded_image, input_name, output_name, request_id), {"Content-Type": JSON}
    outputs = () if output_name is None else (RequestedOutput(output_name, binary_data=True),)
    request = InferRequest(
        inputs=(Tensor.of_bytes(input_name, [encoded_image]),),
        outputs=outputs,
        id=request_id,
        parameters={} if outputs else {BINARY_DATA_OUTPUT: True},
    )
    body, header_length = encode_request(request, binary=True)
    return body, {"Content-Type": CONTENT_TYPE, HEADER_LENGTH: str(header_length)}


def _encode_json(encoded_image: bytes, input_name: str, output_name: str | None, request_id: str) -> bytes:
    picture = {
        "name": check_name(input_name, "the input"),
        "shape": [1],
        "datatype": BYTES,
        "parameters": {CONTENT_TYPE_PARAMETER: BASE64},
        "data": [b64encode(encoded_image).decode("ascii")],
    }
    document: dict[str, Any] = {"inputs": [picture]}
    if request_id:
        document["id"] = json_form.check_text(request_id, "id")
    if output_name is not None:
        document["outputs"] = [{"name": check_name(output_name, "the output")}]
    return json_form.dump(document)


def decode_result(body: bytes, header_length: int | None, output_name: str | None = None) -> list[Any]:
    """Return the answer about one picture as Sedna's `result` list.

    Rows `[xmin, ymin, xmax, ymax, score, class]` of floats from an output of FP32 or FP64 [n, 6] or [1, n, 6]; from one
    of BYTES, the JSON list that its only element holds. Without `output_name` that is `detections`, else `result`, else
    the only output. Raises MalformedBody for anything else, NaN and infinity included.
    """
    tensor = _choose(decode_response(body, header_length), output_name)
    if tensor.datatype == BYTES:
        return _listed(tensor)
    shape = tensor.shape[1:] if len(tensor.shape) == 3 and tensor.shape[0] == 1 else tensor.shape
    if tensor.datatype not in ("FP32", "FP64") or len(shape) != 2 or shape[1] != ROW_LENGTH:
        raise MalformedBody(f"the output {tensor.name[:80]!r} is {tensor.datatype} {list(tensor.shape)}; {_EXPECTED}")
    array = tensor.array()
    if not np.isfinite(array).all():
        raise MalformedBody(f"the output {tensor.name[:80]!r} has numbers that are not finite; {_EXPECTED}")
    rows: list[Any] = array.reshape(shape).tolist()
    return rows


def decode_detections(body: bytes, header_length: int | None, output_name: str | None = None) -> list[list[float]]:
    """Return the same for a detector: every row has six finite numbers. Raises MalformedBody."""
    rows = decode_result(body, header_length, output_name)
    if not all(isinstance(row, list) and len(row) == ROW_LENGTH for row in rows):
        raise MalformedBody(f"the result is not rows of {ROW_LENGTH} numbers; {_EXPECTED}")
    if not all(_is_number(value) for value in chain.from_iterable(rows)):
        raise MalformedBody(f"the result has rows of other things than finite numbers; {_EXPECTED}")
    return [[float(value) for value in row] for row in rows]


def _choose(response: InferResponse, output_name: str | None) -> Tensor:
    if output_name is not None:
        tensor = response.output(output_name)
    else:
        only = response.outputs[0] if len(response.outputs) == 1 else None
        tensor = response.output(DETECTIONS) or response.output(RESULT) or only
    if tensor is None:
        names = ", ".join(repr(output.name[:40]) for output in response.outputs[:8]) or "none"
        wanted = f"no output {output_name[:80]!r}" if output_name is not None else "no output that is understood"
        raise MalformedBody(f"the response has {wanted}, its outputs are: {names}; {_EXPECTED}")
    return tensor


def _listed(tensor: Tensor) -> list[Any]:
    elements = tensor.elements()
    if len(elements) != 1:
        raise MalformedBody(
            f"the output {tensor.name[:80]!r} has {len(elements)} elements for one picture; {_EXPECTED}"
        )
    result = json_form.load_any(elements[0], f"the output {tensor.name[:80]!r}")
    if not isinstance(result, list):
        raise MalformedBody(f"the output {tensor.name[:80]!r} holds no JSON list; {_EXPECTED}")
    if not _is_finite(result):
        raise MalformedBody(f"the output {tensor.name[:80]!r} has a number that is too large; {_EXPECTED}")
    return result


def _is_finite(result: list[Any]) -> bool:
    # 1e999 is JSON, and is read as infinity.
    waiting: list[Any] = [result]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, float) and math.isinf(value):
            return False
    return True


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
