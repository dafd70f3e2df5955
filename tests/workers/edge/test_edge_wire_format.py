"""A frame as bytes, read back by what the cloud worker reads with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.protocol import npy
from sedna_py.protocol.media_types import JPEG, JSON, NPY, PNG
from workers.edge.wire_format import wire_format
from workers.inference.image_codec import decode_image

FRAME = np.random.default_rng(1).integers(0, 255, (6, 8, 3)).astype(np.uint8)  # BGR


@pytest.mark.parametrize(("name", "media_type"), [("jpeg", JPEG), ("png", PNG), ("npy", NPY), ("json", JSON)])
def test_media_types(name, media_type):
    assert wire_format(name).media_type == media_type


def test_a_png_loses_nothing():
    assert (decode_image(wire_format("png").encode(FRAME)) == FRAME).all()


def test_a_jpeg_follows_the_quality():
    plain = np.full((32, 32, 3), (10, 100, 200), np.uint8)
    assert np.abs(decode_image(wire_format("jpeg", 90).encode(plain)).astype(int) - plain).max() <= 3
    noisy = np.random.default_rng(2).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert len(wire_format("jpeg", 20).encode(noisy)) < len(wire_format("jpeg", 95).encode(noisy))


def test_numbers_travel_as_rgb():
    assert (npy.decode(wire_format("npy").encode(FRAME), max_bytes=10_000) == FRAME[..., ::-1]).all()
    # Contract 5.1, to the key.
    sent = json.loads(wire_format("json").encode(np.array([[[255, 30, 12], [250, 29, 11]]], np.uint8)))
    assert sent == {"data": [[[12, 30, 255], [11, 29, 250]]], "post_process": None}
