"""Frames to bytes and back, with OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from sedna_py.errors import MalformedBody
from sedna_py.estimator import Frame


def encode_jpeg(frame: Frame, quality: int, *, full_colour: bool = False) -> bytes:
    """Return the frame (BGR) as a JPEG; `full_colour`: at each pixel (4:4:4), not one colour for four of them (4:2:0).

    Raises MalformedBody where OpenCV cannot encode it.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if full_colour:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", frame, options)


def encode_png(frame: Frame) -> bytes:
    """Return the frame (BGR) as a PNG, which loses nothing. Raises MalformedBody where OpenCV cannot encode it."""
    return _encode(".png", frame, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _encode(suffix: str, frame: Frame, options: list[int]) -> bytes:
    try:
        done, encoded = cv2.imencode(suffix, frame, options)
    except cv2.error as error:
        raise MalformedBody(f"the frame cannot be encoded: {_one_line(error)}") from error
    if not done:
        raise MalformedBody(f"the frame cannot be encoded as {suffix}")
    return encoded.tobytes()


def decode_image(body: bytes, flag: int = cv2.IMREAD_COLOR) -> Frame:
    """Return the picture in `body` as BGR; `flag` is OpenCV's for its size. Raises MalformedBody where it is none.

    The caller has looked at the header (sedna_py.protocol.images) for completeness and size.
    """
    frame: Any
    try:
        frame = cv2.imdecode(np.frombuffer(body, np.uint8), flag)
    except cv2.error as error:
        raise MalformedBody(f"the picture cannot be decoded: {_one_line(error)}") from error
    if frame is None:
        raise MalformedBody("the picture cannot be decoded; send a whole JPEG or PNG file")
    picture: Frame = frame
    return picture


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
