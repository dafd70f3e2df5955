"""MediaPipe's two face detectors as estimators: `ShortRange` for the edge, `FullRange` for the cloud.

Both are single-shot detectors: each anchor (a point of a grid) has one score and one box relative to it. The grids are
what MediaPipe's `ssd_anchors_calculator` gives for the strides of the two models; boxes that mean the same face are
blended by score, as MediaPipe does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from sedna_py.context import Context
from sedna_py.errors import EstimatorError, ModelError, SettingsError

Floats = NDArray[np.float32]
Frame = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax

IOU_SAME_FACE = 0.3  # MediaPipe's min_suppression_threshold for these models
MAX_BOXES = 20
MAX_CANDIDATES = 200  # bounds the work on a frame where half the anchors fire
LOGIT_LIMIT = 80.0  # as MediaPipe: exp() of more overflows float32


@dataclass(frozen=True)
class Detector:
    """What distinguishes one model of the family from another."""

    input_size: int  # side of the square input, pixels
    regressors: str  # output (1, anchors, 16): x, y, w, h in input pixels, then six key points that are not used here
    scores: str  # output (1, anchors, 1): logits
    grid: tuple[tuple[int, int], ...]  # per layer: cells a side, anchors a cell


SHORT_RANGE = Detector(128, "regressors", "classificators", ((16, 2), (8, 6)))
FULL_RANGE = Detector(192, "reshaped_regressor_face_4", "reshaped_classifier_face_4", ((48, 1),))


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies in the square input: pixel p of the frame is at p * scale + pad."""

    width: int  # of the frame, pixels
    height: int
    inner_width: int  # of the frame in the input, pixels
    inner_height: int
    left: int  # padding, pixels of the input
    top: int

    def to_frame(self, box: Box) -> Box:
        """Return a box in input pixels as pixels of the frame, clipped to it."""
        across, down = self.width / self.inner_width, self.height / self.inner_height
        return (
            min(max((box[0] - self.left) * across, 0.0), self.width),
            min(max((box[1] - self.top) * down, 0.0), self.height),
            min(max((box[2] - self.left) * across, 0.0), self.width),
            min(max((box[3] - self.top) * down, 0.0), self.height),
        )


def letterbox(width: int, height: int, size: int) -> Letterbox:
    """Return the largest centred placement of a frame in a square of `size` pixels that keeps its aspect ratio."""
    scale = size / max(width, height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    return Letterbox(width, height, inner_width, inner_height, (size - inner_width) // 2, (size - inner_height) // 2)


def anchor_centres(detector: Detector) -> Floats:
    """Return the anchors' centres (anchors, 2) as x, y in input pixels: row by row, all anchors of a cell in a row."""
    layers = []
    for cells, per_cell in detector.grid:
        axis = (np.arange(cells, dtype=np.float32) + 0.5) * (detector.input_size / cells)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    return np.concatenate(layers)


def corners(regressor: Sequence[float], centre: Sequence[float]) -> Box:
    """Return a box in input pixels from a regressor (x, y, w, h) and its anchor's centre."""
    x, y = centre[0] + regressor[0], centre[1] + regressor[1]
    half_width, half_height = regressor[2] / 2, regressor[3] / 2
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes; 0 where they do not touch or neither has an area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(one) + area(other) - shared)


def area(box: Box) -> float:
    """Return the area of a box; 0 for one that is inside out."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def blend(candidates: Sequence[tuple[float, Box]], limit: int = MAX_BOXES) -> list[tuple[float, Box]]:
    """Return one (score, box) per face, best first: the average, weighted by score, of those that overlap the best one.

    The weighted form of MediaPipe's `non_max_suppression_calculator`; the score is the best one's.
    """
    left = sorted(candidates, key=lambda candidate: -candidate[0])[:MAX_CANDIDATES]
    faces: list[tuple[float, Box]] = []
    while left and len(faces) < limit:
        best = left[0]
        same, others = [best], []  # also a box of no area leaves the list
        for candidate in left[1:]:
            (same if overlap(best[1], candidate[1]) > IOU_SAME_FACE else others).append(candidate)
        whole = sum(score for score, _ in same)
        x0, y0, x1, y1 = (sum(score * box[side] for score, box in same) / whole for side in range(4))
        faces.append((best[0], (x0, y0, x1, y1)))
        left = others
    return faces


def detection_threshold(default: float) -> float:
    """Return the lowest score worth a box: DETECTION_THRESHOLD, else `default`."""
    text = Context.get_parameters("DETECTION_THRESHOLD", str(default))
    try:
        return checked_threshold(float(text))
    except ValueError:
        raise SettingsError(f"DETECTION_THRESHOLD is {text!r}; write a number from 0 to 1, e.g. 0.1") from None


def checked_threshold(threshold: float) -> float:
    """Return `threshold` if it can be one: 0 to 1."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"a detection threshold of {threshold} cannot be used; write one from 0 to 1, e.g. 0.1")
    return threshold


def sigmoid(value: float) -> float:
    """Return the score that a logit stands for."""
    return 1 / (1 + math.exp(-min(max(value, -LOGIT_LIMIT), LOGIT_LIMIT)))


def logit(probability: float) -> float:
    """Return what a sigmoid maps to `probability`: infinite for 0 and 1."""
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability / (1 - probability))


