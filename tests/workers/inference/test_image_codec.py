"""Frames to bytes and back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from sedna_py.errors import MalformedBody
from workers.inference.image_codec import decode_image, encode_jpeg

FRAME = np.full((20, 30, 3), (10, 100, 200), np.uint8)


def test_a_jpeg_comes_back_nearly_the_same() -> None:
    body = encode_jpeg(FRAME, 90)
    assert body.startswith(b"\xff\xd8")
    again = decode_image(body)
    assert again.shape == FRAME.shape
    assert np.abs(again.astype(int) - FRAME).max() < 8


def test_quality_costs_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(encode_jpeg(noise, 10)) < len(encode_jpeg(noise, 90)) / 2


@pytest.mark.parametrize(
    "picture", [FRAME, FRAME[..., 0], FRAME.astype(np.uint16) * 257], ids=["BGR", "grey", "16 bit"]
)
def test_every_png_becomes_8_bit_bgr(picture: Any) -> None:
    frame = decode_image(cv2.imencode(".png", picture)[1].tobytes())
    assert frame.shape == FRAME.shape
    assert frame.dtype == np.uint8


@pytest.mark.parametrize("frame", [np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4, 2), np.uint8)])
def test_what_cannot_be_encoded(frame: Any) -> None:
    with pytest.raises(MalformedBody, match="cannot be encoded"):
        encode_jpeg(frame, 85)


@pytest.mark.parametrize("body", [b"", b"garbage", b"\xff\xd8\xff\xd9", encode_jpeg(FRAME, 80)[:40]])
def test_what_cannot_be_decoded(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="cannot be decoded") as caught:
        decode_image(body)
    assert "\n" not in str(caught.value)
