"""The annotated video.

Where each frame has one answer, each is drawn with that, in order: a frame with the cloud keeps the ones after it back. Where the
edge answers first, a frame is drawn with its first answer, and what the cloud says is carried to those that are drawn later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2

from sedna_py.decision_log import Emit
from sedna_py.errors import SettingsError
from sedna_py.estimator import Frame
from workers.edge.decision import FrameResult, above
from workers.edge.overlay import Overlay
from workers.edge.sinks.drawing import draw_boxes
from workers.edge.sinks.in_order import InOrder

LOG = logging.getLogger(__name__)
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
# Frames kept back for an older one that is still with the cloud, as pictures and as bytes of them.
MAX_HELD = 128
MAX_HELD_BYTES = 256 * 1024 * 1024


def check_video_path(path: Path) -> None:
    """Raise SettingsError or OSError where no video can be written to `path`; OpenCV would say it with the first frame."""
    if path.suffix.lower() not in CODECS:
        raise SettingsError(f"ANNOTATED_VIDEO is {str(path)!r}; write a path that ends in .mp4 or .avi")
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists()
    path.open("ab").close()
    if not existed:
        path.unlink()


class VideoSink:
    """Writes every frame once, in the source's order; all frames get the first one's size. Late answers come too late for it.

    `threshold` is the display threshold, for the boxes of a correction.
    """

    name = "video"

    def __init__(self, path: Path, fps: float, labels: Sequence[str] = (), threshold: float = 0.0) -> None:
        self._path = path
        self._fps = fps or 25.0
        self._labels = labels
        self._threshold = threshold
        self._overlay = Overlay()
        self._order: InOrder[FrameResult] | None = None
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, result: FrameResult) -> None:
        """Draw the frame as soon as all before it are there, or take note of its correction. Raises OSError."""
        if result.record.emit is Emit.LATE:
            return
        if result.record.emit is Emit.CORRECTION:
            self._correct(result)
            return
        if self._order is None:
            self._order = InOrder(frames_held(result.frame.picture.nbytes))
        for ready in self._order.push(result.frame.turn, result):
            self._draw(ready)

    def close(self) -> None:
        """Draw what was kept back and finish the file. Raises OSError."""
        try:
            for ready in self._order.flush() if self._order else ():
                self._draw(ready)
        finally:
            if self._writer is not None:
                self._writer.release()
        if self._order is not None and self._order.late:
            LOG.warning("%d frames came too late for the video and are not in it", self._order.late)

    def _correct(self, result: FrameResult) -> None:
        record = result.record
        if record.cloud is not None:
            self._overlay.correct(
                record.source, result.frame.captured, above(record.edge, self._threshold), record.result
            )

    def _draw(self, result: FrameResult) -> None:
        record, boxes = result.record, result.record.result
        if record.cloud is None:
            boxes = self._overlay.apply(record.source, result.frame.captured, boxes)
        picture = draw_boxes(result.frame.picture, boxes, self._labels)
        if self._writer is None:
            self._writer = self._open(picture)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size)  # type: ignore[assignment]  # its stub knows no narrower type
        self._writer.write(picture)

    def _open(self, first: Frame) -> cv2.VideoWriter:
        self._size = (first.shape[1], first.shape[0])
        codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
        if not writer.isOpened():
            raise OSError(f"OpenCV cannot write the video {str(self._path)!r}")
        return writer


def frames_held(picture_bytes: int) -> int:
    """Return how many pictures of this size are kept back at most."""
    return max(min(MAX_HELD, MAX_HELD_BYTES // max(picture_bytes, 1)), 1)
