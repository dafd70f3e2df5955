"""Image headers: real layouts, cut-off files and hostile bytes."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest

from sedna_py.errors import BodyTooLarge, MalformedBody
from sedna_py.protocol.images import ImageHeader, check_complete, probe

_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def _segment(marker: int, payload: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload


def _frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    return _segment(marker, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))


def _jpeg(width: int = 640, height: int = 480, *, before: bytes = b"", marker: int = 0xC0) -> bytes:
    scan = _segment(0xDA, bytes(10)) + b"\x12\x34\xff\x00\x56"
    return (
        b"\xff\xd8"
        + _segment(0xE0, b"JFIF\x00" + bytes(9))
        + before
        + _frame(width, height, marker)
        + scan
        + b"\xff\xd9"
    )


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _png(width: int = 2, height: int = 3) -> bytes:
    rows = zlib.compress(b"\x00" * 21)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


THUMBNAIL = _segment(0xE1, b"Exif\x00\x00" + b"\xff\xd8" + _frame(160, 120) + b"\xff\xd9")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_jpeg(), ImageHeader("image/jpeg", 640, 480)),
        (_jpeg(1920, 1080, marker=0xC2), ImageHeader("image/jpeg", 1920, 1080)),
        (_jpeg(before=THUMBNAIL), ImageHeader("image/jpeg", 640, 480)),
        (_jpeg(before=_segment(0xC4, b"huffman")), ImageHeader("image/jpeg", 640, 480)),
        (_jpeg(before=b"\xff" * 5000), ImageHeader("image/jpeg", 640, 480)),
        (_jpeg(before=b"\xff\x01\xff\xd0"), ImageHeader("image/jpeg", 640, 480)),
        (_png(), ImageHeader("image/png", 2, 3)),
        (_png(4000, 3000), ImageHeader("image/png", 4000, 3000)),
    ],
)
def test_whole_images(body, expected):
    assert probe(body) == expected
    check_complete(body)
    check_complete(body + b"\x00" * 512)
    check_complete(body + b"\r\n")


def _admit(body: bytes) -> None:
    probe(body)
    check_complete(body)


@pytest.mark.parametrize("body", [_jpeg(before=THUMBNAIL), _png()])
def test_no_cut_off_image_passes(body):
    for length in range(len(body)):
        with pytest.raises(MalformedBody):
            _admit(body[:length])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not an image"),
        (b"GIF89a" + bytes(20), "not an image"),
        (b'{"data": []}', "not an image"),
        (_jpeg(0, 480), "0x480"),
        (_jpeg(640, 0), "640x0"),
        (_png(0, 3), "0x3"),
        (b"\x89PNG\r\n\x1a\n" + _chunk(b"IDAT", bytes(30)), "does not begin with its header"),
        (b"\xff\xd8\xff\xd9" + bytes(8), "no frame header"),
        (b"\xff\xd8" + _segment(0xDA, bytes(10)), "no frame header"),
        (b"\xff\xd8\xff\xe0\x00\x01" + bytes(20), "no frame header"),
        (b"\xff\xd8\x00\x00" + bytes(20), "damaged"),
        (b"\xff\xd8\xff\xc0\x00\x04\x08\x00\x01\x00\x01\x03", "too short"),
        (b"\xff\xd8" + b"\xff\x01" * 5000, "more than 1024 segments"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(body, message):
    with pytest.raises(MalformedBody, match=message):
        probe(body)


def test_pixels_are_limited():
    assert probe(_jpeg(1000, 1000), max_pixels=1_000_000).width == 1000
    with pytest.raises(BodyTooLarge, match="1000x1001"):
        probe(_jpeg(1000, 1001), max_pixels=1_000_000)
    with pytest.raises(BodyTooLarge):
        probe(_png(2**31 - 1, 2**31 - 1))


def _hostile_bodies(seed: int, count: int):
    random = np.random.default_rng(seed)
    starts = [b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b""]
    for index in range(count):
        noise = random.bytes(int(random.integers(0, 400)))
        # Half of them consist mostly of marker prefixes, which random bytes hardly ever are.
        if index % 2:
            noise = bytes(b if random.random() < 0.5 else 0xFF for b in noise[:60])
        yield starts[index % len(starts)] + noise


def test_hostile_bytes_raise_nothing_unexpected():
    outcomes = {"read": 0, "refused": 0}
    for body in _hostile_bodies(seed=3, count=4000):
        for look in (probe, check_complete):
            try:
                look(body)
                outcomes["read"] += 1
            except (MalformedBody, BodyTooLarge):
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x01", b"\xff\xe0\x00\x02", b"\x00"])
def test_large_hostile_bodies_take_no_time(filler):
    body = b"\xff\xd8" + filler * (8_000_000 // len(filler))
    started = time.process_time()
    with pytest.raises(MalformedBody):
        probe(body)
    with pytest.raises(MalformedBody):
        check_complete(body)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("length", [1, 64, 2**31 - 1, 2**32 - 1])
def test_a_png_chunk_that_is_longer_than_the_file_is_refused_before_anyone_makes_room_for_it(length):
    """OpenCV took 3.7 GB and 3 s for such a file of 135 bytes."""
    header, end = _png(30, 24)[:33], _END
    check_complete(header + b"\x00\x00\x00\x02IDATxx\x00\x00\x00\x00" + end)
    with pytest.raises(MalformedBody, match="a chunk is longer than what was sent"):
        check_complete(header + length.to_bytes(4, "big") + b"IDAT" + b"\x00" * 4 + end)


def test_a_png_of_too_many_chunks_is_refused():
    with pytest.raises(MalformedBody, match="more than 65536 chunks"):
        check_complete(_png(30, 24)[:33] + b"\x00\x00\x00\x00tEXt\x00\x00\x00\x00" * 70_000 + _END)
