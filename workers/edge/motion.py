"""How much a picture differs from the last ones of the same source, in a fifth of a millisecond.

The measure. The picture becomes a grid of about 80 cells across, each the mean grey of its pixels (of every second to eighth
row, which is enough): sensor noise of 10 grey levels is 2.5 in a cell of a picture 640 wide. The grid is compared with the
source's background, an exponential mean of its grids over BACKGROUND_S seconds (the running average of Piccardi, Background
subtraction techniques: a review, 2004). Before that the background is given the picture's brightness: the line through the three
quarters of the cells that changed least (least trimmed squares, in one step; Rousseeuw, 1984), so that a lamp, a cloud or the
camera's own exposure is no motion, and a thing that covers a quarter of the picture does not pass for one. A cell has changed
where it differs by CELL_CHANGE levels; the measure is the share of the cells that have.

What it does not see: less than CELL_CHANGE levels of contrast; things of less than about one and a half cells (12 pixels of 640);
the strip of less than a cell at the right and lower edge. Light that drives a part of the picture into black or white, or that
more than doubles or halves it, counts as motion, and a camera that moves always does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sedna_py.estimator import Frame

Cells = NDArray[np.float32]  # (rows, columns), grey levels 0 to 255

COLUMNS: Final = 80
LEAST_CELL: Final = 4  # pixels across, or the noise of a small picture would not average out
ROWS_READ: Final = 120  # of the picture's, at least
CELL_CHANGE: Final = 10.0  # grey levels: four times what heavy noise leaves in a cell
BACKGROUND_S: Final = 4.0
TRUSTED: Final = 3 / 4  # of the cells show the light and nothing else
MOST_GAIN: Final = 2.0  # a change of light by more is worth a look
_LEAST_VARIANCE: Final = 4.0  # a wall of one grey says nothing of the contrast
_EVERYTHING: Final = 1.0


def cells_of(picture: Frame) -> Cells:
    """Return the grid of a BGR picture (height, width, 3)."""
    height, width = picture.shape[:2]
    across = max(round(width / COLUMNS), LEAST_CELL)
    skip = max(height // ROWS_READ, 1)
    grey = cv2.cvtColor(picture[::skip], cv2.COLOR_BGR2GRAY)
    down = max(round(across / skip), 1)
    # Whole cells only: with a whole factor the averaging takes a twentieth of the time.
    rows, columns = max(grey.shape[0] // down, 1), max(width // across, 1)
    whole = grey[: rows * down, : columns * across]
    cells: Any = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32)


def light_between(before: Cells, after: Cells) -> tuple[float, float] | None:
    """Return (gain, offset) that make the brightness of `before` that of `after`; None where there is no such light."""
    x, y = before.ravel(), after.ravel()
    most = int((x.size - 1) * TRUSTED)
    difference = y - x
    apart = np.abs(difference - np.partition(difference, x.size // 2)[x.size // 2])
    calm = apart <= np.partition(apart, most)[most]
    x, y = x[calm], y[calm]
    x_mean, y_mean = float(x.mean()), float(y.mean())
    x = x - x_mean
    variance = float(x @ x) / x.size
    gain = float(x @ (y - y_mean)) / x.size / variance if variance > _LEAST_VARIANCE else 1.0
    if not 1 / MOST_GAIN <= gain <= MOST_GAIN:
        return None
    return gain, y_mean - gain * x_mean


def lit(cells: Cells, light: tuple[float, float]) -> Cells:
    """Return the cells in another light."""
    gain, offset = light
    found: Cells = np.clip(cells * np.float32(gain) + np.float32(offset), 0, 255)
    return found


def changed_share(before: Cells, after: Cells) -> float:
    """Return the share of the cells that differ by more than the light; 1 for grids of two sizes."""
    if before.shape != after.shape:
        return _EVERYTHING
    light = light_between(before, after)
    if light is None:
        return _EVERYTHING
    return float(np.count_nonzero(np.abs(after - lit(before, light)) >= CELL_CHANGE)) / after.size


class MotionMeter:
    """Measures the pictures of one source, in their order."""

    def __init__(self) -> None:
        self._background: Cells | None = None
        self._at = 0.0

    def measure(self, picture: Frame, now: float) -> float:
        """Return the share of the cells that changed, 0 to 1; 1 for the first picture and for one of another size."""
        cells, before = cells_of(picture), self._background
        if before is None or before.shape != cells.shape:
            self._background, self._at = cells, now
            return _EVERYTHING
        share = changed_share(before, cells)
        weight = 1 - math.exp(-max(now - self._at, 0.0) / BACKGROUND_S)
        self._background = before + np.float32(weight) * (cells - before)
        self._at = now
        return share


@dataclass(frozen=True, slots=True)
class GateOptions:
    """`threshold`: the share of the cells from which there is motion. `gate`: pictures without motion are not wanted.

    They are all the same for `tail_s` after the last motion, as what stops is still there, and one every `forced_look_s`.
    """

    gate: bool
    threshold: float
    forced_look_s: float = 10.0
    tail_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """Whether something moved in a picture, and whether it is worth the little model's time."""

    moved: bool
    wanted: bool


class MotionGate:
    """Looks at the pictures of one source, in their order; `passed_over` counts those that were not wanted."""

    def __init__(self, options: GateOptions) -> None:
        self._options = options
        self._meter = MotionMeter()
        self._moved_at = float("-inf")
        self._wanted_at = float("-inf")
        self.passed_over = 0

    def __call__(self, picture: Frame, now: float) -> Look:
        """Judge the next picture, captured at `now` by a clock that never falls."""
        options = self._options
        moved = self._meter.measure(picture, now) >= options.threshold
        if moved:
            self._moved_at = now
        wanted = (
            not options.gate or now - self._moved_at <= options.tail_s or now - self._wanted_at >= options.forced_look_s
        )
        if wanted:
            self._wanted_at = now
        else:
            self.passed_over += 1
        return Look(moved, wanted)
