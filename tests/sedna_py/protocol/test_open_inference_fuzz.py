"""Damaged Open Inference bodies: 20,000 of them, and nothing but MalformedBody comes out; what is read is read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference.request import InferRequest, RequestedOutput, decode_request, encode_request
from sedna_py.protocol.open_inference.response import InferResponse, decode_response, encode_response
from sedna_py.protocol.open_inference.tensors import DATATYPES, Tensor, dtype_of

ROUNDS = 5000  # for each of the four tests

TOKENS = (
    b"-1", b"0", b"1e999", b"1.5", b"null", b"true", b"NaN", b"99999999999999999999", b"[[", b"[]", b"]", b"{", b"}", b",",
    b'"', b"\\ud800", b"\xff", b"\x00", b"BYTES", b"FP16", b"BF16", b"UINT64", b"binary_data_size", b"data", b"\xff" * 4,
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, "", "x", "FP32", "FP16", "BYTES", "BOOL",
    "é" * 200, [], [0], [1, 2], [[1], [2]], [-1], [0, 2**62], [None], ["a"], ["a", "b"], [1.5], [[]], [[[]]], {},
    {"binary_data_size": 4}, {"binary_data": True}, {"name": "x"}, [{}], [{"name": "o"}], [{"name": "x"}],
)  # fmt: skip


def _tensor(random: Random, name: str) -> Tensor:
    datatype = random.choice(DATATYPES)
    shape = tuple(random.randrange(4) for _ in range(random.randrange(4)))
    count = int(np.prod(shape, dtype=int))
    if datatype == "BYTES":
        return Tensor(
            name, datatype, shape, [f"é{random.random()}".encode()[: random.randrange(2, 9)] for _ in range(count)]
        )
    dtype = dtype_of(datatype)
    if dtype.kind == "b":
        return Tensor(
            name, datatype, shape, np.array([random.random() < 0.5 for _ in range(count)], dtype).reshape(shape)
        )
    array = np.frombuffer(random.randbytes(count * dtype.itemsize), dtype).reshape(shape)
    return Tensor(name, datatype, shape, np.asarray(np.nan_to_num(array, nan=0.5, posinf=1, neginf=2), dtype))


def _json_fits(tensors: tuple[Tensor, ...]) -> bool:
    return all(tensor.datatype != "FP16" for tensor in tensors)


def _random_request(random: Random) -> tuple[InferRequest, bytes, int | None]:
    inputs = tuple(_tensor(random, f"in{n}") for n in range(random.randrange(1, 4)))
    outputs = tuple(RequestedOutput(f"out{n}", random.choice([None, True, False])) for n in range(random.randrange(3)))
    request = InferRequest(
        inputs, outputs, random.choice(["", "id-1"]), random.choice([{}, {"binary_data_output": True}])
    )
    return request, *encode_request(request, binary=not _json_fits(inputs) or random.random() < 0.5)


def _random_response(random: Random) -> tuple[InferResponse, bytes, int | None]:
    outputs = tuple(_tensor(random, f"out{n}") for n in range(random.randrange(4)))
    names = frozenset(tensor.name for tensor in outputs if tensor.datatype == "FP16" or random.random() < 0.5)
    response = InferResponse("m", outputs, random.choice(["", "1"]), "id")
    return response, *encode_response(response, names)


def _damage_bytes(random: Random, body: bytes, length: int | None) -> tuple[bytes, int | None]:
    damaged = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(damaged) + 1)
        match random.randrange(5):
            case 0:
                damaged[at : at + 1] = random.randbytes(1)
            case 1:
                damaged[at : at + random.randrange(1, 9)] = random.choice(TOKENS)
            case 2:
                damaged[at:at] = random.choice(TOKENS)
            case 3:
                del damaged[at : at + random.choice([1, 4, 1000])]
            case _:
                damaged[at:at] = damaged[at // 2 : at]
    if length is not None and random.random() < 0.5:
        # As a sender would say it that means these bytes, so that more of them are looked at.
        length += len(damaged) - len(body) if random.random() < 0.8 else random.randrange(-9, 9)
    return bytes(damaged), length


def _damage_values(random: Random, body: bytes, length: int | None) -> tuple[bytes, int | None]:
    document = json.loads(body[:length])
    for _ in range(random.randrange(1, 3)):
        container: Any = document
        while True:
            keys = list(container) if isinstance(container, dict) else list(range(len(container)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(container[key], dict | list) and random.random() < 0.8:
                container = container[key]
                continue
            container[key] = deepcopy(random.choice(VALUES))
            break
    header = json.dumps(document).encode()
    return header + (b"" if length is None else body[length:]), None if length is None else len(header)


def _described(tensors: tuple[Tensor, ...]) -> list[tuple[object, ...]]:
    return [
        (one.name, one.datatype, one.shape, one.data if isinstance(one.data, list) else one.data.tobytes())
        for one in tensors
    ]


def _check_request(one: InferRequest, other: InferRequest) -> None:
    assert _described(one.inputs) == _described(other.inputs)
    assert (one.outputs, one.id, one.parameters) == (other.outputs, other.id, other.parameters)


def _check_response(one: InferResponse, other: InferResponse) -> None:
    assert _described(one.outputs) == _described(other.outputs)
    assert (one.model_name, one.model_version, one.id) == (other.model_name, other.model_version, other.id)


@pytest.mark.parametrize("damage", [_damage_bytes, _damage_values])
@pytest.mark.parametrize(
    ("make", "decode", "encode", "check"),
    [
        (_random_request, decode_request, lambda request: encode_request(request, binary=True), _check_request),
        (_random_response, decode_response, lambda response: encode_response(response, True), _check_response),
    ],
    ids=["request", "response"],
)
def test_damaged_bodies_are_refused_or_read_exactly(
    make: Callable[[Random], tuple[Any, bytes, int | None]],
    decode: Callable[[bytes, int | None], Any],
    encode: Callable[[Any], tuple[bytes, int | None]],
    check: Callable[[Any, Any], None],
    damage: Callable[[Random, bytes, int | None], tuple[bytes, int | None]],
) -> None:
    random = Random(11)
    refusals: list[str] = []
    read = 0
    for number in range(ROUNDS):
        if number % 5 == 0:
            original, *whole = make(random)
            check(decode(*whole), original)
        try:
            decoded = decode(*damage(random, *whole))
        except MalformedBody as error:
            refusals.append(str(error))
        else:
            check(decode(*encode(decoded)), decoded)
            read += 1
    assert len(refusals) > ROUNDS / 5
    assert read > ROUNDS / 50
    assert max(map(len, refusals)) < 1000  # they quote little of what was sent
