"""Where frames come from: a file, a folder, a camera, an RTSP or HTTP address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2

from sedna_py.errors import SourceError
from sedna_py.estimator import Frame
from sedna_py.settings import redact

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})
OPEN_TIMEOUT_MS = 5_000
READ_TIMEOUT_MS = 5_000


class FrameSource(Protocol):
    """Yields pictures, BGR. `live`: it goes on without us. `name` is safe to log. `fps`, `frames`: 0 where unknown."""

    name: str
    live: bool
    fps: float
    frames: int

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class VideoFile:
    """A video file, read once from its beginning by each iteration."""

    live = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._capture = _open(str(path))
        if self._capture is None:
            raise SourceError(f"{str(path)!r} is not a video that OpenCV can read; write the path of a video file")
        self.fps = max(float(self._capture.get(cv2.CAP_PROP_FPS)), 0.0)
        self.frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._fresh = True

    def __iter__(self) -> Iterator[Frame]:
        if not self._fresh:
            self._capture = _open(str(self._path))
        self._fresh = False
        while self._capture is not None:
            read, picture = _read(self._capture)
            if not read:
                return
            yield picture

    def close(self) -> None:
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class PictureFolder:
    """The pictures of a folder, in the order of their names."""

    live = False
    fps = 0.0

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._paths = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        if not self._paths:
            raise SourceError(f"the folder {str(path)!r} holds no picture; put .jpg, .png, .bmp or .webp files into it")
        self.frames = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for path in self._paths:
            picture: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is None:
                raise SourceError(f"{str(path)!r} is not a picture that OpenCV can read; remove it or replace it")
            yield picture

    def close(self) -> None:
        """Nothing is held."""


class LiveStream:
    """A camera or a network stream. When it breaks off it is opened again, after 0.5 s, then twice as long, up to 5 s."""

    live = True
    frames = 0

    def __init__(self, address: str | int) -> None:
        self.name = f"camera {address}" if isinstance(address, int) else redact(address)
        self._address = address
        self._closed = threading.Event()
        self._capture = _open(address)
        if self._capture is None:
            raise SourceError(
                f"{self.name} cannot be opened within {OPEN_TIMEOUT_MS / 1000:.0f} s; "
                "check that the camera or stream is there and that the address is right"
            )
        self.fps = max(float(self._capture.get(cv2.CAP_PROP_FPS)), 0.0)

    def __iter__(self) -> Iterator[Frame]:
        pause = 0.5
        picture: Any
        while not self._closed.is_set():
            read, picture = _read(self._capture) if self._capture is not None else (False, None)
            if read:
                pause = 0.5
                yield picture
                continue
            if self._closed.wait(pause):
                return
            pause = min(pause * 2, 5.0)
            if self._capture is not None:
                self._capture.release()
            self._capture = _open(self._address)

    def close(self) -> None:
        """End the iteration; the capture is released by the thread that reads, or by the collector."""
        self._closed.set()


def open_source(video_url: str) -> FrameSource:
    """Open what `video_url` names. Raises SourceError in one line, without the password of an address."""
    if video_url.isdigit():
        return LiveStream(int(video_url))
    scheme = urlsplit(video_url).scheme.lower()
    if scheme in NETWORK_SCHEMES:
        return LiveStream(video_url)
    if scheme not in ("", "file") and "://" in video_url:
        raise SourceError(
            f"{redact(video_url)!r}: unknown scheme {scheme!r}; write a path, rtsp://... or http(s)://..."
        )
    path = local_path(video_url)
    if path.is_dir():
        return PictureFolder(path)
    if not path.exists():
        raise SourceError(f"no video at {str(path)!r}; write the path of a video file or a folder of pictures")
    return VideoFile(path)


def local_path(video_url: str) -> Path:
    """Return the path in a `file:` address; `file://video/a.mp4` means `/video/a.mp4`, as it does to FFmpeg upstream."""
    if not video_url.startswith("file:"):
        return Path(video_url)
    rest = video_url.removeprefix("file:")
    return Path("/" + rest.lstrip("/")) if rest.startswith("//") else Path(rest)


def _read(capture: cv2.VideoCapture) -> tuple[bool, Any]:
    read, picture = capture.read()
    return read and picture is not None, picture


def _open(address: str | int) -> cv2.VideoCapture | None:
    if isinstance(address, int):
        capture = cv2.VideoCapture(address)
    elif "://" in address:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
    else:
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    if capture.isOpened():
        return capture
    capture.release()
    return None
