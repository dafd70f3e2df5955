"""One array as an NPY file (numpy's format, versions 1 to 3): raw frames and tensors, no pickles.

The header is matched by patterns rather than evaluated, and believed only after the size that it claims was compared
with the limit and with the body.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import BodyTooLarge, MalformedBody

_MAGIC: Final = b"\x93NUMPY"
_MAX_HEADER_BYTES: Final = 4096
_MAX_DIMENSIONS: Final = 32
_NUMERIC_KINDS: Final = "iuf"

_DESCR = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?[iuf][0-9]{1,2})['"]""", re.ASCII)
_ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(([0-9,\s]*)\)""", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: np.dtype[Any]
    column_major: bool
    shape: tuple[int, ...]
    data_offset: int

    @property
    def data_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def encode(array: NDArray[Any]) -> bytes:
    """Encode one numeric array. Raises MalformedBody for another kind (text, objects, booleans) or an empty one."""
    if array.dtype.kind not in _NUMERIC_KINDS or array.size == 0:
        raise MalformedBody(
            f"an array of {array.dtype} and shape {array.shape} cannot be sent; give numbers, at least one"
        )
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def decode(body: bytes, *, max_bytes: int) -> NDArray[Any]:
    """Return the array, writable, row-major and in native byte order.

    Raises BodyTooLarge if the header claims more than `max_bytes` of data, MalformedBody if the body is not one whole
    NPY file of numbers.
    """
    header = _parse_header(body)
    if header.data_bytes > max_bytes:
        raise BodyTooLarge(f"the NPY header claims more than {max_bytes} bytes of data; send a smaller array")
    follow = len(body) - header.data_offset
    if follow != header.data_bytes:
        raise MalformedBody(
            f"the NPY header promises {header.data_bytes} bytes of data, {follow} follow; send the whole file"
        )
    flat = np.frombuffer(body, header.dtype, offset=header.data_offset)
    shaped = flat.reshape(header.shape, order="F" if header.column_major else "C")
    return shaped.astype(header.dtype.newbyteorder("="), order="C", copy=True)


def _parse_header(body: bytes) -> _Header:
    start, end = _header_span(body)
    text = body[start:end].decode("latin-1")
    descr, order, shape = _DESCR.search(text), _ORDER.search(text), _SHAPE.search(text)
    if not (descr and order and shape):
        raise MalformedBody(
            "the NPY header needs descr (integers or floats), fortran_order and shape; write it with numpy.save"
        )
    return _Header(_parse_dtype(descr[1]), order[1] == "True", _parse_shape(shape[1]), end)


def _header_span(body: bytes) -> tuple[int, int]:
    # Version 1 has a two-byte length; versions 2 and 3 have four bytes.
    length_bytes = 2 if body[6:7] == b"\x01" else 4
    start = len(_MAGIC) + 2 + length_bytes
    if not body.startswith(_MAGIC) or body[6:7] not in (b"\x01", b"\x02", b"\x03") or len(body) < start:
        raise MalformedBody("the body is not an NPY file; write it with numpy.save")
    length = int.from_bytes(body[start - length_bytes : start], "little")
    if length > _MAX_HEADER_BYTES or start + length > len(body):
        raise MalformedBody(
            f"the NPY header is cut off or longer than {_MAX_HEADER_BYTES} bytes; write it with numpy.save"
        )
    return start, start + length


def _parse_dtype(descr: str) -> np.dtype[Any]:
    try:
        return np.dtype(descr)
    except TypeError as error:
        raise MalformedBody(
            f"the NPY header names the type {descr!r}, which does not exist; write it with numpy.save"
        ) from error


def _parse_shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise MalformedBody("the NPY header has a bad shape; write it with numpy.save") from error
    if len(shape) > _MAX_DIMENSIONS or 0 in shape:
        raise MalformedBody(
            f"the NPY array is empty or has more than {_MAX_DIMENSIONS} dimensions; send at least one number"
        )
    return shape
