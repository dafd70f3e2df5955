"""Where frames come from: files, folders, cameras, network streams, and pictures that are sent here."""

from workers.edge.sources.base import FrameSource
from workers.edge.sources.files import PictureFolder, VideoFile
from workers.edge.sources.live import LiveStream
from workers.edge.sources.opening import local_path, open_source, open_sources
from workers.edge.sources.push import PushSource
from workers.edge.sources.watched import WatchedFolder

__all__ = [
    "FrameSource",
    "LiveStream",
    "PictureFolder",
    "PushSource",
    "VideoFile",
    "WatchedFolder",
    "local_path",
    "open_source",
    "open_sources",
]
