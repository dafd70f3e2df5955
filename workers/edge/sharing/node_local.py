"""Sharing on one node: a directory for the lock and the places, a socket in it for the frames."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from typing import Final

import zmq

from sedna_py.errors import MalformedBody
from workers.edge.frames import SourceFrame
from workers.edge.sharing import wire
from workers.edge.sharing.directory import Notice, SharedDirectory
from workers.edge.sharing.exchange import POLL_S, Ended, HandedOut
from workers.edge.sharing.hub import Hub, inproc

LOG = logging.getLogger(__name__)
CREDIT: Final = 2  # one frame comes while the last one is being handed on
LAST_WORD_MS: Final = 200
REST_MS: Final = 50  # for what a dead capturer had sent to come out of the socket


class NodeLocal:
    """One replica's end of the directory and the socket; all of it for one thread, but the Hub that `try_lead` returns."""

    def __init__(self, directory: SharedDirectory) -> None:
        self.handed_out = HandedOut()
        self._directory = directory
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._at: Notice | None = None
        self._looked = 0.0
        self._said = 0.0
        self._credit = 0
        self._run = ""
        self._taken = 0  # of this run, as the next three
        self._finished = 0
        self._told = 0
        self._before = 0  # frames that were taken of other runs
        self._closed = False

    @property
    def away(self) -> bool:
        """A directory is always there."""
        return False

    def try_lead(self) -> Hub | Ended | None:
        """Become the capturer if there is none. Raises OSError where the directory cannot be used any more."""
        if not self._directory.try_lock():
            return None
        try:
            return self._lead()
        except BaseException:
            self._directory.unlock()
            raise

    def take(self, timeout_s: float) -> SourceFrame | Ended | None:
        """Return a frame, the end, or None when neither comes in time."""
        socket = self._connected()
        if socket is None:
            time.sleep(timeout_s)
            return None
        while self._credit < CREDIT:
            self._say(wire.TAKE)
            self._credit += 1
        if not socket.poll(int(timeout_s * 1000)):
            if self._told != self._finished and time.monotonic() - self._said > POLL_S:
                self._say(wire.HERE)
            return None
        kind, frame = self._read(socket)
        return Ended.ENDED if kind == wire.END else frame

    def finished(self, frames: int) -> None:
        """Tell how many of the frames that were taken have left this replica, all in all."""
        self._finished = max(frames - self._before, 0)

    def leave(self, timeout_s: float) -> list[SourceFrame]:
        """Take no more; return the frames that were on their way."""
        found: list[SourceFrame] = []
        socket = self._socket
        if socket is None:
            return found
        self._say(wire.LEAVE)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0 and socket.poll(int(left * 1000) + 1):
            kind, frame = self._read(socket)
            if frame is not None:
                found.append(frame)
            if kind in (wire.LEFT, wire.END):
                break
        return found

    def close(self) -> None:
        """Say goodbye and let go; once is enough."""
        if self._closed:
            return
        self._closed = True
        self._say(wire.BYE)
        self._context.destroy(linger=LAST_WORD_MS)
        self._directory.close()

    def _lead(self) -> Hub | Ended:
        places = self._directory.places()
        try:
            run, ended, known = places.read()
            if ended and run == self._run:
                places.close()
                self._directory.unlock()
                return Ended.ENDED
            if not run or ended or not (run == self._run or self._directory.others_in(run)):
                # Nobody is left of that run: it began before all of this service's replicas ended.
                run, known = secrets.token_hex(8), {}
                places.begin(run)
            self._directory.sweep()
            return Hub(self._context, self._directory, places, run, known, self.handed_out)
        except zmq.ZMQError as error:
            places.close()
            raise OSError(error.errno, f"no socket can be made there: {error}") from None
        except BaseException:
            places.close()
            raise

    def _connected(self) -> zmq.Socket[bytes] | None:
        """Return the socket to the capturer of the moment; None where there has been none yet."""
        now = time.monotonic()
        if self._socket is not None and now - self._looked < POLL_S:
            return self._socket
        self._looked = now
        notice = self._directory.notice()
        if notice is None or notice == self._at:
            return self._socket
        if self._socket is not None:
            if self._socket.poll(REST_MS):
                self._looked = 0.0
                return self._socket
            self._socket.close(linger=0)
        self._at, self._credit = notice, 0
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, self._directory.token.encode())
        own = self._directory.token in notice.socket
        socket.connect(inproc(notice.socket) if own else self._directory.address(notice.socket))
        return socket

    def _say(self, kind: bytes) -> None:
        if self._socket is None:
            return
        self._said, self._told = time.monotonic(), self._finished
        with contextlib.suppress(zmq.ZMQError):  # it is gone: another one will be found
            self._socket.send_multipart(wire.word(wire.Word(kind, self._run, self._taken, self._finished)), zmq.NOBLOCK)

    def _read(self, socket: zmq.Socket[bytes]) -> tuple[bytes, SourceFrame | None]:
        parts = socket.recv_multipart(copy=False)
        kind = parts[0].bytes
        if kind in (wire.WELCOME, wire.FRAME) and self._at is not None:
            self._take_part(self._at.run)
        if kind != wire.FRAME:
            return kind, None
        self._credit -= 1
        try:
            _, head, body = parts
            values = wire.read_header(head.bytes)
            picture = wire.pixels(body.buffer, str(values.get("picture")))
            frame = wire.frame_of(values, picture, float(values["captured"]))
        except (MalformedBody, KeyError, ValueError, TypeError) as error:
            LOG.error("a frame of another replica cannot be read and is lost: %s", error)
            return kind, None
        self._taken += 1
        return kind, frame

    def _take_part(self, run: str) -> None:
        """Note the run that frames come of: only what a living capturer has said counts, an old notice may lie about."""
        if run == self._run:
            return
        self._before += self._taken
        self._run, self._taken, self._finished = run, 0, 0
        self._directory.takes_part(run)
