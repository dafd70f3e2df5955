"""MediaPipe's two face detectors as estimators: `ShortRange` for the edge, `FullRange` for the cloud.

Both are single-shot detectors: each anchor (a point of a grid) has one score and one box relative to it. The grids are
what MediaPipe's `ssd_anchors_calculator` gives for the strides of the two models; boxes that mean the same face are
blended by score, as MediaPipe does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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

IOU_SAME_FACE = 0.3  # MediaPipe's min_suppression_threshold for these models
MAX_BOXES = 20
MAX_CANDIDATES = 200  # bounds the work on a frame where half the anchors fire
TINY = float(np.finfo(np.float32).tiny)
LOGIT_LIMIT = 80.0  # exp() of more overflows float32


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

    def to_frame(self, boxes: Floats) -> Floats:
        """Return corner boxes (n, 4) in input pixels as pixels of the frame, clipped to it."""
        scale = np.array([self.width / self.inner_width, self.height / self.inner_height] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        moved = (boxes - np.array([self.left, self.top] * 2, np.float32)) * scale
        return np.asarray(np.minimum(np.maximum(moved, 0), limit))


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


def corner_boxes(regressors: Floats, centres: Floats) -> Floats:
    """Return xmin, ymin, xmax, ymax (n, 4) in input pixels from regressors (n, 4 or more) and their anchors."""
    middle, half = centres + regressors[:, :2], regressors[:, 2:4] / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def areas(boxes: Floats) -> Floats:
    """Return the areas (n) of corner boxes (n, 4); 0 for one that is inside out."""
    return np.asarray(np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0))


def overlap_with_first(boxes: Floats) -> Floats:
    """Return the intersection over union (n) of corner boxes (n, 4) with the first of them; 0 where neither has an area."""
    side = np.minimum(boxes[:, 2:], boxes[0, 2:]) - np.maximum(boxes[:, :2], boxes[0, :2])
    np.maximum(side, 0, out=side)
    shared, area = side[:, 0] * side[:, 1], areas(boxes)
    return np.asarray(shared / np.maximum(area + area[0] - shared, TINY))


def blend(boxes: Floats, scores: Floats, limit: int = MAX_BOXES) -> tuple[Floats, Floats]:
    """Return one box per face, best first: the average, weighted by score, of those that overlap the best one.

    The weighted form of MediaPipe's `non_max_suppression_calculator`; the score is the best one's.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes, scores = boxes[order], scores[order]
    faces: list[Floats] = []
    best: list[np.float32] = []
    while len(scores) and len(best) < limit:
        same = overlap_with_first(boxes) > IOU_SAME_FACE
        same[0] = True  # also a box of no area leaves the list
        weights = scores[same]
        faces.append(weights @ boxes[same] / weights.sum())
        best.append(scores[0])
        boxes, scores = boxes[~same], scores[~same]
    return np.asarray(faces, np.float32).reshape(-1, 4), np.asarray(best, np.float32)


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
        self._centres = anchor_centres(self.detector)

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
        # Nearly all anchors see no face: what follows is for the few that may.
        chosen = np.flatnonzero(logits >= self._logit_threshold)
        if not chosen.size:
            return []
        scores = 1 / (1 + np.exp(-np.clip(logits[chosen], -LOGIT_LIMIT, LOGIT_LIMIT)))
        regressors = outputs[self.detector.regressors].reshape(logits.size, -1)[chosen]
        boxes, best = blend(corner_boxes(regressors, self._centres[chosen]), scores)
        return _rows(meta.to_frame(boxes), best)

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


def _rows(boxes: Floats, scores: Floats) -> list[list[float]]:
    corners = np.round(boxes.astype(np.float64), 1).tolist()
    return [[*corner, round(float(score), 4), 0.0] for corner, score in zip(corners, scores, strict=True)]