class FaceDetector:
    """The hooks around one model of the family; `postprocess` is a pure function of its arguments."""

    detector: Detector
    default_threshold: float

    def __init__(self, threshold: float | None = None) -> None:
        """Keep boxes with at least `threshold`; DETECTION_THRESHOLD, else the class's default, if None."""
        chosen = detection_threshold(self.default_threshold) if threshold is None else checked_threshold(threshold)
        self._logit_threshold = logit(chosen)
        self._centres: list[list[float]] = anchor_centres(self.detector).tolist()
        # The worker need not decode more of a picture than this; the letterbox below keeps its shape.
        self.input_size = (self.detector.input_size, self.detector.input_size)

    def load(self, model_url: str) -> ov.Model:
        """Return the model with u8 BGR input (1, size, size, 3): its graph normalises and swaps the colours.

        Raises ModelError if the file is missing or no model, EstimatorError if it is a model of another kind.
        """
        model = _read(model_url)
        self._check(model, model_url)
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().tensor().set_color_format(ColorFormat.BGR)
        steps.input().model().set_layout(ov.Layout("NHWC"))
        # From 0..255 to -1..1.
        steps.input().preprocess().convert_color(ColorFormat.RGB).convert_element_type(ov.Type.f32)
        steps.input().preprocess().mean(127.5).scale(127.5)
        return steps.build()

    def preprocess(self, frame: Frame) -> tuple[dict[str, NDArray[np.uint8]], Letterbox]:
        """Return the letterboxed frame as the input tensor, and where the frame lies in it."""
        size = self.detector.input_size
        box = letterbox(frame.shape[1], frame.shape[0], size)
        square = np.zeros((1, size, size, 3), np.uint8)
        inside = square[0, box.top : box.top + box.inner_height, box.left : box.left + box.inner_width]
        # Bilinear, as in MediaPipe: averaging areas takes four to sixteen times as long for hardly a face more.
        cv2.resize(frame, (box.inner_width, box.inner_height), dst=inside, interpolation=cv2.INTER_LINEAR)
        return {"input": square}, box

    def postprocess(self, outputs: Mapping[str, NDArray[Any]], meta: Letterbox) -> list[list[float]]:
        """Return at most MAX_BOXES faces, `[xmin, ymin, xmax, ymax, score, 0.0]` in the frame's pixels, best first."""
        logits = outputs[self.detector.scores].reshape(-1)
        # Nearly all anchors see no face: what follows is for the few that may. It is plain Python on purpose: right after an
        # inference the caches are cold, and forty NumPy calls on ten numbers each took four times as long.
        chosen = (logits >= self._logit_threshold).nonzero()[0]
        if not chosen.size:
            return []
        regressors = outputs[self.detector.regressors].reshape(logits.size, -1)[chosen, :4].tolist()
        candidates = [
            (sigmoid(value), corners(regressor, self._centres[anchor]))
            for anchor, value, regressor in zip(chosen.tolist(), logits[chosen].tolist(), regressors, strict=True)
        ]
        return [_row(meta.to_frame(box), score) for score, box in blend(candidates)]

    def _check(self, model: ov.Model, model_url: str) -> None:
        names = {name for port in model.outputs for name in port.get_names()}
        size = self.detector.input_size
        if not names >= {self.detector.scores, self.detector.regressors} or list(model.input(0).shape) != [
            1,
            size,
            size,
            3,
        ]:
            raise EstimatorError(
                f"{model_url!r} is not the {size} pixel face model that {type(self).__name__} decodes; "
                "set the Model's url or ESTIMATOR so that the two belong together"
            )


class ShortRange(FaceDetector):
    """Faces within about two metres; 0.1 because the filter must see the doubtful boxes too."""

    detector = SHORT_RANGE
    default_threshold = 0.1


class FullRange(FaceDetector):
    """Faces within about five metres; 0.4 because its boxes are final: the lowest with no false one in the demo."""

    detector = FULL_RANGE
    default_threshold = 0.4


def _read(model_url: str) -> ov.Model:
    if not Path(model_url).is_file():
        raise ModelError(f"no model file {model_url!r}; set MODEL_URL to the .tflite file")
    try:
        return ov.Core().read_model(model_url)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(f"OpenVINO cannot read {model_url!r}: {reason}; give it the .tflite file") from error


def _row(box: Box, score: float) -> list[float]:
    return [round(box[0], 1), round(box[1], 1), round(box[2], 1), round(box[3], 1), round(score, 4), 0.0]
