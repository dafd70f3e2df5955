"""A model of some ten milliseconds, made here: none of the real ones is near that on every machine.

A stem and a number of 3 x 3 convolutions of 64 channels on a map of 56 x 56, with seeded weights: as many as make it as fast as
is wanted. What it finds means nothing; what it costs is what a detector of that size costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from tests.bench.serving.limits import BenchModel

SIDE: Final = 224  # of the input, pixels
CHANNELS: Final = 64
ROWS: Final = 4  # boxes in every answer
FEW, MANY = 4, 16  # layers that are measured first
MOST_LAYERS: Final = 40
PROBE_S: Final = 2.0
PROBES: Final = 3


class Boxes:
    """The hooks around it: a picture stretched to SIDE x SIDE in, ROWS boxes of its pixels out."""

    input_size = (SIDE, SIDE)
    letterbox = False

    def load(self, model_url: str) -> str:
        """Return the path: the graph takes the picture as it is."""
        return model_url

    def preprocess(self, frame: NDArray[np.uint8]) -> tuple[dict[str, NDArray[np.uint8]], tuple[int, int]]:
        """Return the picture in the model's size, and the size that it had."""
        small: Any = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return {"picture": small[None]}, (frame.shape[1], frame.shape[0])

    def postprocess(self, outputs: Mapping[str, NDArray[Any]], meta: tuple[int, int]) -> list[list[float]]:
        """Return the rows in pixels of the picture."""
        width, height = meta
        rows = outputs["boxes"].reshape(ROWS, 6).tolist()
        return [[x0 * width, y0 * height, x1 * width, y1 * height, score, 0.0] for x0, y0, x1, y1, score, _ in rows]


def network(layers: int, seed: int = 6) -> ov.Model:
    """Return the graph: u8 (1, SIDE, SIDE, 3) in, (1, ROWS * 6) from 0 to 1 out."""
    random = np.random.default_rng(seed)

    def convolution(node: ov.Node, size: int, stride: int, inputs: int) -> ov.Node:
        weights = random.normal(0, (2 / (inputs * size * size)) ** 0.5, (CHANNELS, inputs, size, size))
        kernel = op.constant(weights.astype(np.float32))
        pad = [(size - 1) // 2] * 2
        return op.relu(op.convolution(node, kernel, [stride, stride], pad, pad, [1, 1]))

    picture = op.parameter([1, SIDE, SIDE, 3], np.uint8, name="picture")
    picture.output(0).get_tensor().set_names({"picture"})
    scaled = op.multiply(op.convert(picture, "f32"), op.constant(np.float32(1 / 255)))
    node = convolution(op.transpose(scaled, op.constant(np.array([0, 3, 1, 2]))), 5, 4, 3)
    for _ in range(layers):
        node = convolution(node, 3, 1, CHANNELS)
    means = op.reduce_mean(node, op.constant(np.array([2, 3])), keep_dims=False)
    weights = op.constant(random.normal(0, 0.1, (CHANNELS, ROWS * 6)).astype(np.float32))
    boxes = op.sigmoid(op.matmul(means, weights, transpose_a=False, transpose_b=False))
    boxes.output(0).get_tensor().set_names({"boxes"})
    return ov.Model([op.result(boxes)], [picture], f"middle{layers}")


def middle_model(per_second: float, folder: Path) -> BenchModel:
    """Return the one whose inferences/s here, by benchmark_app, are the nearest to that.

    An inference takes a time for the stem and the same for each convolution more, so two sizes tell which one it is, about; that
    one and its neighbours are tried.
    """
    tried = {layers: _Tried.of(layers, folder) for layers in (FEW, MANY)}
    each = (tried[MANY].seconds - tried[FEW].seconds) / (MANY - FEW)
    guess = round(FEW + (1 / per_second - tried[FEW].seconds) / each) if each > 0 else MANY
    for layers in {min(max(guess + step, 1), MOST_LAYERS) for step in (-1, 0, 1)} - tried.keys():
        tried[layers] = _Tried.of(layers, folder)
    nearest = min(tried.values(), key=lambda one: abs(math.log(one.seconds * per_second)))
    return nearest.model


@dataclass(frozen=True, slots=True)
class _Tried:
    """A model, and the seconds between two of its inferences here."""

    model: BenchModel
    seconds: float

    @classmethod
    def of(cls, layers: int, folder: Path) -> _Tried:
        graph = folder / f"middle{layers}.xml"
        ov.save_model(network(layers), graph, compress_to_fp16=False)
        environment = {"MODEL_URL": str(graph), "ESTIMATOR": f"{__name__}:{Boxes.__name__}"}
        model = BenchModel(f"{layers} convolutions", environment, graph)
        # The machine may be busy with something else for some of them.
        return cls(model, 1 / max(model.per_second(PROBE_S) for _ in range(PROBES)))
