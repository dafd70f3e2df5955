"""The edge's client and packer against a real cloud worker: what it says of its model, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sedna_py.client.cloud_client import CloudClient
from sedna_py.decision_log import Box
from sedna_py.protocol.headers import MODEL_INPUT
from tests.workers.inference.tiny_models import MODEL_INFO, save_colour_detector
from workers.edge.frames import SourceFrame
from workers.edge.link_quality import LinkQuality
from workers.edge.offload import CloudAnswer, Offloader, OffloadOptions
from workers.edge.packing import FittedJpeg
from workers.inference.image_codec import encode_jpeg, encode_png
from workers.inference.predictor import create_predictor

PATIENCE_S = 20.0


def blue_and_green(width: int, height: int) -> Any:
    """A BGR picture, blue in its upper three quarters and green in its lower ones: two boxes."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height * 3 // 4, :, 0] = 250
    picture[height // 4 :, :, 1] = 250
    return picture


class Edge:
    """An Offloader with all that is real behind it."""

    def __init__(self, url: str, packer: FittedJpeg | None = None) -> None:
        self.packer = packer or FittedJpeg(LinkQuality(85, 50, PATIENCE_S), fit=True)
        self.offloader = Offloader(CloudClient(url), self.packer, OffloadOptions(deadline_s=PATIENCE_S))

    def ask(self, picture: Any) -> CloudAnswer:
        answers: asyncio.Queue[CloudAnswer] = asyncio.Queue()

        async def main() -> CloudAnswer:
            loop = asyncio.get_running_loop()
            self.offloader.submit(
                SourceFrame(1, "s", picture, 0.0, 0.0),
                lambda a: loop.call_soon_threadsafe(answers.put_nowait, a) and None,
            )
            return await asyncio.wait_for(answers.get(), PATIENCE_S)

        return asyncio.run(main())


@pytest.fixture
def edge(worker: Any):
    made = Edge(worker.url)
    yield made
    made.offloader.close()


def test_only_who_sends_a_picture_is_told(worker: Any) -> None:
    picture = blue_and_green(30, 24)
    for media_type, body in (("image/jpeg", encode_jpeg(picture, 90)), ("image/png", encode_png(picture))):
        answer = worker.predict(content=body, headers={"Content-Type": media_type})
        assert answer.headers[MODEL_INPUT] == "8x8"
    assert MODEL_INPUT not in worker.predict(json={"data": picture[..., ::-1].tolist()}).headers
    assert MODEL_INPUT not in worker.predict(content=b"no picture", headers={"Content-Type": "image/jpeg"}).headers


@pytest.mark.parametrize("size", [(640, 480), (641, 479), (333, 777)])
def test_boxes_are_in_pixels_of_the_frame_whatever_was_sent(edge: Edge, size: tuple[int, int]) -> None:
    whole = edge.ask(blue_and_green(*size))
    assert (edge.packer.figures().width, edge.packer.figures().height) == size
    reduced = edge.ask(blue_and_green(*size))
    assert (edge.packer.figures().width, edge.packer.figures().height) == (8, 8)
    assert reduced.bytes_sent < whole.bytes_sent / 2
    assert reduced.cause is whole.cause is None
    assert len(reduced.result) == len(whole.result) == 2
    # Each colour's box is a third of the width and all of the height; model-api rounds to whole pixels of what it got.
    half_pixel = size[0] / 8 / 2
    for row, same in zip(reduced.result, whole.result, strict=True):
        assert row[:4] == pytest.approx(same[:4], abs=half_pixel + 1)
        assert row[4] == pytest.approx(same[4], abs=0.05)
        assert row[5] == same[5]
    assert [row[3] for row in reduced.result] == pytest.approx([size[1]] * 2, abs=0.1)
    assert max(row[2] for row in reduced.result) == pytest.approx(size[0], abs=0.1)


def test_a_letterboxing_model_keeps_the_shape(serve: Callable[..., Any], tmp_path: Any) -> None:
    info = {**MODEL_INFO, "resize_type": "fit_to_window_letterbox"}
    edge = Edge(serve(create_predictor(str(save_colour_detector(tmp_path, model_info=info)))).url)
    try:
        picture = np.full((300, 641, 3), 250, np.uint8)
        whole, reduced = edge.ask(picture), edge.ask(picture)
    finally:
        edge.offloader.close()
    assert (edge.packer.figures().width, edge.packer.figures().height) == (8, 4)
    for row, same in zip(reduced.result, whole.result, strict=True):
        assert row[:4] == pytest.approx(same[:4], abs=641 / 8 / 2 + 1)


class Corner:
    """Model code that says nothing of an input: a box of the picture that it got."""

    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> list[Box]:
        height, width = data.shape[:2]
        return [[0.0, 0.0, float(width), float(height), 0.9, 0.0]]


class Sure(Corner):
    """Such code that gives no boxes."""

    def predict(self, data: Any, **kwargs: Any) -> Any:
        return [0.1, 0.9]


def test_code_of_ones_own_gets_whole_frames(serve: Callable[..., Any]) -> None:
    edge = Edge(serve(Corner()).url)
    try:
        for _ in range(3):
            assert edge.ask(blue_and_green(641, 479)).result == [[0.0, 0.0, 641.0, 479.0, 0.9, 0.0]]
    finally:
        edge.offloader.close()


@pytest.mark.parametrize(
    ("code", "expected"), [(Corner, ([[0.0, 0.0, 641.0, 479.0, 0.9, 0.0]], None)), (Sure, (None, "invalid_reply"))]
)
def test_a_frame_that_meets_another_model_than_it_was_reduced_for_is_right_or_refused(
    worker: Any, serve: Callable[..., Any], code: Any, expected: Any
) -> None:
    """As in a rollout: the next worker says nothing of its input, and knows nothing of reduced frames."""
    first = Edge(worker.url)
    then = Edge(serve(code()).url, first.packer)
    try:
        first.ask(blue_and_green(641, 479))
        answer = then.ask(blue_and_green(641, 479))
        assert (answer.result, answer.cause) == expected
        assert then.packer.figures().width == 8
        assert then.ask(blue_and_green(641, 479)).cause is None
        assert then.packer.figures().width == 641
    finally:
        first.offloader.close()
        then.offloader.close()
