"""Single frames of a clip, and a clip of a live source: for `sedna compare`."""

from __future__ import annotations

import time
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
    """Record `seconds` of a live source to a .mp4 file. Raises SourceError if nothing came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: cv2.VideoWriter | None = None
    frames = 0
    begun = time.monotonic()
    try:
        for picture in source:
            spent = time.monotonic() - begun
            if writer is None:
                size = (picture.shape[1], picture.shape[0])
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), source.fps or 25.0, size)
            writer.write(picture)
            frames += 1
            if spent >= seconds:
                break
    finally:
        source.close()
        if writer is not None:
            writer.release()
    if not frames:
        raise SourceError(f"{source.name} gave no frame")
    return path
