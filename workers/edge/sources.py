"""Where frames come from: a file, a folder, a camera, an RTSP or HTTP address."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2

from sedna_py.errors import SourceError
from sedna_py.estimator import Frame
from sedna_py.settings import redact

LOG = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})
OPEN_TIMEOUT_MS = 5_000
READ_TIMEOUT_MS = 5_000
# One thread: FFmpeg's decoders work on a frame per thread, so a picture would come out as many frames late as there are cores.
LIVE_OPTIONS = [
    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS),
    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS),
    *(cv2.CAP_PROP_N_THREADS, 1),
]
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
MAX_FPS = 1000  # streams that do not know their rate name that of their clock, e.g. 90000


class FrameSource(Protocol):
    """Yields pictures, BGR. `live`: it goes on without us. `name` is safe to log. `fps`, `frames`: 0 where unknown.

    `outages`: how often a live source stopped giving frames.
    """

    name: str
    live: bool
    fps: float
    frames: int
    outages: int

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class VideoFile:
    """A video file, read once from its beginning by each iteration."""

    live = False
    outages = 0

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._capture = _open(str(path))
        if self._capture is None:
            raise SourceError(f"{str(path)!r} is not a video that OpenCV can read; write the path of a video file")
        self.fps = _fps(self._capture)
        self.frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._fresh = True

    def __iter__(self) -> Iterator[Frame]:
        if not self._fresh:
            self.close()
            self._capture = _open(str(self._path))
        self._fresh = False
        empty = True
        while self._capture is not None:
            read, picture = _read(self._capture)
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
    """The pictures of a folder, in the order of their names."""

    live = False
    fps = 0.0
    outages = 0

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
    """A camera or a network stream. When it breaks off it is opened again, after 0.2 s, then twice as long, up to 5 s."""

    live = True
    frames = 0

    def __init__(self, address: str | int) -> None:
        self.name = f"camera {address}" if isinstance(address, int) else redact(address)
        self._address = address
        self.outages = 0
        self._closed = threading.Event()
        self._capture = _open(address)
        if self._capture is None:
            raise SourceError(
                f"{self.name} cannot be opened (tried for up to {OPEN_TIMEOUT_MS / 1000:.0f} s); "
                "check that the camera or stream is there and that the address is right"
            )
        self.fps = _fps(self._capture)

    def __iter__(self) -> Iterator[Frame]:
        pause = FIRST_PAUSE_S
        picture: Any
        try:
            while not self._closed.is_set():
                read, picture = _read(self._capture) if self._capture is not None else (False, None)
                if read:
                    self._note(back=pause != FIRST_PAUSE_S)
                    pause = FIRST_PAUSE_S
                    yield picture
                    continue
                self._note(lost=pause == FIRST_PAUSE_S)
                self._release()
                if not self._closed.wait(pause):
                    pause = min(pause * 2, LONGEST_PAUSE_S)
                    self._capture = _open(self._address)
        finally:
            self._release()  # here and not in `close`, which another thread calls while this one may be reading

    def close(self) -> None:
        """End the iteration, at the latest when a read or an attempt to open has timed out."""
        self._closed.set()

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _note(self, *, lost: bool = False, back: bool = False) -> None:
        if lost:
            self.outages += 1
            LOG.warning("%s gives no frames; trying again until it does", self.name)
        if back:
            LOG.info("%s gives frames again", self.name)


def open_source(video_url: str) -> FrameSource:
    """Open what `video_url` names. Raises SourceError in one line, without the password of an address."""
    if video_url.isdecimal():
        return LiveStream(int(video_url))
    try:
        scheme = urlsplit(video_url).scheme.lower()
    except ValueError as error:
        raise SourceError(f"{redact(video_url)!r} is no address: {error}; write rtsp://host:port/path") from None
    if scheme in NETWORK_SCHEMES:
        return LiveStream(video_url)
    if scheme not in ("", "file") and "://" in video_url:
        raise SourceError(
            f"{redact(video_url)!r}: unknown scheme {scheme!r}; write a path, rtsp://... or http(s)://..."
        )
    path = local_path(video_url)
    try:
        return _open_path(path)
    except OSError as error:
        raise SourceError(
            f"cannot read {str(path)!r}: {error.strerror}; write the path of a video or a folder that this user may read"
        ) from None


def local_path(video_url: str) -> Path:
    """Return the path in a `file:` address; `file://video/a.mp4` means `/video/a.mp4`, as it does to FFmpeg upstream."""
    if not video_url.startswith("file:"):
        return Path(video_url)
    rest = video_url.removeprefix("file:")
    return Path("/" + rest.lstrip("/")) if rest.startswith("//") else Path(rest)


def _open_path(path: Path) -> FrameSource:
    if path.is_dir():
        return PictureFolder(path)
    if not path.exists():
        raise SourceError(f"no video at {str(path)!r}; write the path of a video file or a folder of pictures")
    return VideoFile(path)


def _fps(capture: cv2.VideoCapture) -> float:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if 0 < fps <= MAX_FPS else 0.0


def _read(capture: cv2.VideoCapture) -> tuple[bool, Any]:
    read, picture = capture.read()
    return read and picture is not None, picture


def _open(address: str | int) -> cv2.VideoCapture | None:
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
