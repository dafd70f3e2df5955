"""A script's way to the cloud: blocking for the script, never longer than the deadline, and free once the cloud is dead."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.cloud_client import CloudReply
from sedna_py.errors import CloudUnavailable, MalformedBody, SednaError
from sedna_py.estimator import is_frame
from sedna_py.protocol import npy, sedna_json
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JSON, NPY

_log = logging.getLogger(__name__)

_PROBE_PERIOD_S = 1.0  # how often an open circuit is worth the work of encoding an example
_GRACE_S = 0.25  # the client keeps the deadline itself; this is for a loop that is kept from running


class Cloud(Protocol):
    """The part of CloudClient that is needed here."""

    @property
    def breaker_state(self) -> BreakerState: ...

    def asleep(self) -> bool: ...

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None
    ) -> CloudReply: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """`as_npy`: send images as raw arrays. `send_callback`: let the cloud run a post_process given by name."""

    deadline_s: float = 10.0
    as_npy: bool = False
    send_callback: bool = False


@dataclass(frozen=True, slots=True)
class CloudAnswer:
    """The cloud's list, or the cause why there is none; `detail` is for people."""

    result: list[Any] | None
    cause: OffloadCause | None = None
    detail: str = ""
    bytes_sent: int = 0  # of bodies that were answered


class CloudLink:
    """Ask the cloud from any thread. Owns the loop and the client."""

    def __init__(
        self,
        cloud: Cloud,
        loop: BackgroundLoop,
        options: LinkOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cloud = cloud
        self._loop = loop
        self._options = options
        self._clock = clock
        self._next_probe_at = 0.0

    def ask(self, data: Any, post_process: str | None, extra: Mapping[str, Any]) -> CloudAnswer:
        """Return the cloud's answer, or why there is none; it never raises."""
        now = self._clock()
        if self._failing() and now < self._next_probe_at:  # known before encoding: a dead cloud must not cost any work
            return self._not_asked("the cloud failed just now and is not asked")
        due = now + self._options.deadline_s
        try:
            body, media_type = encode(data, post_process, extra, self._options)
            return self._send(body, media_type, due)
        except CloudUnavailable as error:
            return CloudAnswer(None, error.cause, str(error))
        except TimeoutError:
            return CloudAnswer(None, OffloadCause.DEADLINE_EXCEEDED, f"no answer in {self._options.deadline_s:g} s")
        except MalformedBody as error:
            return CloudAnswer(None, OffloadCause.ENCODE_FAILED, str(error))
        except SednaError as error:
            return CloudAnswer(None, OffloadCause.SHUTDOWN, str(error))
        except Exception as error:  # noqa: BLE001 - a script's data can be anything; the edge's answer has to stand
            return CloudAnswer(None, OffloadCause.ENCODE_FAILED, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the connections and end the loop; may be called again."""
        try:
            self._loop.run(self._cloud.aclose(), timeout_s=2.0)
        except (SednaError, TimeoutError) as error:
            _log.debug("closing the cloud's connections: %s", error)
        self._loop.close()

    def _send(self, body: bytes, media_type: str, due: float) -> CloudAnswer:
        left_s = due - self._clock()
        failing = self._failing()
        call = self._cloud.predict(body, media_type, deadline_s=left_s)
        if failing:
            # Nobody waits for a probe, so a cloud that hangs again holds no example up; the first one after it goes there.
            self._next_probe_at = self._clock() + _PROBE_PERIOD_S
            self._loop.submit(call)
            return self._not_asked("the cloud failed just now and is being probed")
        reply = self._loop.run(call, timeout_s=max(left_s, 0) + _GRACE_S)
        return CloudAnswer(reply.result, bytes_sent=reply.bytes_sent)

    def _not_asked(self, why: str) -> CloudAnswer:
        if self._cloud.asleep():
            return CloudAnswer(None, OffloadCause.CLOUD_ASLEEP, "the cloud worker is scaled to zero, and wakes")
        return CloudAnswer(None, OffloadCause.CIRCUIT_OPEN, why)

    def _failing(self) -> bool:
        return self._cloud.breaker_state is not BreakerState.CLOSED


def encode(data: Any, post_process: str | None, extra: Mapping[str, Any], options: LinkOptions) -> tuple[bytes, str]:
    """Return body and Content-Type. Raises MalformedBody for what cannot be sent.

    Upstream's server takes `callback`, its client says `post_process`: no cloud-side post-processing ever runs between
    the two, so only `post_process` is sent unless `options` ask for the other.
    """
    callback = {"callback": post_process} if options.send_callback and post_process else {}
    if options.as_npy and is_frame(data) and not extra and not callback:
        return npy.encode(data), NPY
    return sedna_json.encode_request(data, **{**extra, "post_process": post_process, **callback}), JSON
