"""When two lists of boxes say the same: one-to-one matching by class and overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

LEAST_OVERLAP = 0.5  # the usual level of PASCAL VOC


class Detection(NamedTuple):
    """One object; coordinates in pixels of the original frame."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    score: float
    label: float | str


def detections(result: Sequence[Any]) -> list[Detection] | None:
    """Return the boxes of a result, or None where an item of it is not a box (another kind of estimator)."""
    found = [_detection(item) for item in result]
    boxes = [item for item in found if item is not None]
    return boxes if len(boxes) == len(found) else None


def _detection(item: Any) -> Detection | None:
    if not isinstance(item, (list, tuple)) or len(item) < 6:
        return None
    xmin, ymin, xmax, ymax, score, label = item[:6]
    numbers = (xmin, ymin, xmax, ymax, score)
    if not all(_is_number(value) for value in numbers) or not (_is_number(label) or isinstance(label, str)):
        return None
    return Detection(xmin, ymin, xmax, ymax, score, label)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def overlap(one: Detection, other: Detection) -> float:
    """Return intersection over union, 0..1; a box without area overlaps nothing."""
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_size(one) + _size(other) - shared)


def _size(box: Detection) -> float:
    return (box.xmax - box.xmin) * (box.ymax - box.ymin)


def same_boxes(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Tell whether two results say the same: as many boxes, each with its partner; equality where they are not boxes."""
    boxes, reference = detections(one), detections(other)
    if boxes is None or reference is None:
        return list(one) == list(other)
    return len(boxes) == len(reference) == count_matches(boxes, reference)


def count_matches(boxes: Sequence[Detection], reference: Sequence[Detection], least: float = LEAST_OVERLAP) -> int:
    """Return how many boxes have a partner of their class with an overlap of at least `least`.

    Greedy, as PASCAL VOC does it: the highest score chooses first, and takes the free partner that it overlaps most.
    """
    free, matches = list(reference), 0
    for box in sorted(boxes, key=lambda box: -box.score):
        candidates = [index for index, other in enumerate(free) if other.label == box.label]
        best = max(candidates, key=lambda index: overlap(box, free[index]), default=None)
        if best is not None and overlap(box, free[best]) >= least:
            del free[best]
            matches += 1
    return matches
