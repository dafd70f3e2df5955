"""From what `video_url` says to sources."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from sedna_py.errors import SourceError
from sedna_py.settings import redact
from sedna_py.source_list import NAME, PUSH, WATCH, ListedSource, read_sources, shown, unique_names
from workers.edge.sources.base import FrameSource
from workers.edge.sources.files import PictureFolder, VideoFile
from workers.edge.sources.live import LiveStream
from workers.edge.sources.push import PushSource
from workers.edge.sources.watched import WatchedFolder

NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})


def open_sources(video_url: str, *, cameras_now: bool = True) -> list[FrameSource]:
    """Open all that `video_url` names, each with a name of its own; a network stream is opened by its first reader.

    So is a camera where not `cameras_now`: one process can have it, and here that may be another one. Raises SourceError in one
    line, without the password of an address.
    """
    listed = read_sources(video_url, path_exists)
    opened = [_open_listed(source, patient=True, alone=len(listed) == 1, camera_now=cameras_now) for source in listed]
    wanted = [(one.name or source.name, bool(one.name)) for one, source in zip(listed, opened, strict=True)]
    for source, name in zip(opened, unique_names(wanted), strict=True):
        source.name = name
    return opened


def open_source(video_url: str) -> FrameSource:
    """Open the one source that `video_url` names, also a network stream. Raises SourceError as `open_sources` does."""
    listed = read_sources(video_url, path_exists)
    if len(listed) > 1:
        raise SourceError(f"video_url names {len(listed)} sources; give one of them")
    source = _open_listed(listed[0], patient=False, alone=True)
    source.name = listed[0].name or source.name
    return source


def local_path(video_url: str) -> Path:
    """Return the path in a `file:` address; `file://video/a.mp4` means `/video/a.mp4`, as it does to FFmpeg upstream."""
    if not video_url.startswith("file:"):
        return Path(video_url)
    rest = video_url.removeprefix("file:")
    return Path("/" + rest.lstrip("/")) if rest.startswith("//") else Path(rest)


def path_exists(text: str) -> bool:
    """Whether there is something at a path, as far as this user may know."""
    return os.path.lexists(local_path(text))


def _open_listed(source: ListedSource, *, patient: bool, alone: bool, camera_now: bool = True) -> FrameSource:
    try:
        return _open(source.address, patient=patient, camera_now=camera_now)
    except SourceError as error:
        if alone:
            raise
        # Who meant one path with a comma in it learns here that it was read as a list.
        raise SourceError(
            f"{error} (one of several in video_url; a path with a comma in it goes into a JSON list)"
        ) from None


def _open(address: str, *, patient: bool, camera_now: bool) -> FrameSource:
    if address.isdecimal():
        return LiveStream(int(address), patient=not camera_now)
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError as error:
        raise SourceError(f"{redact(address)!r} is no address: {error}; write rtsp://host:port/path") from None
    if scheme in NETWORK_SCHEMES:
        return LiveStream(address, patient=patient)
    if address.startswith(PUSH):
        return _push(address)
    if scheme not in ("", "file") and "://" in address and not address.startswith(WATCH):
        raise SourceError(
            f"{shown(address)!r}: unknown scheme {scheme!r}; write a path, rtsp://..., http(s)://... or push://"
        )
    path = local_path(address.removeprefix(WATCH))
    try:
        return _watch(path) if address.startswith(WATCH) else _open_path(path)
    except OSError as error:
        raise SourceError(
            f"cannot read {str(path)!r}: {error.strerror}; write the path of a video or a folder that this user may read"
        ) from None


def _push(address: str) -> PushSource:
    name = address.removeprefix(PUSH) or "push"
    if not NAME.fullmatch(name):
        raise SourceError(
            f"{address!r}: no name for pictures that are sent; write push:// or push://name, of letters, digits, '_', '.', '-'"
        )
    return PushSource(name)


def _watch(path: Path) -> WatchedFolder:
    if not path.is_dir():
        raise SourceError(f"no folder at {str(path)!r}; make it, or write watch: and the path of one")
    return WatchedFolder(path)


def _open_path(path: Path) -> FrameSource:
    if path.is_dir():
        return PictureFolder(path)
    if not path.exists():
        raise SourceError(f"no video at {str(path)!r}; write the path of a video file or a folder of pictures")
    return VideoFile(path)
