"""Boxes on pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2

from sedna_py.estimator import Frame

# Upstream's four class colours (green, blue, yellow, red), as BGR.
COLOURS = ((0, 200, 0), (230, 110, 0), (0, 215, 255), (0, 0, 230))
FAR = 30_000  # pixels; OpenCV takes no coordinate beyond 16 bits


def draw_boxes(picture: Frame, boxes: Sequence[Any], labels: Sequence[str] = ()) -> Frame:
    """Return a copy with `[xmin, ymin, xmax, ymax, score, class]` boxes drawn; anything else in the list is left out."""
    canvas = picture.copy()
    scale = max(picture.shape[0] / 720, 0.4)
    for box in boxes:
        if not is_drawable(box):
            continue
        name, colour = _class_of(box, labels)
        left, top, right, bottom = (round(max(min(v, FAR), -FAR)) for v in box[:4])
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, max(round(2 * scale), 1))
        where = (left, max(top - 4, 12))
        text = f"{name} {box[4]:.2f}".lstrip()
        cv2.putText(canvas, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, colour, 1, cv2.LINE_AA)
    return canvas


def is_drawable(box: Any) -> bool:
    """Whether an item of a result begins with four coordinates and a score."""
    return (
        isinstance(box, Sequence)
        and len(box) >= 5
        and all(isinstance(v, int | float) and math.isfinite(v) for v in box[:5])
    )


def _class_of(box: Sequence[Any], labels: Sequence[str]) -> tuple[str, tuple[int, int, int]]:
    """Return the name and the colour of a box's class, which is a number, a name, or missing."""
    kind = box[5] if len(box) > 5 else 0
    if not isinstance(kind, int | float) or not math.isfinite(kind):
        return str(kind), COLOURS[0]
    number = int(kind)
    return labels[number] if 0 <= number < len(labels) else "", COLOURS[number % len(COLOURS)]
