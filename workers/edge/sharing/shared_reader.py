"""What the pipeline reads from where replicas share their sources: frames of whoever captures, be it this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from sedna_py.errors import SednaError, SourceError
from workers.edge.frames import BufferPolicy, FrameBuffer
from workers.edge.reader import STOP_S
from workers.edge.sharing.capture import Capture
from workers.edge.sharing.exchange import POLL_S, Ended, Exchange, Lead, Place

LOG = logging.getLogger(__name__)
FRAMES_HERE: Final = 1  # between the capturer's queue and this model: what is here is lost with this process
LEAVE_S: Final = 1.0
OPEN_S: Final = 5.0  # a camera's last user may be about to let go of it
OPEN_PAUSE_S: Final = 0.5
ELECTION_S: Final = 0.1  # between two tries to become the capturer

MakeCapture = Callable[[Mapping[str, Place]], Capture]
"""Opens the sources where they have been handed out up to these places. Raises SourceError."""


class Role(StrEnum):
    """What a replica does for the others."""

    CAPTURER = "capturer"
    TAKER = "taker"
    CUT_OFF = "cut_off"  # it can neither capture nor take: Redis is out of reach


class SharedReader(threading.Thread):
    """Takes frames into `buffer`, and captures for all whenever nobody else does. Ends when the sources have, or by `stop`."""

    def __init__(self, exchange: Exchange, make_capture: MakeCapture, sources: Sequence[str]) -> None:
        super().__init__(name="shared-reader", daemon=True)
        self.buffer = FrameBuffer(FRAMES_HERE, BufferPolicy.WAIT, 1)
        self.exchange = exchange
        self.sources = sources
        self.error: SednaError | None = None
        self.captures: list[Capture] = []  # the last one is read now, if this is the capturer
        self._make_capture = make_capture
        self._stopped = threading.Event()
        self._leading: threading.Thread | None = None
        self._tried = 0.0

    @property
    def role(self) -> Role:
        """What this replica is now."""
        if self.exchange.away:
            return Role.CUT_OFF
        return Role.CAPTURER if self._leads() else Role.TAKER

    def bound(self, most_out: int) -> None:
        """Say how many frames may be worked on here, as in FrameBuffer; before `start`."""
        self.buffer = FrameBuffer(FRAMES_HERE, BufferPolicy.WAIT, most_out)

    def prepare(self) -> None:
        """Become the capturer if there is none yet, so that what is wrong with a source is said at once. Raises SourceError.

        Others are served from now on; nothing is read before somebody asks.
        """
        lead = self._try_lead()
        if lead is None or isinstance(lead, Ended):
            return
        try:
            capture = self._open(lead, 0)
        except BaseException:
            lead.release(ended=False)
            raise
        self._serve_with(lead, capture)

    def run(self) -> None:
        """Take frames until the end of the sources, or `stop`."""
        try:
            self._take_part()
        except SednaError as error:
            self._fail(error)
        except BaseException as error:  # as in FrameReader
            LOG.error("sharing the source failed", exc_info=error)
            self._fail(SourceError(f"frames cannot be shared any more: {type(error).__name__}: {error}"))
        finally:
            self.buffer.end()
            self._see_them_out()
            self.exchange.close()

    def stop(self) -> None:
        """Take no more frames, and hand out what was read; returns at once."""
        self._stopped.set()
        self.buffer.stop(STOP_S)

    def abandon(self) -> None:
        """Let go of everything where `start` was never called."""
        if self.ident is None:
            self.stop()
            self.run()

    def _take_part(self) -> None:
        while not self._stopped.is_set() and self.error is None:
            if not self._leads() and self._elect() is Ended.ENDED:
                break  # its last frames may be on their way
            if self._take() is Ended.ENDED:
                return
        while self._leads():
            for capture in self.captures[-1:]:
                capture.stop()
            self._take()
        for frame in self.exchange.leave(POLL_S if self.captures else LEAVE_S):
            self.buffer.put(frame)

    def _take(self) -> Ended | None:
        got = self.exchange.take(POLL_S)
        self.exchange.finished(self._finished())
        if isinstance(got, Ended):
            return got
        if got is not None:
            self.buffer.put(got)
        return None

    def _finished(self) -> int:
        waiting = len(
            self.buffer
        )  # before `out`: one that goes from here to there is then counted twice, never not at all
        return self.buffer.taken_in - waiting - self.buffer.out

    def _see_them_out(self) -> None:
        """Stay known to the others until the frames that were taken have left: they count what a dead replica held."""
        deadline = time.monotonic() + STOP_S
        while (len(self.buffer) or self.buffer.out) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.exchange.finished(self._finished())
        if self._leading is not None:
            self._leading.join(STOP_S)

    def _leads(self) -> bool:
        return self._leading is not None and self._leading.is_alive()

    def _elect(self) -> Ended | None:
        now = time.monotonic()
        if now - self._tried < ELECTION_S:
            return None
        self._tried = now
        lead = self._try_lead()
        if lead is None or isinstance(lead, Ended):
            return lead
        LOG.info("nobody captures: this replica does from now on")
        self._serve_with(lead, None)
        return None

    def _try_lead(self) -> Lead | Ended | None:
        try:
            return self.exchange.try_lead()
        except OSError as error:
            raise SourceError(f"SHARED_DIR cannot be used any more: {error.strerror or error}") from None

    def _serve_with(self, lead: Lead, capture: Capture | None) -> None:
        self._leading = threading.Thread(target=self._lead, args=(lead, capture), name="capture", daemon=True)
        self._leading.start()

    def _lead(self, lead: Lead, capture: Capture | None) -> None:
        ended = False
        try:
            capture = capture or self._open(lead, OPEN_S)
            if self._stopped.is_set():
                capture.stop()
            lead.serve(capture)
            ended = capture.complete
            if not capture.finished:  # another one has taken over
                capture.give_up()
            for source, place in capture.passed_over().items():
                lead.pass_over(source, place)
            self.error = self.error or capture.feed.error
        except SednaError as error:
            self._fail(error)
        except BaseException as error:  # as in `run`
            LOG.error("capturing failed", exc_info=error)
            self._fail(SourceError(f"frames cannot be handed out any more: {type(error).__name__}: {error}"))
        finally:
            if capture is not None and not capture.finished:
                capture.give_up()
            lead.release(ended)

    def _open(self, lead: Lead, patience_s: float) -> Capture:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                capture = self._make_capture(lead.places)
            except SourceError as error:
                if time.monotonic() >= deadline or self._stopped.wait(OPEN_PAUSE_S):
                    raise
                LOG.warning("%s; trying again", error)
            else:
                self.captures.append(capture)
                return capture

    def _fail(self, error: SednaError) -> None:
        self.error = self.error or error
