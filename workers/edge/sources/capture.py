"""OpenCV's captures: of files, cameras and streams."""

from __future__ import annotations

from typing import Any

import cv2

OPEN_TIMEOUT_MS = 5_000
READ_TIMEOUT_MS = 5_000
# One thread: FFmpeg's decoders work on a frame per thread, so a picture would come out as many frames late as there are cores.
LIVE_OPTIONS = [
    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS),
    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS),
    *(cv2.CAP_PROP_N_THREADS, 1),
]
MAX_FPS = 1000  # streams that do not know their rate name that of their clock, e.g. 90000


def open_capture(address: str | int) -> cv2.VideoCapture | None:
    """Return an open capture of a camera's number, a stream's address or a file's path; None where it cannot be opened."""
    if isinstance(address, int):
        capture = cv2.VideoCapture(address)
    elif "://" in address:
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, LIVE_OPTIONS)
    else:
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    if capture.isOpened():
        return capture
    capture.release()
    return None


def read_capture(capture: cv2.VideoCapture) -> tuple[bool, Any]:
    """Return whether there is a next picture, and the picture."""
    read, picture = capture.read()
    return read and picture is not None, picture


def fps_of(capture: cv2.VideoCapture) -> float:
    """Return the rate that a capture says it has, 0 where it does not or where that cannot be."""
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if 0 < fps <= MAX_FPS else 0.0
