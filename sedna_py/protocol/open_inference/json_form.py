"""The JSON form: documents, and tensor data as (nested or flat) lists of numbers, truth values or text."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.tensors import BYTES, FP16, Tensor, TensorData, dtype_of

MAX_PARAMETERS: Final = 64
MAX_TEXT_CHARS: Final = 256  # ids, versions

# MLServer's way to send BYTES that are no text: a parameter of the tensor.
CONTENT_TYPE_PARAMETER: Final = "content_type"
BASE64: Final = "base64"

Parameter = str | int | float | bool

# What the elements may be, by the kind of numpy type.
_ELEMENT_TYPES: Final[dict[str, frozenset[type]]] = {
    "b": frozenset({bool}),
    "u": frozenset({int}),
    "i": frozenset({int}),
    "f": frozenset({int, float}),
}


def load_any(text: bytes, what: str) -> Any:
    """Return a JSON value. Raises MalformedBody for anything else, NaN and a nesting of some 200 levels included."""
    try:
        return from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise MalformedBody(f"{what} is not JSON: {str(error)[:200]}") from error


def load(text: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises MalformedBody."""
    document = load_any(text, "the body")
    if not isinstance(document, dict):
        raise MalformedBody("the body is not a JSON object; send {...}")
    return document


def dump(document: object) -> bytes:
    """Return a JSON text in UTF-8; numbers must be finite. Raises MalformedBody for text that is no Unicode."""
    try:
        return to_json(document)
    except ValueError as error:
        raise MalformedBody(f"the document does not fit into JSON: {str(error)[:200]}; give plain text") from error


def read_list(document: dict[str, Any], key: str) -> list[dict[str, Any]] | None:
    """Return a list of objects, None if it is missing or null. Raises MalformedBody for anything else."""
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedBody(f"{key!r} is not a list of objects; send [{{...}}]")
    return value


def read_text(document: dict[str, Any], key: str) -> str:
    """Return a short text, empty if it is missing or null. Raises MalformedBody for anything else."""
    value = document.get(key)
    return "" if value is None else check_text(value, key)


def check_text(value: object, key: str) -> str:
    """Return a short text. Raises MalformedBody for a long one and anything else."""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise MalformedBody(f"{key!r} is not a text of at most {MAX_TEXT_CHARS} characters; send one, or leave it out")
    return value


def read_parameters(document: dict[str, Any]) -> dict[str, Parameter]:
    """Return the parameters without those that are null, empty if there are none.

    Raises MalformedBody for other than plain values.
    """
    value = document.get("parameters")
    return {} if value is None else check_parameters(value)


def check_parameters(value: object) -> dict[str, Parameter]:
    """Return the parameters without those that are null. Raises MalformedBody for other than plain values."""
    if not isinstance(value, dict) or len(value) > MAX_PARAMETERS:
        raise MalformedBody(f"'parameters' is not an object of at most {MAX_PARAMETERS} values; send one, or none")
    given = {key: item for key, item in value.items() if item is not None}
    if not all(isinstance(key, str) and _is_plain(item) for key, item in given.items()):
        raise MalformedBody("'parameters' holds something else than text, finite numbers and truth values; send those")
    return given


def read_data(data: object, name: str, datatype: str, shape: tuple[int, ...], *, base64: bool = False) -> TensorData:
    """Return a tensor's data, given as its natural nested lists or as one flat list; `base64` is how BYTES are written then.

    Raises MalformedBody if it has not exactly the elements of the shape, or elements of another kind or range.
    """
    if not isinstance(data, list):
        raise MalformedBody(f"the tensor {name[:80]!r} has no data; send a list, or binary data and its size")
    flat = _flatten(data, name, shape)
    if datatype == BYTES:
        if not set(map(type, flat)) <= {str}:
            raise MalformedBody(
                f"the data of {name[:80]!r} is not all text, which is what BYTES are in JSON; send text"
            )
        return [_decode_base64(text, name) for text in flat] if base64 else [text.encode() for text in flat]
    _refuse_fp16(name, datatype)
    dtype = dtype_of(datatype)
    if not set(map(type, flat)) <= _ELEMENT_TYPES[dtype.kind]:
        raise MalformedBody(f"the data of {name[:80]!r} is not all {datatype}; send elements of that kind only")
    return _array(flat, name, dtype).reshape(shape)


def write_data(tensor: Tensor) -> list[Any]:
    """Return the flat list to send. Raises MalformedBody for NaN, FP16, and BYTES that are no UTF-8 text."""
    if isinstance(tensor.data, list):
        try:
            return [element.decode() for element in tensor.data]
        except UnicodeDecodeError as error:
            raise MalformedBody(
                f"the tensor {tensor.name[:80]!r} is not UTF-8 text; send or ask for it in the binary form"
            ) from error
    _refuse_fp16(tensor.name, tensor.datatype)
    if not np.isfinite(tensor.data).all():
        raise MalformedBody(
            f"the tensor {tensor.name[:80]!r} is not finite, which JSON cannot say; use the binary form"
        )
    flat: list[Any] = tensor.data.ravel().tolist()
    return flat


def _flatten(data: list[Any], name: str, shape: tuple[int, ...]) -> list[Any]:
    level = data
    if data and isinstance(data[0], list):  # the natural form: a level of lists for each dimension
        complete = bool(shape) and len(data) == shape[0]
        for length in shape[1:]:
            complete = complete and all(type(item) is list and len(item) == length for item in level)
            level = list(chain.from_iterable(level)) if complete else []
    else:
        complete = len(data) == math.prod(shape)
    if not complete:
        raise MalformedBody(f"the data of {name[:80]!r} has not the shape {list(shape)}; send exactly its elements")
    return level


def _array(flat: list[Any], name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind in "ui" and flat:
        limits = np.iinfo(dtype)
        fits = limits.min <= min(flat) and max(flat) <= limits.max
        array = np.array(flat if fits else [], dtype)
    else:
        array = _floats(flat, dtype) if dtype.kind == "f" else np.array(flat, dtype)
        fits = bool(np.isfinite(array).all())
    if not fits:
        raise MalformedBody(f"the data of {name[:80]!r} has a number that {dtype.name} cannot hold; send smaller ones")
    return array


def _floats(flat: Iterable[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses
            return np.array(flat, np.float64).astype(dtype)
    except OverflowError:  # a whole number of hundreds of digits
        return np.array([math.inf], dtype)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _decode_base64(text: str, name: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedBody(
            f"the data of {name[:80]!r} is said to be base64 and is not ({str(error)[:80]}); send it in that alphabet"
        ) from error


def _refuse_fp16(name: str, datatype: str) -> None:
    if datatype == FP16:
        raise MalformedBody(f"the tensor {name[:80]!r} is FP16, which has no JSON form; use the binary form, or FP32")
