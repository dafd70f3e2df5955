"""A hard frame's body as it travels or waits on disk, and the way of its boxes back into the frame: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sedna_py.local.box_matching import detections
from workers.inference.frame_need import Scale


@dataclass(frozen=True, slots=True)
class Packed:
    """A body, and what its boxes must be enlarged by; None where it is the whole picture."""

    body: bytes
    scale: Scale | None = None

    def in_frame(self, result: list[Any], *, from_detector: bool) -> list[Any] | None:
        """Return the cloud's result in pixels of the frame; None where that cannot be told, as it is no list of boxes.

        `from_detector`: who answered says that its model takes pictures of a size, so that four numbers are a box; of others
        only whole detections are taken for boxes.
        """
        if self.scale is None:
            return result
        boxes = all(map(_has_corners, result)) if from_detector else detections(result) is not None
        return self.scale.enlarge(result) if boxes else None


def _has_corners(row: Any) -> bool:
    return isinstance(row, list) and len(row) >= 4 and all(isinstance(value, int | float) for value in row[:4])
