"""NPY bodies: numpy's own files are read, lies about their size are not believed."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sedna_py.errors import BodyTooLarge, MalformedBody
from sedna_py.protocol import npy

MEGABYTE = 1_000_000


def _file(header: str, data: bytes = b"", version: int = 1) -> bytes:
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode("latin-1") + data


@pytest.mark.parametrize("dtype", ["u1", "i2", "<f4", ">f4", ">i8", "f8", "f2"])
@pytest.mark.parametrize("shape", [(4, 6, 3), (5,), (), (2, 1, 2, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_there_and_back(dtype, shape, order):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape), dtype=dtype, order=order)
    decoded = npy.decode(npy.encode(array), max_bytes=MEGABYTE)
    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == array.dtype.newbyteorder("=")
    assert decoded.dtype.isnative
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_numpy_reads_ours_and_we_read_numpys():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(np.load(io.BytesIO(npy.encode(array))), array)
    for version in [(1, 0), (2, 0), (3, 0)]:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, version=version)
        np.testing.assert_array_equal(npy.decode(buffer.getvalue(), max_bytes=MEGABYTE), array)


def test_other_writers_may_order_and_quote_the_header_as_they_like():
    body = _file('{"shape":(1,2), "fortran_order":False, "descr":"|u1"}\n', b"\x07\x08")
    assert npy.decode(body, max_bytes=MEGABYTE).tolist() == [[7, 8]]


@pytest.mark.parametrize(
    "array", [np.array([None]), np.array(["a"]), np.array([True]), np.zeros((0, 3)), np.array([1j])]
)
def test_only_numbers_are_sent(array):
    with pytest.raises(MalformedBody, match="give numbers"):
        npy.encode(array)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000, 1000000, 3)", f"({'9' * 3000},)", "(1001, 1000)"])
def test_a_header_that_claims_too_much_is_refused_before_anything_is_made(shape):
    with pytest.raises(BodyTooLarge, match="1000000 bytes"):
        npy.decode(_file(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n"), max_bytes=MEGABYTE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x09\x00\x10\x00",
        b"\x89PNG\r\n\x1a\n",
        _file("", b"\x00"),
        _file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x00" * 8),
        _file("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", b"\x00"),
        _file("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", b"\x00" * 4),
        _file("{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", b"\x00" * 3),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", b"\x00"),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (1 2,), }", b"\x00\x00"),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4), }"),
        _file(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'1,' * 65}), }}", b"\x00"),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", b"\x00"),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", b"\x00\x00\x00"),
        _file(" " * 5000 + "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", b"\x00"),
        _file("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", b"\x00", version=2)[:14],
    ],
)
def test_what_is_not_a_whole_file_of_numbers_is_refused(body):
    with pytest.raises(MalformedBody):
        npy.decode(body, max_bytes=MEGABYTE)


def test_damaged_files_never_raise_anything_else():
    good = npy.encode(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(good[: random.integers(0, len(good) + 1)] + random.bytes(random.integers(0, 4)))
        for position in random.integers(0, max(len(damaged), 1), 4):
            damaged[position : position + 1] = random.bytes(1)
        try:
            assert npy.decode(bytes(damaged), max_bytes=MEGABYTE).nbytes <= MEGABYTE
        except (MalformedBody, BodyTooLarge):
            refused += 1
    assert refused > 1000
