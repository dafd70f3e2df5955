"""An HTTP/1.1 reply, read as it comes: no IO, no more kept of it than a report needs."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_CHUNK_LINE_BYTES: Final = 4096
MAX_KEPT_BYTES: Final = 16 * 1024  # of the body of a failure, which may say its cause

_BEGIN: Final = b"HTTP/1."
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?![0-9])")
# One search over the whole head costs less than a split into lines.
_FIELDS: Final = re.compile(rb"\r\n(content-length|transfer-encoding|connection)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_HEX: Final = re.compile(rb"[0-9a-fA-F]{1,15}")
_HEAD, _LENGTH, _CHUNKED, _TRAILERS, _UNTIL_CLOSE = range(5)


class ReplyProblem(StrEnum):
    """Why a reply is of no use."""

    INVALID = "invalid_reply"
    TOO_LARGE = "reply_too_large"


class BadReply(Exception):
    """What came is no usable reply; nothing that follows on this connection is."""

    def __init__(self, problem: ReplyProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class ReplyReader:
    """Reads one reply after another; `status`, `keep`, `size` and `body` are those of the one that `feed` completed.

    `size` counts all its bytes. `body` is empty for a status of 200 to 299, else the first MAX_KEPT_BYTES of it.
    """

    __slots__ = ("_left", "_max_body", "_rest", "_seen", "_state", "body", "keep", "size", "status")

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self.begin()

    def begin(self) -> None:
        """Expect a new reply."""
        self._state = _HEAD
        self._rest = b""  # what is not understood yet
        self._left = 0  # bytes to come of the body, or of the chunk
        self._seen = 0  # bytes of all chunks
        self.status = 0
        self.keep = False  # whether the connection may be used again
        self.size = 0
        self.body = b""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True when the reply is complete. Raises BadReply."""
        self.size += len(data)
        if self._state == _HEAD:
            return self._feed_head(data)
        if self._state == _LENGTH:
            return self._feed_body(data)
        if self._state == _UNTIL_CLOSE:
            self._grow(len(data))
            self._remember(data)
            return False
        return self._feed_chunks(data)

    def at_end(self) -> bool:
        """Tell whether the reply is complete now that the server has closed the connection."""
        return self._state == _UNTIL_CLOSE

    def _feed_head(self, data: bytes) -> bool:
        if self._rest:
            data = self._rest + data
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES or not (data.startswith(_BEGIN) or _BEGIN.startswith(data)):
                    raise BadReply(ReplyProblem.INVALID)
                self._rest = data
                return False
            start = _STATUS.match(data)
            if start is None or start[2] == b"101":  # another protocol, which nobody asked for
                raise BadReply(ReplyProblem.INVALID)
            self.status = int(start[2])
            body = data[end + 4 :]
            if self.status >= 200:
                break
            data = body  # only "continue" or the like: the reply is to come
        self._rest = b""
        self._read_fields(data[:end], minor=start[1])
        if self._state == _LENGTH:
            return self._feed_body(body)
        if self._state == _CHUNKED:
            return self._feed_chunks(body)
        self._grow(len(body))
        self._remember(body)
        return False

    def _read_fields(self, head: bytes, minor: bytes) -> None:
        length, coding, connection = b"", b"", b""
        for name, value in _FIELDS.findall(head):
            kind = len(name)  # the three names differ in it
            if kind == 14:
                if length and value.strip() != length:
                    raise BadReply(ReplyProblem.INVALID)
                length = value.strip()
            elif kind == 10:
                connection += value.lower()
            else:
                coding += value.lower()
        self.keep = b"close" not in connection and (minor == b"1" or b"keep-alive" in connection)
        if self.status in (204, 304):
            self._state, self._left = _LENGTH, 0
        elif b"chunked" in coding:
            self._state = _CHUNKED
        elif coding or not length:
            self._state, self.keep = _UNTIL_CLOSE, False
        elif not length.isdigit() or len(length) > 18:
            raise BadReply(ReplyProblem.INVALID)
        else:
            self._state, self._left = _LENGTH, int(length)
            if self._left > self._max_body:
                raise BadReply(ReplyProblem.TOO_LARGE)

    def _feed_body(self, data: bytes) -> bool:
        if len(data) > self._left:  # a second reply, to no question
            self.keep = False
            data = data[: self._left]
        self._left -= len(data)
        self._remember(data)
        return self._left == 0

    def _feed_chunks(self, data: bytes) -> bool:
        data, self._rest, at = self._rest + data, b"", 0
        while True:
            if self._left:
                chunk = data[at : at + self._left]
                at += len(chunk)
                self._left -= len(chunk)
                self._remember(chunk)
                if self._left:
                    return False
            end = data.find(b"\n", at)
            if end < 0:
                if len(data) - at > MAX_CHUNK_LINE_BYTES:
                    raise BadReply(ReplyProblem.INVALID)
                self._rest = data[at:]
                return False
            line, at = data[at:end].strip(), end + 1
            if self._state == _TRAILERS:
                if not line:
                    self.keep = self.keep and at == len(data)
                    return True
            elif line:  # an empty one ends the chunk before
                self._begin_chunk(line.partition(b";")[0].strip())

    def _begin_chunk(self, size: bytes) -> None:
        if not _HEX.fullmatch(size):
            raise BadReply(ReplyProblem.INVALID)
        self._left = int(size, 16)
        if self._left == 0:
            self._state = _TRAILERS
        self._grow(self._left)

    def _grow(self, count: int) -> None:
        self._seen += count
        if self._seen > self._max_body:
            raise BadReply(ReplyProblem.TOO_LARGE)

    def _remember(self, data: bytes) -> None:
        if self.status >= 300 and len(self.body) < MAX_KEPT_BYTES:
            self.body += data[: MAX_KEPT_BYTES - len(self.body)]
