"""The binary form: little-endian elements in row-major order without gaps; BYTES with four bytes of length before each."""

from __future__ import annotations

import math
import struct
from typing import Final

import numpy as np

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.tensors import BYTES, Tensor, TensorData, dtype_of

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
CONTENT_TYPE: Final = "application/octet-stream"

_LENGTH: Final = struct.Struct("<I")
_MAX_LENGTH_DIGITS: Final = 12


def parse_header_length(header: str | None) -> int | None:
    """Return the length of the JSON object in bytes, None if the header is missing. Raises MalformedBody."""
    if header is None or not header.strip():
        return None
    digits = header.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _MAX_LENGTH_DIGITS:
        raise MalformedBody(f"{HEADER_LENGTH} is {digits[:40]!r}; write the number of bytes of the JSON object")
    return int(digits)


def read_data(body: bytes, offset: int, size: int, name: str, datatype: str, shape: tuple[int, ...]) -> TensorData:
    """Return the data that `size` bytes from `offset` hold; numbers as a view of the body.

    Raises MalformedBody if the body has not as many, or they are not exactly the elements of the shape.
    """
    if size > len(body) - offset:
        raise MalformedBody(
            f"{size} bytes are promised for {name[:80]!r}, {len(body) - offset} are left behind the JSON object; "
            f"send them all, and {HEADER_LENGTH}"
        )
    count = math.prod(shape)
    if datatype == BYTES:
        return _read_elements(body, offset, size, name, count)
    dtype = dtype_of(datatype)
    if count * dtype.itemsize != size:
        raise MalformedBody(
            f"{name[:80]!r} of shape {list(shape)} takes {count * dtype.itemsize} bytes, binary_data_size is {size}; "
            "make them agree"
        )
    if not count:
        return np.empty(shape, dtype)
    if dtype.kind == "b" and np.frombuffer(body, np.uint8, count, offset).max() > 1:
        raise MalformedBody(f"the tensor {name[:80]!r} is BOOL with a byte over 1; send 0 and 1")
    return np.frombuffer(body, dtype, count, offset).reshape(shape)


def write_data(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor."""
    if isinstance(tensor.data, list):
        return b"".join(part for element in tensor.data for part in (_LENGTH.pack(len(element)), element))
    return tensor.data.astype(dtype_of(tensor.datatype), copy=False).tobytes()


def _read_elements(body: bytes, offset: int, size: int, name: str, count: int) -> list[bytes]:
    elements: list[bytes] = []
    end = offset + size
    for _ in range(count):
        start = offset + _LENGTH.size
        if start > end:
            break
        offset = start + _LENGTH.unpack_from(body, start - _LENGTH.size)[0]  # beyond the end: refused below
        elements.append(body[start:offset])
    if len(elements) != count or offset != end:
        raise MalformedBody(
            f"the {size} bytes of {name[:80]!r} are not {count} elements; "
            "write four bytes of length, little-endian, before each"
        )
    return elements
