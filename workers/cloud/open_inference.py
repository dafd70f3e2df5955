"""What the big model looks like in the Open Inference Protocol: which inputs it takes, which outputs its results become.

Inputs: `image`, either BYTES of shape [n] (one JPEG or PNG each) or UINT8 of shape [h, w, 3] or [n, h, w, 3] (RGB). An
upstream-style estimator also takes `data`, BYTES of shape [n]: the texts of one call.

Outputs: `detections`, FP32 [rows, 6] (xmin, ymin, xmax, ymax, score, class; pixels; the rows of all pictures in order)
and `counts`, INT64 [n] (how many of the rows are each picture's); `result`, BYTES [n], has each picture's result list as
JSON text. A client that names no outputs gets the first two where every result is rows of six numbers, else the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import BodyTooLarge, EstimatorError, MalformedBody
from sedna_py.protocol import sedna_json
from sedna_py.protocol.images import DEFAULT_MAX_PIXELS
from sedna_py.protocol.open_inference.metadata import ModelMetadata, TensorMetadata
from sedna_py.protocol.open_inference.pictures import COUNTS, DETECTIONS, IMAGE, RESULT, ROW_LENGTH
from sedna_py.protocol.open_inference.request import InferRequest
from sedna_py.protocol.open_inference.tensors import BYTES, Tensor

Picture = bytes | NDArray[np.uint8]  # encoded, or RGB of height x width x 3

DATA: Final = "data"
OUTPUTS: Final = (DETECTIONS, COUNTS, RESULT)

_NUMBERS: Final = (int, float, np.integer, np.floating)
_SEND_PICTURES: Final = (
    f"send {IMAGE!r} as BYTES of shape [n] (JPEG or PNG, in the binary form) or as UINT8 of shape [n, height, width, 3]"
)
_SEND_TEXTS: Final = f"send {DATA!r} as BYTES of shape [n], UTF-8 text"


def model_metadata(name: str, *, platform: str, detector: bool, versions: tuple[str, ...] = ()) -> ModelMetadata:
    """Return what the model says about itself.

    `detector`: a model between hooks, which takes pictures only. Of any other `result` is all that can be promised,
    and its inputs are a choice: `image` or `data`.
    """
    image = TensorMetadata(IMAGE, BYTES, (-1,))
    result = TensorMetadata(RESULT, BYTES, (-1,))
    if not detector:
        return ModelMetadata(name, platform, (image, TensorMetadata(DATA, BYTES, (-1,))), (result,), versions)
    outputs = (TensorMetadata(DETECTIONS, "FP32", (-1, ROW_LENGTH)), TensorMetadata(COUNTS, "INT64", (-1,)))
    return ModelMetadata(name, platform, (image,), outputs, versions)


def read_pictures(request: InferRequest, *, max_pictures: int, max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Picture]:
    """Return the pictures of a request, at least one; encoded ones are not looked into, arrays are views of the body.

    Raises MalformedBody for other inputs, BodyTooLarge for too many pictures or, in an array, pixels.
    """
    tensor = _only_input(request, IMAGE, _SEND_PICTURES)
    if tensor.datatype == BYTES:
        elements = _flat_elements(tensor, _SEND_PICTURES)
        _check_number(len(elements), max_pictures)
        return list(elements)
    shape = tensor.shape
    if tensor.datatype != "UINT8" or len(shape) not in (3, 4) or shape[-1] != 3 or 0 in shape[-3:]:
        raise MalformedBody(f"{IMAGE!r} is {tensor.datatype} of shape {list(shape)}; {_SEND_PICTURES}")
    if shape[-3] * shape[-2] > max_pixels:
        raise BodyTooLarge(f"a picture is {shape[-2]}x{shape[-3]}, over {max_pixels} pixels; send a smaller one")
    array: NDArray[np.uint8] = tensor.array()
    pictures = array if array.ndim == 4 else array[np.newaxis]
    _check_number(len(pictures), max_pictures)
    return list(pictures)


def has_texts(request: InferRequest) -> bool:
    """Return whether the request is for an upstream-style estimator's own kind of data rather than for pictures."""
    return any(tensor.name == DATA for tensor in request.inputs)


