"""Sources that end: a video file, and a folder of pictures."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from sedna_py.errors import SourceError
from sedna_py.estimator import Frame
from workers.edge.sources import capture

PICTURE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "bmp", "webp"})
NAMES_AT_ONCE = 4096  # of a folder, in memory: it may hold millions


class VideoFile:
    """A video file, read once from its beginning by each iteration."""

    live = endless = False
    up = True
    outages = broken = 0
    captured_at = 0.0

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._capture = capture.open_capture(str(path))
        if self._capture is None:
            raise SourceError(f"{str(path)!r} is not a video that OpenCV can read; write the path of a video file")
        self.fps = capture.fps_of(self._capture)
        self.frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._fresh = True

    def __iter__(self) -> Iterator[Frame]:
        if not self._fresh:
            self.close()
            self._capture = capture.open_capture(str(self._path))
        self._fresh = False
        empty = True
        while self._capture is not None:
            read, picture = capture.read_capture(self._capture)
            if not read:
                break
            empty = False
            yield picture
        if empty:
            raise SourceError(f"no frame of {str(self._path)!r} can be read; write the path of a whole video file")

    def close(self) -> None:
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class PictureFolder:
    """The pictures that a folder has, in the order of their names."""

    live = endless = False
    up = True
    fps = 0.0
    outages = broken = 0
    captured_at = 0.0

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self.frames = sum(1 for _ in picture_names(path))
        if not self.frames:
            raise SourceError(f"the folder {str(path)!r} holds no picture; put .jpg, .png, .bmp or .webp files into it")

    def __iter__(self) -> Iterator[Frame]:
        for name in self._names():
            path = str(self._path / name)
            picture: Any = cv2.imread(path, cv2.IMREAD_COLOR)
            if picture is None:
                raise SourceError(f"{path!r} is not a picture that OpenCV can read; remove it or replace it")
            yield picture

    def close(self) -> None:
        """Nothing is held."""

    def _names(self) -> Iterator[str]:
        last = ""
        while names := heapq.nsmallest(NAMES_AT_ONCE, (name for name in picture_names(self._path) if name > last)):
            yield from names
            last = names[-1]


def picture_names(folder: Path) -> Iterator[str]:
    """Yield the names of a folder's pictures, in no order. Raises OSError."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_picture(entry.name):
                yield entry.name


def is_picture(name: str) -> bool:
    """Whether a file's name is that of a picture."""
    stem, _, suffix = name.rpartition(".")
    return bool(stem) and suffix.lower() in PICTURE_SUFFIXES
