"""A folder that pictures arrive in: each is taken once, when it is whole."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from sedna_py.errors import ProtocolError
from sedna_py.estimator import Frame
from sedna_py.protocol import images
from workers.edge.sources.arrivals import Arrivals, Entry
from workers.edge.sources.files import is_picture
from workers.inference.image_codec import decode_image

LOG = logging.getLogger(__name__)
PAUSE_S = 0.15  # between two looks
REST = 4  # times what a look took: a look at a million files takes seconds, and most of the time is for something else
SNIFFED = frozenset({".jpg", ".jpeg", ".png"})


class WatchedFolder:
    """The pictures that arrive in a folder from now on, in the order in which they do; what is there already is not taken.

    It is looked at again and again, which also works where other machines write into it. A file that changes arrives again. One
    that is no whole picture is counted and named in the log, and is taken if it changes.
    """

    live = False
    endless = True
    fps = 0.0
    frames = 0
    captured_at = 0.0

    def __init__(self, path: Path) -> None:
        """Raises OSError where the folder cannot be read."""
        self.name = path.name
        self.outages = self.broken = 0
        self.up = True
        self._path = path
        self._closed = threading.Event()
        self._arrivals = Arrivals(max(((e.changed_ns, e.name) for e in entries_of(path)), default=(0, "")))

    def __iter__(self) -> Iterator[Frame]:
        while not self._closed.is_set():
            began = time.monotonic()
            arrived = self._look()
            took = time.monotonic() - began
            for entry in arrived:
                if self._closed.is_set():
                    return
                if (picture := self._read(entry.name)) is not None:
                    yield picture
            self._closed.wait(max(PAUSE_S, REST * took))

    def close(self) -> None:
        """End the iteration."""
        self._closed.set()

    def _look(self) -> list[Entry]:
        try:
            arrived = self._arrivals.look(entries_of(self._path), time.monotonic())
        except OSError as error:
            if self.up:
                self.up = False
                self.outages += 1
                LOG.warning("the folder %s cannot be read: %s; trying again until it can", self._path, error.strerror)
            return []
        if not self.up:
            self.up = True
            LOG.info("the folder %s can be read again", self._path)
        return arrived

    def _read(self, name: str) -> Frame | None:
        try:
            return read_picture(self._path / name)
        except FileNotFoundError:
            return None  # whoever put it there has taken it away again
        except (OSError, ProtocolError) as error:
            self.broken += 1
            LOG.warning("%s is left out: %s", self._path / name, error)
            return None


def entries_of(folder: Path) -> Iterator[Entry]:
    """Yield the pictures of a folder, in no order, without hidden ones. Raises OSError."""
    with os.scandir(folder) as found:
        for entry in found:
            if is_picture(entry.name) and not entry.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):  # gone since
                    about = entry.stat()
                    if stat.S_ISREG(about.st_mode):  # to read a pipe would be to wait for its writer
                        yield Entry(about.st_ctime_ns, entry.name, about.st_size)


def read_picture(path: Path) -> Frame:
    """Return a file's picture, BGR. Raises OSError, or ProtocolError where it is not a whole picture.

    OpenCV itself fills what is missing of a JPEG with grey, and says nothing.
    """
    body = path.read_bytes()
    if path.suffix.lower() in SNIFFED:
        images.probe(body)
        images.check_complete(body)
    picture: Any = decode_image(body, cv2.IMREAD_COLOR)
    return picture  # type: ignore[no-any-return]
