"""Pictures decoded no larger than the model's input: by how much, and whether boxes still fit the original."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sedna_py.errors import EstimatorError
from sedna_py.protocol import images
from tests.workers.inference.tiny_models import save_colour_detector
from workers.inference.frame_need import FrameNeed, Scale
from workers.inference.image_codec import encode_jpeg, encode_png
from workers.inference.predictor import create_predictor, frame_need_of
from workers.inference.reduced_decode import ReducedFrame, decode_reduced


@pytest.mark.parametrize(
    ("need", "size", "factor"),
    [
        (FrameNeed(192, 192, letterbox=True), (640, 480), 2),  # its longer side is 3.3 times too long
        (FrameNeed(192, 192, letterbox=False), (640, 480), 2),
        (FrameNeed(192, 192, letterbox=False), (640, 200), 1),  # stretched: its height is needed in full
        (FrameNeed(192, 192, letterbox=True), (640, 200), 2),
        (FrameNeed(320, 320, letterbox=True), (640, 640), 2),  # exactly
        (FrameNeed(320, 320, letterbox=True), (639, 639), 1),
        (FrameNeed(128, 128, letterbox=True), (1024, 768), 8),
        (FrameNeed(16, 16, letterbox=True), (4000, 3000), 8),  # there is no sixteenth
        (FrameNeed(640, 640, letterbox=True), (320, 240), 1),
        (FrameNeed(100, 50, letterbox=True), (400, 200), 4),
    ],
)
def test_the_largest_factor_that_leaves_enough(need: FrameNeed, size: tuple[int, int], factor: int) -> None:
    assert need.reduction(*size) == factor


def test_boxes_are_given_in_pixels_of_the_original() -> None:
    rows = Scale(2.0, 3.0).enlarge([[1.0, 2.0, 10.5, 20.25, 0.9, 1.0]])
    assert rows == [[2.0, 6.0, 21.0, 60.8, 0.9, 1.0]]


def picture(width: int, height: int) -> Any:
    chance = np.random.default_rng(3)
    small = chance.integers(0, 255, (height // 64, width // 64, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(640, 480), (641, 479), (333, 777)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_reduced_jpeg_shows_the_same(size: tuple[int, int], factor: int) -> None:
    frame = picture(*size)
    body = encode_jpeg(frame, 90)
    need = FrameNeed(max(size) // factor, max(size) // factor, letterbox=True)
    found = decode_reduced(body, images.probe(body), need)
    assert isinstance(found, ReducedFrame)
    height, width = found.frame.shape[:2]
    assert (width, height) == (-(-size[0] // factor), -(-size[1] // factor))
    assert (width * found.scale.across, height * found.scale.down) == pytest.approx(size)
    again = cv2.resize(found.frame, size, interpolation=cv2.INTER_LINEAR)
    assert np.abs(again.astype(int) - frame).mean() < 12


def test_a_png_and_a_small_jpeg_are_decoded_as_they_are() -> None:
    frame = picture(128, 96)
    png, jpeg = encode_png(frame), encode_jpeg(frame, 90)
    assert np.array_equal(decode_reduced(png, images.probe(png), FrameNeed(8, 8, letterbox=True)), frame)
    assert decode_reduced(jpeg, images.probe(jpeg), FrameNeed(128, 128, letterbox=True)).shape == frame.shape  # type: ignore[union-attr]
    assert decode_reduced(jpeg, images.probe(jpeg), None).shape == frame.shape  # type: ignore[union-attr]


def test_a_turned_picture_has_its_scale_turned() -> None:
    """EXIF orientation 6: the decoder turns the picture, of which the frame header knows nothing."""
    body = encode_jpeg(picture(640, 320), 90)
    exif = (
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    )
    turned = body[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + body[2:]
    found = decode_reduced(turned, images.probe(turned), FrameNeed(160, 160, letterbox=True))
    assert isinstance(found, ReducedFrame)
    assert found.frame.shape == (160, 80, 3)
    assert (found.scale.across, found.scale.down) == (4, 4)


def test_a_detector_finds_the_same_box_in_a_reduced_picture(tmp_path: Path) -> None:
    predictor = create_predictor(str(save_colour_detector(tmp_path)))
    assert predictor.frame_need == FrameNeed(8, 8, letterbox=False)
    frame = np.zeros((90, 120, 3), np.uint8)
    frame[..., 0] = 250  # blue
    body = encode_jpeg(frame, 95)
    boxes = []
    for need in (None, predictor.frame_need):
        done: Future[Any] = Future()
        predictor.submit(decode_reduced(body, images.probe(body), need), done.set_result)
        boxes.append(done.result(20))
    predictor.close()
    assert len(boxes[0]) == 1
    assert np.allclose(boxes[0], boxes[1], atol=0.2)
    assert boxes[1][0][2] == pytest.approx(120, abs=0.2)  # to the right edge of the original


@pytest.mark.parametrize("size", ["large", (0, 8), (1, 2, 3), 5])
def test_an_estimators_size_that_is_none(size: Any) -> None:
    class Estimator:
        input_size = size

    with pytest.raises(EstimatorError, match=r"write \(width, height\) in pixels"):
        frame_need_of(Estimator())
