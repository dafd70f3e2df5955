"""Frames to bytes and back, with OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from sedna_py.errors import MalformedBody
from sedna_py.estimator import Frame


def encode_jpeg(frame: Frame, quality: int) -> bytes:
    """Return the frame (BGR) as a JPEG. Raises MalformedBody where OpenCV cannot encode it."""
    try:
        done, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise MalformedBody(f"the frame cannot be encoded: {_one_line(error)}") from error
    if not done:
        raise MalformedBody("the frame cannot be encoded as a JPEG")
    return encoded.tobytes()


def decode_image(body: bytes) -> Frame:
    """Return the picture in `body` as BGR. Raises MalformedBody where it is none.

    The caller has looked at the header (sedna_py.protocol.images) for completeness and size.
    """
    frame: Any
    try:
        frame = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MalformedBody(f"the picture cannot be decoded: {_one_line(error)}") from error
    if frame is None:
        raise MalformedBody("the picture cannot be decoded; send a whole JPEG or PNG file")
    picture: Frame = frame
    return picture


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
