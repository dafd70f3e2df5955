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

    def in_frame(self, result: list[Any]) -> list[Any] | None:
        """Return the cloud's result in pixels of the frame; None where that cannot be told, as it is not a list of boxes."""
        if self.scale is None:
            return result
        return self.scale.enlarge(result) if detections(result) is not None else None
