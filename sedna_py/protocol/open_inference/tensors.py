"""Named arrays as the protocol knows them: datatypes, shapes and how large they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import MalformedBody

MAX_TENSORS: Final = 64
MAX_DIMENSIONS: Final = 8
MAX_ELEMENTS: Final = 2**31
MAX_BYTES_ELEMENTS: Final = 65_536  # each is an object of its own, however short
MAX_NAME_CHARS: Final = 256

BYTES: Final = "BYTES"
FP16: Final = "FP16"
_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    FP16: np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES: Final = (*_DTYPES, BYTES)

TensorData = NDArray[Any] | list[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One input or output.

    `data` is an array of that shape and of the datatype's numpy type, or for BYTES the elements in row-major order.
    An array that was read from the binary form is a read-only view of the body, which it keeps alive, and need not be
    aligned.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: TensorData

    @classmethod
    def of_array(cls, name: str, array: NDArray[Any]) -> Tensor:
        """Return the array as a tensor of its own datatype and shape. Raises MalformedBody for text and objects."""
        for datatype, dtype in _DTYPES.items():
            if array.dtype.newbyteorder("<") == dtype:
                return cls(name, datatype, array.shape, array)
        raise MalformedBody(f"an array of {array.dtype} is no tensor; give one of {', '.join(_DTYPES)}, or bytes")

    @classmethod
    def of_bytes(cls, name: str, elements: list[bytes]) -> Tensor:
        """Return a BYTES tensor of one dimension."""
        return cls(name, BYTES, (len(elements),), elements)

    def array(self) -> NDArray[Any]:
        """Return the numbers. Raises MalformedBody if it holds BYTES."""
        if isinstance(self.data, list):
            raise MalformedBody(f"the tensor {self.name[:80]!r} is BYTES; send numbers")
        return self.data

    def elements(self) -> list[bytes]:
        """Return the elements. Raises MalformedBody if it holds numbers."""
        if not isinstance(self.data, list):
            raise MalformedBody(f"the tensor {self.name[:80]!r} is {self.datatype}; send {BYTES}")
        return self.data


def dtype_of(datatype: str) -> np.dtype[Any]:
    """Return the little-endian numpy type of a numeric datatype."""
    return _DTYPES[datatype]


def check_name(name: object, what: str) -> str:
    """Return the name of a tensor. Raises MalformedBody for none, no text, or too long a one."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
        raise MalformedBody(f"{what} has no usable name; write a text of 1 to {MAX_NAME_CHARS} characters")
    return name


def check_names(names: list[str], what: str) -> None:
    """Raise MalformedBody for too many tensors, or two of the same name."""
    if len(names) > MAX_TENSORS:
        raise MalformedBody(f"there are {len(names)} {what}; send at most {MAX_TENSORS}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(f"{twice[:80]!r} is there twice among the {what}; give each its own name")


def check_datatype(datatype: object, name: str) -> str:
    """Return the datatype. Raises MalformedBody for one that is not spoken."""
    if isinstance(datatype, str) and datatype in DATATYPES:
        return datatype
    if datatype == "BF16":
        raise MalformedBody(f"the tensor {name[:80]!r} is BF16, which numpy does not have; send FP32 or FP16")
    raise MalformedBody(
        f"the tensor {name[:80]!r} has the datatype {str(datatype)[:40]!r}; write one of {', '.join(DATATYPES)}"
    )


def check_shape(shape: object, datatype: str, name: str) -> tuple[int, ...]:
    """Return the shape. Raises MalformedBody unless it is a list of whole numbers that stays within the limits."""
    if not isinstance(shape, list | tuple) or len(shape) > MAX_DIMENSIONS:
        raise MalformedBody(f"the tensor {name[:80]!r} has no shape; write a list of at most {MAX_DIMENSIONS} numbers")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise MalformedBody(f"the shape of {name[:80]!r} is not made of whole numbers from 0; write the lengths sent")
    limit = MAX_BYTES_ELEMENTS if datatype == BYTES else MAX_ELEMENTS
    # A length of 0 must not hide the others: numpy multiplies them all the same.
    if math.prod(max(length, 1) for length in shape) > limit:
        raise MalformedBody(f"the shape of {name[:80]!r} has more than {limit} elements; send fewer at a time")
    return tuple(shape)


def check_tensor(tensor: Tensor) -> None:
    """Raise MalformedBody for a tensor that could not be read again: name, datatype, shape and data must agree."""
    name = check_name(tensor.name, "a tensor")
    datatype = check_datatype(tensor.datatype, name)
    shape = check_shape(tensor.shape, datatype, name)
    data = tensor.data
    if datatype == BYTES:
        agrees = isinstance(data, list) and len(data) == math.prod(shape) and all(type(item) is bytes for item in data)
    else:
        agrees = (
            isinstance(data, np.ndarray) and data.shape == shape and data.dtype.newbyteorder("<") == dtype_of(datatype)
        )
    if not agrees:
        raise MalformedBody(f"the data of {name[:80]!r} is not {datatype} of shape {list(shape)}; make them agree")
