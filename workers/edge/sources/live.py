"""Cameras and network streams: opened again whenever they break off."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import cv2

from sedna_py.errors import SourceError
from sedna_py.estimator import Frame
from sedna_py.source_list import shown
from workers.edge.sources import capture

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
# A stream that is back is found after this, and after what is left of an attempt to open it, which lasts up to 5 s where packets
# vanish; most of them are refused at once.
LONGEST_PAUSE_S = 1.0


class LiveStream:
    """A camera or a network stream. When it breaks off it is opened again, after 0.2 s, then twice as long, up to 1 s.

    `patient`: it is opened by the iteration, as often as it takes; else at once, and SourceError says that it is not there.
    """

    live = endless = True
    frames = broken = 0
    captured_at = 0.0

    def __init__(self, address: str | int, *, patient: bool = False) -> None:
        self.name = f"camera {address}" if isinstance(address, int) else shown(address)
        self._address = address
        self.fps = 0.0
        self.outages = 0
        self.up = False
        self._seen = False
        self._closed = threading.Event()
        self._capture: cv2.VideoCapture | None = None
        if patient:
            return
        self._open()
        if self._capture is None:
            raise SourceError(
                f"{self.name} cannot be opened (tried for up to {capture.OPEN_TIMEOUT_MS / 1000:.0f} s); "
                "check that the camera or stream is there and that the address is right"
            )

    def __iter__(self) -> Iterator[Frame]:
        pause = FIRST_PAUSE_S
        picture: Any
        try:
            if self._capture is None and not self._closed.is_set():
                self._open()
            while not self._closed.is_set():
                read, picture = capture.read_capture(self._capture) if self._capture is not None else (False, None)
                if read:
                    if not self.up:
                        self._note_return()
                    pause = FIRST_PAUSE_S
                    yield picture
                    continue
                if pause == FIRST_PAUSE_S:
                    self._note_loss()
                self._release()
                if not self._closed.wait(pause):
                    pause = min(pause * 2, LONGEST_PAUSE_S)
                    self._open()
        finally:
            self.up = False
            self._release()  # here and not in `close`, which another thread calls while this one may be reading

    def close(self) -> None:
        """End the iteration, at the latest when a read or an attempt to open has timed out."""
        self._closed.set()

    def _open(self) -> None:
        self._capture = capture.open_capture(self._address)
        if self._capture is not None:
            self.fps = capture.fps_of(self._capture)

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _note_loss(self) -> None:
        self.up = False
        self.outages += 1
        what = "gives no frames" if self._seen else "cannot be opened, or gives no frames"
        LOG.warning("%s %s; trying again until it does", self.name, what)

    def _note_return(self) -> None:
        self.up = True
        if self.outages:
            LOG.info("%s gives frames%s", self.name, " again" if self._seen else "")
        self._seen = True
