"""Single frames of a clip, and a clip of a live source: for `sedna compare`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2

from sedna_py.errors import SourceError
from workers.edge.sources import FrameSource, open_source
from workers.inference.image_codec import encode_jpeg

SAMPLE_QUALITY = 80


def pictures(video_url: str, numbers: Iterable[int]) -> Mapping[int, bytes]:
    """Return the frames with these numbers, counted from 1, as JPEGs; one that is not there is left out."""
    wanted = set(numbers)
    found: dict[int, bytes] = {}
    source = open_source(video_url)
    try:
        for number, picture in enumerate(source, start=1):
            if number in wanted:
                found[number] = encode_jpeg(picture, SAMPLE_QUALITY)
            if len(found) == len(wanted):
                break
    finally:
        source.close()
    return found


def record(source: FrameSource, seconds: float, path: Path) -> Path:
    """Record `seconds` of a live source to a .mp4 file and close it. Raises SourceError if nothing came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: cv2.VideoWriter | None = None
    # Not a look at the clock after each frame: a stream that has broken off gives none.
    end = threading.Timer(seconds, source.close)
    end.start()
    try:
        for picture in source:
            if writer is None:
                size = (picture.shape[1], picture.shape[0])
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), source.fps or 25.0, size)
            writer.write(picture)
    finally:
        end.cancel()
        source.close()
        if writer is not None:
            writer.release()
    if writer is None:
        raise SourceError(f"{source.name} gave no frame within {seconds:g} s; check the camera or stream")
    return path
