"""Every way in which a request can fail, as one cause of the closed list."""

from __future__ import annotations

from typing import Final

import httpx

from sedna_py.client.circuit_breaker import Outcome
from sedna_py.errors import CloudUnavailable
from sedna_py.protocol.asleep import says_asleep
from sedna_py.protocol.causes import OffloadCause

# Complete for httpx (a test walks its classes); the nearest class on an exception's own line decides.
CAUSES: Final[dict[type[BaseException], OffloadCause]] = {
    httpx.ConnectError: OffloadCause.CONNECT_FAILED,
    httpx.ConnectTimeout: OffloadCause.CONNECT_FAILED,
    httpx.ProxyError: OffloadCause.CONNECT_FAILED,
    httpx.InvalidURL: OffloadCause.CONNECT_FAILED,
    httpx.UnsupportedProtocol: OffloadCause.CONNECT_FAILED,
    UnicodeError: OffloadCause.CONNECT_FAILED,  # a host name that cannot be written in ASCII
    httpx.ReadTimeout: OffloadCause.DEADLINE_EXCEEDED,
    httpx.WriteTimeout: OffloadCause.DEADLINE_EXCEEDED,
    httpx.PoolTimeout: OffloadCause.QUEUE_FULL,  # every connection was busy
    httpx.TimeoutException: OffloadCause.DEADLINE_EXCEEDED,
    TimeoutError: OffloadCause.DEADLINE_EXCEEDED,
    httpx.ReadError: OffloadCause.CONNECTION_LOST,
    httpx.WriteError: OffloadCause.CONNECTION_LOST,
    httpx.CloseError: OffloadCause.CONNECTION_LOST,
    httpx.NetworkError: OffloadCause.CONNECTION_LOST,
    httpx.RemoteProtocolError: OffloadCause.CONNECTION_LOST,
    httpx.LocalProtocolError: OffloadCause.CONNECTION_LOST,
    httpx.ProtocolError: OffloadCause.CONNECTION_LOST,
    httpx.TransportError: OffloadCause.CONNECTION_LOST,
    httpx.RequestError: OffloadCause.CONNECTION_LOST,
    httpx.HTTPError: OffloadCause.CONNECTION_LOST,
    httpx.DecodingError: OffloadCause.INVALID_REPLY,
    httpx.TooManyRedirects: OffloadCause.INVALID_REPLY,
    httpx.HTTPStatusError: OffloadCause.INVALID_REPLY,
    httpx.CookieConflict: OffloadCause.INVALID_REPLY,
    httpx.StreamError: OffloadCause.CONNECTION_LOST,
    httpx.StreamConsumed: OffloadCause.CONNECTION_LOST,
    httpx.StreamClosed: OffloadCause.CONNECTION_LOST,
    httpx.ResponseNotRead: OffloadCause.CONNECTION_LOST,
    httpx.RequestNotRead: OffloadCause.CONNECTION_LOST,
    Exception: OffloadCause.CONNECTION_LOST,
}

_OVERLOADED: Final = frozenset({429, 503, 504})


class CloudFailure(CloudUnavailable):
    """A CloudUnavailable that also says what it means for the circuit."""

    def __init__(self, cause: OffloadCause, message: str, outcome: Outcome = Outcome.FAILURE) -> None:
        super().__init__(cause, message)
        self.outcome = outcome


def failure_of_exception(error: Exception) -> CloudFailure:
    """Map what a transport raised; the message names the exception, whose own text may be empty."""
    if isinstance(error, CloudFailure):  # not a transport's: it knows its cause
        return error
    cause = next(CAUSES[kind] for kind in type(error).__mro__ if kind in CAUSES)
    # A request that never got a connection says nothing about the cloud.
    outcome = Outcome.ABANDONED if cause is OffloadCause.QUEUE_FULL else Outcome.FAILURE
    return CloudFailure(cause, f"{cause}: {type(error).__name__}: {error}".rstrip(": "), outcome)


def failure_of_status(status: int, text: str, body: bytes | None = None) -> CloudFailure:
    """Map an answer that is not 200; `text` is what people are told of its `body`.

    Any 4xx shows that the worker lives, also 429: it refuses quickly when it is full, and to stop asking would hide
    the very load that makes it scale. 503 and 504 also come from gateways with nothing behind them.
    """
    if says_asleep(status, body):
        return CloudFailure(OffloadCause.CLOUD_ASLEEP, "the cloud worker is scaled to zero, and wakes", Outcome.ASLEEP)
    outcome = Outcome.SUCCESS if 400 <= status < 500 else Outcome.FAILURE
    return CloudFailure(_cause_of_status(status), f"the cloud answered {status}: {text}".rstrip(": "), outcome)


def _cause_of_status(status: int) -> OffloadCause:
    if status in _OVERLOADED:
        return OffloadCause.OVERLOADED
    if 400 <= status < 500:
        return OffloadCause.REJECTED
    if status >= 500:
        return OffloadCause.SERVER_ERROR
    return OffloadCause.INVALID_REPLY
