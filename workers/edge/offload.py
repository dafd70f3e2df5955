"""Sends hard frames to the cloud beside the frame loop, which never waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.cloud_client import CloudReply
from sedna_py.errors import CloudUnavailable, MalformedBody
from sedna_py.estimator import Frame
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from workers.edge.decision import CloudAnswer
from workers.edge.frames import SourceFrame

Answered = Callable[[CloudAnswer], None]
NOTHING_SENT = frozenset({OffloadCause.CIRCUIT_OPEN, OffloadCause.CONNECT_FAILED})


class Cloud(Protocol):
    """The part of CloudClient that is needed here."""

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None
    ) -> CloudReply: ...

    def would_refuse(self) -> bool: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OffloadOptions:
    """`in_flight` requests at once and `waiting` frames behind them; a frame over that keeps the edge's answer, or waits."""

    in_flight: int = 8
    waiting: int = 8
    deadline_s: float = 2.0  # from the decision until the reply; waiting and encoding count
    when_full_wait: bool = False


class Offloader:
    """Bounded and concurrent: one thread with an event loop for the requests, one for encoding."""

    def __init__(self, cloud: Cloud, encode: Callable[[Frame], bytes], options: OffloadOptions) -> None:
        self._cloud = cloud
        self._encode = encode
        self._options = options
        self._places = threading.BoundedSemaphore(options.in_flight + options.waiting)
        self._requests = asyncio.Semaphore(options.in_flight)
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._loop = BackgroundLoop()
        self._count_lock = threading.Lock()
        self._closing = False
        self.pending = 0

    def submit(self, frame: SourceFrame, answered: Answered) -> None:
        """Start on a hard frame; `answered` is called exactly once, from this or another thread."""
        cause = self._refusal()
        if cause is not None:
            answered(CloudAnswer(None, cause))
            return
        self._count(1)
        self._loop.submit(self._offload(frame, answered, time.monotonic() + self._options.deadline_s))

    def close(self) -> None:
        """Give up what is still on its way and let go of threads and connections."""
        self._closing = True
        self._loop.run(self._cloud.aclose(), timeout_s=5)
        self._loop.close()
        self._encoder.shutdown(wait=True, cancel_futures=True)

    def _refusal(self) -> OffloadCause | None:
        if self._closing:
            return OffloadCause.SHUTDOWN
        if self._cloud.would_refuse():  # asked before encoding: a dead cloud must not cost the edge any work
            return OffloadCause.CIRCUIT_OPEN
        patience = self._options.deadline_s if self._options.when_full_wait else 0
        free = self._places.acquire(timeout=patience) if patience else self._places.acquire(blocking=False)
        return None if free else OffloadCause.QUEUE_FULL

    async def _offload(self, frame: SourceFrame, answered: Answered, due: float) -> None:
        answer = CloudAnswer(None, OffloadCause.SHUTDOWN)
        try:
            answer = await self._ask(frame, due)
        finally:
            self._places.release()
            self._count(-1)
            answered(answer)

    async def _ask(self, frame: SourceFrame, due: float) -> CloudAnswer:
        encode_ms: float | None = None
        body = b""
        started = 0.0
        try:
            async with asyncio.timeout(due - time.monotonic()), self._requests:
                begun = time.monotonic()
                body = await asyncio.get_running_loop().run_in_executor(self._encoder, self._encode, frame.picture)
                started = time.monotonic()
                encode_ms = (started - begun) * 1000
                reply = await self._cloud.predict(
                    body, JPEG, frame_id=f"{frame.source}#{frame.number}", deadline_s=due - started
                )
            return CloudAnswer(reply.result, None, len(body), encode_ms, reply.latency_s * 1000)
        except TimeoutError:
            return CloudAnswer(
                None, OffloadCause.DEADLINE_EXCEEDED, len(body) if started else 0, encode_ms, _since(started)
            )
        except CloudUnavailable as error:
            sent = 0 if error.cause in NOTHING_SENT else len(body)
            return CloudAnswer(None, error.cause, sent, encode_ms, _since(started))
        except MalformedBody:
            return CloudAnswer(None, OffloadCause.ENCODE_FAILED)

    def _count(self, change: int) -> None:
        with self._count_lock:
            self.pending += change


def _since(started: float) -> float | None:
    return (time.monotonic() - started) * 1000 if started else None