def read_texts(request: InferRequest) -> list[str]:
    """Return the texts that `predict` is called with, once, at least one. Raises MalformedBody for other inputs."""
    elements = _flat_elements(_only_input(request, DATA, _SEND_TEXTS), _SEND_TEXTS)
    if not elements:
        raise MalformedBody(f"{DATA!r} is empty; {_SEND_TEXTS}")
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        raise MalformedBody(f"{DATA!r} is not UTF-8; {_SEND_TEXTS}") from error


def check_outputs(wanted: Sequence[str]) -> None:
    """Raise MalformedBody for outputs that no result becomes; call it before the model is asked."""
    if unknown := next((name for name in wanted if name not in OUTPUTS), None):
        raise MalformedBody(f"there is no output {unknown[:80]!r}; ask for {', '.join(OUTPUTS)}, or name none")


def write_results(results: Sequence[Sequence[Any]], wanted: Sequence[str]) -> list[Tensor]:
    """Return the outputs for one result list per picture (or one for the texts of a call), in the order wanted.

    Raises MalformedBody for outputs that there are not, and for `detections` or `counts` of results that are no rows of
    six numbers; EstimatorError for results that cannot be sent, which is the model's doing: NaN, and what is no JSON.
    """
    check_outputs(wanted)
    rows = None
    if not wanted or DETECTIONS in wanted or COUNTS in wanted:
        rows = _as_rows(results)
    if rows is None and (DETECTIONS in wanted or COUNTS in wanted):
        raise MalformedBody(f"the model's result is not rows of {ROW_LENGTH} numbers; ask for {RESULT!r}, or name none")
    names = wanted or ((RESULT,) if rows is None else (DETECTIONS, COUNTS))
    return [_output(name, results, rows) for name in names]


def _output(name: str, results: Sequence[Sequence[Any]], rows: NDArray[np.float32] | None) -> Tensor:
    if name == DETECTIONS and rows is not None:
        return Tensor.of_array(DETECTIONS, rows)
    if name == COUNTS:
        return Tensor.of_array(COUNTS, np.array([len(result) for result in results], np.int64))
    return Tensor.of_bytes(RESULT, [_json_list(result) for result in results])


def _as_rows(results: Sequence[Sequence[Any]]) -> NDArray[np.float32] | None:
    rows = list(chain.from_iterable(results))
    if not all(_is_row(row) for row in rows):
        return None
    values = list(chain.from_iterable(rows))
    if not all(issubclass(kind, _NUMBERS) and kind is not bool for kind in set(map(type, values))):
        return None
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, np.float64).astype(np.float32)
        finite = bool(np.isfinite(array).all())
    except OverflowError:  # a whole number of hundreds of digits
        finite = False
    if not finite:
        raise EstimatorError("the result cannot be sent: a row has a number that is not finite; return finite ones")
    return array.reshape(-1, ROW_LENGTH)


def _is_row(row: object) -> bool:
    if isinstance(row, np.ndarray):
        return bool(row.shape == (ROW_LENGTH,))
    return isinstance(row, list | tuple) and len(row) == ROW_LENGTH


def _json_list(result: Sequence[Any]) -> bytes:
    try:
        reply = sedna_json.encode_reply(result)
    except MalformedBody as error:
        raise EstimatorError(f"the result cannot be sent: {error}") from error
    return reply.removeprefix(b'{"result":').removesuffix(b"}")


def _only_input(request: InferRequest, name: str, advice: str) -> Tensor:
    if len(request.inputs) != 1 or request.inputs[0].name != name:
        names = ", ".join(repr(tensor.name[:40]) for tensor in request.inputs[:8])
        raise MalformedBody(f"the inputs are {names}; {advice}")
    return request.inputs[0]


def _flat_elements(tensor: Tensor, advice: str) -> list[bytes]:
    # Clients that batch say [n, 1] for one element a picture.
    if tensor.datatype != BYTES or not (len(tensor.shape) == 1 or (len(tensor.shape) == 2 and tensor.shape[1] == 1)):
        raise MalformedBody(f"{tensor.name!r} is {tensor.datatype} of shape {list(tensor.shape)}; {advice}")
    return tensor.elements()


def _check_number(pictures: int, most: int) -> None:
    if not pictures:
        raise MalformedBody(f"{IMAGE!r} has no pictures; {_SEND_PICTURES}")
    if pictures > most:
        raise BodyTooLarge(f"{IMAGE!r} has {pictures} pictures; send at most {most} at a time")
