"""One question and one answer at a time over a connection that is kept: a whole HTTP client would cost ten times as much.

It speaks as much HTTP/1.1 as a worker's metrics page needs: a status line, a Content-Length or the connection's end, and no
more. Everything else is an answer that cannot be used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, cast

MOST_BYTES: Final = 256 * 1024
"""Of an answer with its head; a worker's page has 20 thousand."""

MOST_HEAD_BYTES: Final = 8 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,15}) *\r\n", re.IGNORECASE)
_OTHER_FRAMING: Final = re.compile(rb"\r\n(?:transfer-encoding|content-encoding):", re.IGNORECASE)
_CLOSES: Final = re.compile(rb"\r\nconnection: *close *\r\n", re.IGNORECASE)


class ScrapeFailure(StrEnum):
    """Why there is no page."""

    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMED_OUT = "timed_out"
    REFUSED = "refused"  # a status other than 200, redirects too
    NOT_FOUND = "not_found"  # 404
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"  # no such answer, or no such page


Answer = Callable[[bytes | ScrapeFailure], None]


class ScrapeConnection(asyncio.Protocol):
    """A connection to one worker; `gone` tells that the next question needs another one."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._received = bytearray()
        self._needed = 0  # bytes of the whole answer, 0 while its head is not there, -1: until the end
        self.gone = False
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, answer: Answer) -> None:
        """Send a request; `answer` is called once with what came of it, unless the connection is dropped before."""
        self._answer = answer
        self._received.clear()
        self._needed = 0
        if self._transport is not None:
            self._transport.write(request)

    def drop(self) -> None:
        """Forget the question and end the connection at once."""
        self.gone = True
        self._answer = None
        self._received.clear()
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer in."""
        if self._answer is None:  # nobody has asked
            self.drop()
            return
        self._received += data
        if self._needed == 0 and not self._read_head():
            return
        if self._needed > 0 and len(self._received) > self._needed:
            self._fail(ScrapeFailure.MALFORMED)
        elif len(self._received) > MOST_BYTES:
            self._fail(ScrapeFailure.TOO_LARGE)
        elif len(self._received) == self._needed:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """See whether that was the end of an answer."""
        self.gone = True
        if self._answer is None:
            return
        if self._needed == -1 and error is None:
            self._end()
        else:
            self._fail(ScrapeFailure.UNREACHABLE)

    def _read_head(self) -> bool:
        """Return whether the head is there and can be used."""
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            if len(self._received) > MOST_HEAD_BYTES:
                self._fail(ScrapeFailure.MALFORMED)
            return False
        head = bytes(self._received[: end + 2])
        status = _STATUS.match(head)
        if status is None or _OTHER_FRAMING.search(head):
            self._fail(ScrapeFailure.MALFORMED)
            return False
        if status[1] != b"200":
            self._fail(ScrapeFailure.NOT_FOUND if status[1] == b"404" else ScrapeFailure.REFUSED)
            return False
        length = _LENGTH.search(head)
        self._begin = end + len(_END_OF_HEAD)
        self._needed = self._begin + int(length[1]) if length else -1
        self._closes = length is None or _CLOSES.search(head) is not None
        if self._needed > MOST_BYTES:
            self._fail(ScrapeFailure.TOO_LARGE)
            return False
        return True

    def _end(self) -> None:
        answer, self._answer = self._answer, None
        body = bytes(self._received[self._begin :])
        self._received.clear()
        self.answered += 1
        if self._closes:
            self.drop()
        if answer is not None:
            answer(body)

    def _fail(self, failure: ScrapeFailure) -> None:
        answer = self._answer
        self.drop()
        if answer is not None:
            answer(failure)
