"""Boxes on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2

from sedna_py.estimator import Frame

# Upstream's four class colours (green, blue, yellow, red), as BGR.
COLOURS = ((0, 200, 0), (230, 110, 0), (0, 215, 255), (0, 0, 230))


def draw_boxes(picture: Frame, boxes: Sequence[Any], labels: Sequence[str] = ()) -> Frame:
    """Return a copy with `[xmin, ymin, xmax, ymax, score, class]` boxes drawn; anything else in the list is left out."""
    canvas = picture.copy()
    scale = max(picture.shape[0] / 720, 0.4)
    for box in boxes:
        if not isinstance(box, Sequence) or isinstance(box, str) or len(box) < 5:
            continue
        kind = int(box[5]) if len(box) > 5 else 0
        colour = COLOURS[kind % len(COLOURS)]
        left, top, right, bottom = (round(float(v)) for v in box[:4])
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, max(round(2 * scale), 1))
        name = f"{labels[kind]} " if 0 <= kind < len(labels) else ""
        where = (left, max(top - 4, 12))
        cv2.putText(canvas, f"{name}{box[4]:.2f}", where, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, colour, 1, cv2.LINE_AA)
    return canvas
