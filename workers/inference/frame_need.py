"""How many pixels of a picture a model can use. Pure.

A JPEG can be decoded at a half, a quarter or an eighth of its size for a part of the work (the inverse DCT of each block of 8 x 8
gives 4, 2 or 1 pixels a side instead). Where the model's input is that small, nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sedna_py.protocol.model_input import ModelInput

FACTORS: Final = (8, 4, 2)  # that libjpeg and OpenCV know


@dataclass(frozen=True, slots=True)
class FrameNeed(ModelInput):
    """The model's input, and what a decoder makes of it."""

    def reduction(self, width: int, height: int) -> int:
        """Return the largest factor by which a picture of this size can be reduced and still need no enlarging; 1 for none."""
        across, down = width / self.width, height / self.height  # how much larger the picture is
        room = max(across, down) if self.letterbox else min(across, down)
        return next((factor for factor in FACTORS if factor <= room), 1)


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels of the original picture for one of the reduced one."""

    across: float
    down: float

    def enlarge(self, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """Return rows `[xmin, ymin, xmax, ymax, ...]` in pixels of the original, to a tenth as the detectors have them."""
        x, y = 10 * self.across, 10 * self.down  # to round to whole numbers takes a third of the time
        return [
            [round(row[0] * x) / 10, round(row[1] * y) / 10, round(row[2] * x) / 10, round(row[3] * y) / 10, *row[4:]]
            for row in rows
        ]
