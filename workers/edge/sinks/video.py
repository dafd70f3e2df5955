"""The annotated video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from sedna_py.errors import SettingsError
from workers.edge.decision import FrameResult
from workers.edge.sinks.drawing import draw_boxes
from workers.edge.sinks.in_order import InOrder

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
MAX_HELD = 128  # frames kept back for an older one that is still with the cloud


class VideoSink:
    """Writes every frame with its final boxes, in the source's order; all frames get the first one's size."""

    name = "video"

    def __init__(self, path: Path, fps: float, labels: Sequence[str] = ()) -> None:
        if path.suffix.lower() not in CODECS:
            raise SettingsError(f"ANNOTATED_VIDEO is {str(path)!r}; write a path that ends in .mp4 or .avi")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fps = fps or 25.0
        self._labels = labels
        self._order: InOrder[FrameResult] = InOrder(MAX_HELD)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, result: FrameResult) -> None:
        """Draw the frame as soon as all before it are there. Raises OSError."""
        for ready in self._order.push(result.frame.sequence, result):
            self._draw(ready)

    def close(self) -> None:
        """Draw what was kept back and finish the file."""
        for ready in self._order.flush():
            self._draw(ready)
        if self._writer is not None:
            self._writer.release()

    def _draw(self, result: FrameResult) -> None:
        picture = draw_boxes(result.frame.picture, result.record.result, self._labels)
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
            if not self._writer.isOpened():
                self._writer = None
                raise OSError(f"cannot write the video {str(self._path)!r}")
        if (picture.shape[1], picture.shape[0]) != self._size:
            self._writer.write(cv2.resize(picture, self._size))
        else:
            self._writer.write(picture)
