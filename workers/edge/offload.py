"""Sends hard frames to the cloud beside the frame loop, which never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.cloud_client import CloudReply
from sedna_py.client.failures import CloudFailure
from sedna_py.client.offload_window import START, TOO_MUCH, OffloadWindow
from sedna_py.client.route import Route, RouteFigures
from sedna_py.client.send_cap import NOT_LET_GO
from sedna_py.errors import CloudUnavailable, SednaError
from sedna_py.protocol.causes import OffloadCause
from workers.edge.decision import CloudAnswer
from workers.edge.frames import SourceFrame
from workers.edge.packed import Packed
from workers.edge.packing import Packer

LOG = logging.getLogger(__name__)
CLOSE_S = 5.0  # for the connections to close
PROBE_AFTER_S = 5.0  # live frames look whether the cloud is back; stored ones only when there has been none for so long

Answered = Callable[[CloudAnswer], None]
Begun = Callable[[], None]
NOTHING_SENT = NOT_LET_GO | {OffloadCause.CIRCUIT_OPEN, OffloadCause.CONNECT_FAILED, OffloadCause.QUEUE_FULL}
NOT_ASKED = frozenset({OffloadCause.CIRCUIT_OPEN, OffloadCause.CLOUD_ASLEEP})  # where the client itself refuses


class Cloud(Protocol):
    """The part of CloudClient that is needed here. `predict` keeps to its deadline and raises CloudUnavailable."""

    async def start(self) -> None: ...

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None, urgent: bool = True
    ) -> CloudReply: ...

    def figures(self) -> RouteFigures: ...

    def would_refuse(self) -> bool: ...

    def asleep(self) -> bool: ...

    def cap_is_full(self) -> bool: ...

    def cap_has_spare(self, size: int) -> bool: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OffloadOptions:
    """`in_flight` requests at once and `waiting` frames behind them; a frame over that keeps the edge's answer, or waits.

    While the cloud is too slow for so many, there are fewer places (OffloadWindow).
    """

    in_flight: int = 8
    waiting: int = 8
    deadline_s: float = 2.0  # from the decision until the reply; waiting and encoding count
    when_full_wait: bool = False
    start: int = START  # places before the cloud has shown how fast it is


@dataclass(slots=True, eq=False)
class _Job:
    """A hard frame on its way; times are of one monotonic clock."""

    frame: SourceFrame
    started: float
    due: float
    answered: Answered
    begun: float = 0.0  # when its turn came
    expires: asyncio.TimerHandle | None = None
    request: asyncio.Task[CloudAnswer] | None = None  # which keeps the deadline itself


class Offloader:
    """Bounded and concurrent: one thread with an event loop for the requests, one for encoding.

    All that is known of frames on their way is the loop's. It hands a frame whose turn has come to the encoder, gets its body
    back, and sends it: a task is made for the request alone, as each costs as much as a good part of a light model.
    """

    def __init__(self, cloud: Cloud, packer: Packer, options: OffloadOptions) -> None:
        self._cloud = cloud
        self.packer = packer
        self._options = options
        self._window = OffloadWindow(options.in_flight + options.waiting, options.start)
        self._jobs: set[_Job] = set()
        self._under_way = 0  # of them; no more than `in_flight`
        self._line: deque[_Job] = deque()
        self._to_encode: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop = BackgroundLoop("offload")
        self._encoder = threading.Thread(target=self._encode, name="encoder", daemon=True)
        self._encoder.start()
        self._room = threading.Condition()
        self._closing = False
        self._told_size = False
        self._last_hard = float("-inf")
        self.pending = 0
        self.stored = 0  # pictures of the offline queue on their way, beside `pending`
        self._loop.submit(cloud.start())  # so that the pods are known before the first hard frame

    def submit(self, frame: SourceFrame, answered: Answered, begun: Begun = lambda: None) -> None:
        """Start on a hard frame; `answered` is called exactly once, from this or another thread.

        `begun` is called before it, in this thread, where the frame is not refused at once.
        """
        started = self._last_hard = time.monotonic()
        cause = self._refusal()
        if cause is not None:
            answered(CloudAnswer(None, cause))
            return
        begun()
        try:
            self._loop.call_soon(self._take_in, _Job(frame, started, started + self._options.deadline_s, answered))
        except SednaError:  # closed since it was looked at
            self._leave()
            answered(CloudAnswer(None, OffloadCause.SHUTDOWN))

    def has_spare(self) -> bool:
        """Whether a stored picture may go now: live frames keep a place at least, and are the ones that try a broken circuit.

        A cloud that sleeps is asked by whatever comes first: it shall not be awake for seconds before anybody notices.
        """
        if self._closing or self._cloud.would_refuse():
            return False
        if (
            self._cloud.figures().route is Route.NONE  # half-open, or about to be
            and not self._cloud.asleep()
            and time.monotonic() - self._last_hard < PROBE_AFTER_S
        ):
            return False
        with self._room:
            places = min(self._window.places, self._options.in_flight)
            return self.pending + self.stored < max(places - 1, 1)

    def submit_stored(self, packed: Packed, media_type: str, frame_id: str, answered: Answered) -> None:
        """Send a picture that waited on disk, behind all others and where the cap has room to spare.

        `answered` is called exactly once, from this or another thread. Its outcome does not move the window: that is for live
        frames, and a cloud that serves this one last says little about them.
        """
        with self._room:
            self.stored += 1

        def left(answer: CloudAnswer) -> None:
            with self._room:
                self.stored -= 1
            answered(answer)

        try:
            asked = self._loop.submit(self._send_stored(packed, media_type, frame_id))
        except SednaError:
            left(CloudAnswer(None, OffloadCause.SHUTDOWN))
            return
        asked.add_done_callback(lambda asked: left(_outcome(frame_id, asked)))

    def figures(self) -> RouteFigures:
        """Return what was sent to the cloud, and which way."""
        return self._cloud.figures()

    def close(self) -> None:
        """Give up what is still on its way, each with its answer, and let go of threads and connections; once is enough."""
        if self._closing:
            return
        self._closing = True
        try:
            self._loop.run(self._cloud.aclose(), timeout_s=CLOSE_S)
        except Exception as error:  # noqa: BLE001 - the frames under way must be answered whatever closing raises
            LOG.warning("the connections to the cloud did not close: %s: %s", type(error).__name__, error)
        finally:
            self._loop.close()
            self._to_encode.put(None)
            self._encoder.join()
            for job in tuple(self._jobs):  # what had no request to be cancelled
                self._finish(job, CloudAnswer(None, OffloadCause.SHUTDOWN))

    def _refusal(self) -> OffloadCause | None:
        if self._closing:
            return OffloadCause.SHUTDOWN
        if self._cloud.would_refuse():  # asked before encoding: a dead cloud must not cost the edge any work
            return OffloadCause.CLOUD_ASLEEP if self._cloud.asleep() else OffloadCause.CIRCUIT_OPEN
        patience = self._options.deadline_s if self._options.when_full_wait else 0
        with self._room:
            if not self._room.wait_for(lambda: self.pending < self._window.places, patience):
                return OffloadCause.QUEUE_FULL
            self.pending += 1
        return None

    def _take_in(self, job: _Job) -> None:
        job.expires = asyncio.get_running_loop().call_at(job.due, self._expire, job)
        self._jobs.add(job)
        self._line.append(job)
        self._go_on()

    def _go_on(self) -> None:
        """Begin with as many frames as may be under way."""
        while self._line and self._under_way < self._options.in_flight:
            self._under_way += 1
            job = self._line.popleft()
            job.begun = now = time.monotonic()
            if self._cloud.cap_is_full():  # asked before encoding, too
                self.packer.failed(OffloadCause.OVER_CAP, now, now)
                self._end(job, CloudAnswer(None, OffloadCause.OVER_CAP))
            else:
                self._to_encode.put(job)

    def _expire(self, job: _Job) -> None:
        """Give up a frame that still waits for its turn or for its body."""
        late = CloudAnswer(None, OffloadCause.DEADLINE_EXCEEDED)
        if not job.begun:
            self._line.remove(job)
            self._finish(job, late)
        elif job.request is None:
            self._end(job, late)

    def _encode(self) -> None:
        """Encode one frame after the other, until there is a None (the encoder's thread)."""
        while (job := self._to_encode.get()) is not None:
            packed: Packed | None = None
            try:
                packed = self.packer.pack(job.frame.picture)
            except Exception as error:  # noqa: BLE001 - whatever the codec raises, the frame keeps the edge's answer
                LOG.warning("frame %d cannot be encoded: %s", job.frame.number, error)
            with contextlib.suppress(SednaError):  # closed: `close` answers it
                self._loop.call_soon(self._encoded, job, packed)

    def _encoded(self, job: _Job, packed: Packed | None) -> None:
        if job not in self._jobs:
            return
        now = time.monotonic()
        encode_ms = (now - job.begun) * 1000
        if packed is None:
            self._end(job, CloudAnswer(None, OffloadCause.ENCODE_FAILED))
        elif now >= job.due:
            self._end(job, CloudAnswer(None, OffloadCause.DEADLINE_EXCEEDED, 0, encode_ms, packed=packed))
        else:
            job.request = asyncio.get_running_loop().create_task(self._send(job.frame, packed, job.due, encode_ms))
            job.request.add_done_callback(lambda asked: self._end(job, _outcome(f"frame {job.frame.number}", asked)))

    def _end(self, job: _Job, answer: CloudAnswer) -> None:
        self._under_way -= 1
        self._finish(job, answer)
        self._go_on()

    def _finish(self, job: _Job, answer: CloudAnswer) -> None:
        try:
            self._jobs.remove(job)
        except KeyError:  # `close` gave it up
            return
        if job.expires is not None:
            job.expires.cancel()
        now = time.monotonic()
        with self._room:
            if answer.cause is None:
                self._window.answered(now - job.started, self._options.deadline_s)
            elif answer.cause in TOO_MUCH:
                self._window.missed(job.started, now)
            self._leave()
        job.answered(answer)

    async def _send(self, frame: SourceFrame, packed: Packed, due: float, encode_ms: float) -> CloudAnswer:
        started = time.monotonic()
        try:
            # The deadline is the client's to keep: a time-out around it would look like our giving up, of which the
            # circuit breaker learns nothing.
            reply = await self._cloud.predict(
                packed.body,
                self.packer.media_type,
                frame_id=f"{frame.source}#{frame.number}",
                deadline_s=due - started,
            )
        except CloudUnavailable as error:
            if error.cause is OffloadCause.LARGER_THAN_CAP and not self._told_size:
                self._told_size = True
                LOG.warning("frame %d is %s; raise the cap, or lower JPEG_QUALITY", frame.number, error)
            self.packer.failed(error.cause, started, time.monotonic())
            return _failed(error, packed, encode_ms, started)
        self.packer.answered(reply, started, time.monotonic())
        return _answer(reply, packed, encode_ms)

    async def _send_stored(self, packed: Packed, media_type: str, frame_id: str) -> CloudAnswer:
        if not self._cloud.cap_has_spare(len(packed.body)):
            return CloudAnswer(None, OffloadCause.OVER_CAP)
        started = time.monotonic()
        try:
            reply = await self._cloud.predict(
                packed.body, media_type, frame_id=frame_id, deadline_s=self._options.deadline_s, urgent=False
            )
        except CloudUnavailable as error:
            return _failed(error, packed, None, started)
        return _answer(reply, packed, None)

    def _leave(self) -> None:
        with self._room:
            self.pending -= 1
            self._room.notify()


def _outcome(what: str, asked: Future[CloudAnswer] | asyncio.Task[CloudAnswer]) -> CloudAnswer:
    if asked.cancelled():
        return CloudAnswer(None, OffloadCause.SHUTDOWN)
    if (error := asked.exception()) is not None:
        LOG.error("offloading %s failed", what, exc_info=error)
        return CloudAnswer(None, OffloadCause.CONNECTION_LOST)
    return asked.result()


def _answer(reply: CloudReply, packed: Packed, encode_ms: float | None) -> CloudAnswer:
    result = packed.in_frame(reply.result, from_detector=reply.model_input is not None)
    cause = OffloadCause.INVALID_REPLY if result is None else None
    return CloudAnswer(result, cause, reply.bytes_sent, encode_ms, reply.latency_s * 1000)


def _failed(error: CloudUnavailable, packed: Packed, encode_ms: float | None, started: float) -> CloudAnswer:
    cause = error.cause
    refused = cause in NOT_ASKED and not isinstance(error, CloudFailure)
    sent = 0 if refused or cause in NOTHING_SENT else len(packed.body)
    asked = not refused and cause not in NOT_LET_GO
    return CloudAnswer(None, cause, sent, encode_ms, (time.monotonic() - started) * 1000 if asked else None, packed)
