"""What requests and responses share: a JSON object that lists tensors, and their binary data behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference import binary_form, json_form
from sedna_py.protocol.open_inference.tensors import (
    Tensor,
    check_datatype,
    check_name,
    check_names,
    check_shape,
    check_tensor,
)

BINARY_DATA_SIZE: Final = "binary_data_size"
SHARED_MEMORY: Final = "shared_memory_region"


def split(body: bytes, header_length: int | None) -> tuple[dict[str, Any], int]:
    """Return the JSON object and where the binary data begins; without a length the whole body is the object.

    Raises MalformedBody.
    """
    if header_length is None:
        return json_form.load(body), len(body)
    if not 0 < header_length <= len(body):
        raise MalformedBody(
            f"{binary_form.HEADER_LENGTH} is {header_length}, the body has {len(body)} bytes; "
            "write the length of the JSON object that it begins with"
        )
    return json_form.load(body[:header_length]), header_length


def read_tensors(documents: list[dict[str, Any]], body: bytes, offset: int, what: str) -> tuple[Tensor, ...]:
    """Return the tensors; together they must use all of the body from `offset` on. Raises MalformedBody."""
    names = [check_name(document.get("name"), f"one of the {what}") for document in documents]
    check_names(names, what)
    tensors: list[Tensor] = []
    for name, document in zip(names, documents, strict=True):
        tensor, offset = _read_tensor(name, document, body, offset)
        tensors.append(tensor)
    if offset != len(body):
        raise MalformedBody(
            f"{len(body) - offset} bytes behind the JSON object belong to none of the {what}; "
            f"write their {BINARY_DATA_SIZE}"
        )
    return tuple(tensors)


def join(
    document: dict[str, Any], key: str, tensors: Iterable[Tensor], binary: Callable[[str], bool]
) -> tuple[bytes, int | None]:
    """Return the body with the tensors under `key`, and the length of its JSON object, None if that is all of it.

    Raises MalformedBody for tensors that could not be read again.
    """
    listed = list(tensors)
    check_names([tensor.name for tensor in listed], key)
    described: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for tensor in listed:
        check_tensor(tensor)
        entry: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
        if binary(tensor.name):
            parts.append(binary_form.write_data(tensor))
            entry["parameters"] = {BINARY_DATA_SIZE: len(parts[-1])}
        else:
            entry["data"] = json_form.write_data(tensor)
        described.append(entry)
    header = json_form.dump({**document, key: described})
    return b"".join((header, *parts)), len(header) if parts else None


def _read_tensor(name: str, document: dict[str, Any], body: bytes, offset: int) -> tuple[Tensor, int]:
    datatype = check_datatype(document.get("datatype"), name)
    shape = check_shape(document.get("shape"), datatype, name)
    parameters = json_form.read_parameters(document)
    if SHARED_MEMORY in parameters:
        raise MalformedBody(f"the tensor {name[:80]!r} is in shared memory, which is not spoken here; send its data")
    size = parameters.get(BINARY_DATA_SIZE)
    if size is None:
        base64 = parameters.get(json_form.CONTENT_TYPE_PARAMETER) == json_form.BASE64
        data = json_form.read_data(document.get("data"), name, datatype, shape, base64=base64)
        return Tensor(name, datatype, shape, data), offset
    if type(size) is not int or size < 0:
        raise MalformedBody(f"{BINARY_DATA_SIZE} of {name[:80]!r} is not a whole number from 0; write the bytes sent")
    if document.get("data") is not None:
        raise MalformedBody(f"the tensor {name[:80]!r} has data and {BINARY_DATA_SIZE}; send one of them")
    return Tensor(
        name, datatype, shape, binary_form.read_data(body, offset, size, name, datatype, shape)
    ), offset + size
