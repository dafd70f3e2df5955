"""Look at an encoded image without decoding it: what it is, how large, and whether all of it arrived.

Facts from ITU-T T.81 (JPEG markers) and the PNG specification (signature, IHDR, IEND). The bytes are hostile until
proven otherwise: every step moves forward, the number of segments is bounded, and nothing is read beyond the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sedna_py.errors import BodyTooLarge, MalformedBody
from sedna_py.protocol.media_types import JPEG, PNG

DEFAULT_MAX_PIXELS: Final = 50_000_000

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER: Final = _PNG_SIGNATURE + b"\x00\x00\x00\rIHDR"
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_PADDING: Final = b"\x00\xff\r\n\t "

_MAX_SEGMENTS: Final = 1024
_MAX_CHUNKS: Final = 65_536  # of a PNG; encoders write some kilobytes into each
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC share the range
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and the restart markers stand alone
_MISPLACED: Final = frozenset({0x00, 0xD8, 0xD9, 0xDA})  # none of these may precede the frame header
_FILL = re.compile(rb"\xff+")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Media type, and size in pixels."""

    media_type: str
    width: int
    height: int


def probe(body: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> ImageHeader:
    """Read type and size from the first bytes.

    Raises MalformedBody if it is neither JPEG nor PNG, has no size, or ends before it; BodyTooLarge over `max_pixels`.
    """
    if body.startswith(_JPEG_START):
        header = ImageHeader(JPEG, *_jpeg_size(body))
    elif body.startswith(_PNG_SIGNATURE):
        header = ImageHeader(PNG, *_png_size(body))
    else:
        raise MalformedBody("the body is not an image; send JPEG or PNG")
    if not header.width or not header.height:
        raise MalformedBody(f"the image is {header.width}x{header.height} pixels; send one that has a size")
    if header.width * header.height > max_pixels:
        raise BodyTooLarge(f"the image is {header.width}x{header.height}, over {max_pixels} pixels; send a smaller one")
    return header


def check_complete(body: bytes) -> None:
    """Raise MalformedBody unless the image's end marker is there; padding after it is tolerated.

    A PNG's chunks must lie within the body, too: OpenCV makes room for the length that a chunk says, up to 4 GB, before it looks
    whether there is so much.
    """
    end = _JPEG_END if body.startswith(_JPEG_START) else _PNG_END
    if not body.rstrip(_PADDING).endswith(end):
        raise MalformedBody("the image is cut off: its end marker is missing; send all of it")
    if end is _PNG_END:
        _check_chunks(body)


def _check_chunks(body: bytes) -> None:
    # Length (4), type (4), data, checksum (4).
    position = len(_PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if body.startswith(_PNG_END, position):
            return
        position += 12 + int.from_bytes(body[position : position + 4], "big")
        if position + len(_PNG_END) > len(body):
            raise MalformedBody("the PNG is damaged: a chunk is longer than what was sent; send a whole PNG file")
    raise MalformedBody(f"the PNG has more than {_MAX_CHUNKS} chunks; write it with fewer")


def _png_size(body: bytes) -> tuple[int, int]:
    if not body.startswith(_PNG_HEADER) or len(body) < len(_PNG_HEADER) + 8:
        raise MalformedBody("the PNG is cut off or does not begin with its header; send all of it")
    return int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big")


def _jpeg_size(body: bytes) -> tuple[int, int]:
    position = len(_JPEG_START)
    for _ in range(_MAX_SEGMENTS):
        marker, position = _next_marker(body, position)
        if marker in _NO_LENGTH:
            continue
        length = int.from_bytes(body[position : position + 2], "big")
        if marker in _MISPLACED or length < 2:
            raise MalformedBody("the JPEG has no frame header where one belongs; send a valid JPEG")
        if marker in _SOF:
            return _frame_size(body[position : position + length], length)
        position += length
    raise MalformedBody(f"the JPEG has more than {_MAX_SEGMENTS} segments before its frame header; send a valid JPEG")


def _next_marker(body: bytes, position: int) -> tuple[int, int]:
    fill = _FILL.match(body, position)
    if fill is None or fill.end() + 2 >= len(body):
        raise MalformedBody("the JPEG is cut off or damaged before its frame header; send all of it")
    return body[fill.end()], fill.end() + 1


def _frame_size(segment: bytes, length: int) -> tuple[int, int]:
    # Length (2), precision (1), height (2), width (2), number of components (1).
    if length < 8 or len(segment) < 8:
        raise MalformedBody("the JPEG frame header is too short; send all of the image")
    return int.from_bytes(segment[5:7], "big"), int.from_bytes(segment[3:5], "big")
