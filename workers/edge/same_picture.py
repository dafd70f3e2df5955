"""Whether a picture shows the same as one before it: pure.

The same is: as many boxes, each with its partner of the same class and an overlap of SAME_OVERLAP; no change anywhere in the
picture, in the measure of `workers.edge.motion`; and around each box none in a grid of its own, which is finer where boxes are
small. So a new thing makes another picture, whether the little model saw it or not, and a change of light does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from sedna_py.estimator import Frame
from sedna_py.local.box_matching import Detection, count_matches
from workers.edge.motion import CELL_CHANGE, Cells, cells_of, light_between, lit

SAME_OVERLAP: Final = 0.7  # a parked object's boxes tremble by less, by a tenth of their side each way
PATCH_CELLS: Final = 8  # a side, around each box
MARGIN: Final = 0.25  # of the box's side, on each side
NOISE: Final = 6.0  # grey levels of a pixel, by which a cell of few pixels may differ for nothing
SIGMAS: Final = 5.0
Region = tuple[int, int, int, int]  # x from, y from, x to, y to; pixels


@dataclass(frozen=True, slots=True)
class View:
    """What is remembered of a picture that was sent: its grid, its boxes, and a grid around each of them."""

    cells: Cells
    boxes: list[Detection]
    regions: list[Region]
    patches: list[Cells]


def view_of(picture: Frame, boxes: list[Detection]) -> View:
    """Return what is to be remembered of a BGR picture."""
    regions = [region for box in boxes if (region := around(box, picture)) is not None]
    return View(cells_of(picture), boxes, regions, [patch_of(picture, region) for region in regions])


def same_boxes(boxes: list[Detection], others: list[Detection]) -> bool:
    """Tell whether each box has its partner among the others."""
    return len(boxes) == len(others) == count_matches(boxes, others, SAME_OVERLAP)


def is_same(view: View, picture: Frame, threshold: float) -> bool:
    """Tell whether a picture shows what the remembered one shows, in whatever light."""
    cells = cells_of(picture)
    if cells.shape != view.cells.shape:
        return False
    light = light_between(view.cells, cells)
    if light is None:
        return False
    changed = np.abs(cells - lit(view.cells, light)) >= CELL_CHANGE
    if np.count_nonzero(changed) >= threshold * cells.size:
        return False
    return all(
        np.abs(patch_of(picture, region) - lit(patch, light)).max() < patch_change(region)
        for region, patch in zip(view.regions, view.patches, strict=True)
    )


def around(box: Detection, picture: Frame) -> Region | None:
    """Return the pixels in and around a box; None where it has none in the picture."""
    height, width = picture.shape[:2]
    across, down = (box.xmax - box.xmin) * MARGIN, (box.ymax - box.ymin) * MARGIN
    left, right = max(math.floor(box.xmin - across), 0), min(math.ceil(box.xmax + across), width)
    top, bottom = max(math.floor(box.ymin - down), 0), min(math.ceil(box.ymax + down), height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def patch_of(picture: Frame, region: Region) -> Cells:
    """Return the grid of a part of a picture; it has PATCH_CELLS a side, or as many as there are pixels."""
    left, top, right, bottom = region
    grey = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    size = (min(PATCH_CELLS, right - left), min(PATCH_CELLS, bottom - top))
    cells: Any = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32)


def patch_change(region: Region) -> float:
    """Return the grey levels from which a cell of that part of a picture has changed, and is not just noisy."""
    left, top, right, bottom = region
    pixels = max((right - left) * (bottom - top) / PATCH_CELLS**2, 1.0)
    return max(CELL_CHANGE, SIGMAS * NOISE * math.sqrt(2 / pixels))
