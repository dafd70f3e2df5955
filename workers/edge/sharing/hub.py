"""The capturer's end of the node-local socket: frames to whoever asks, in fair turns.

ROUTER and DEALER rather than PUSH and PULL: a frame leaves the capturer's bounded queue only when a replica has asked for one, so
that the newest frames win however slow the others are, and nothing waits in pipes that would die with a replica.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Final

import numpy as np
import zmq

from workers.edge.frames import SourceFrame
from workers.edge.sharing import wire
from workers.edge.sharing.directory import Notice, PlaceFile, SharedDirectory
from workers.edge.sharing.exchange import POLL_S, HandedOut, Place, Queue
from workers.edge.sharing.turns import Taker, Turns

LOG = logging.getLogger(__name__)
MOST_CREDIT: Final = 4  # frames under way to one replica, whatever it asks for
LINGER_MS: Final = 1000  # for the last messages to replicas that are slow to read them
LOOK_S: Final = 1.0  # between two looks at who is still alive
BYES_S: Final = 5.0  # for the others to finish what they hold; who is not done by then is not counted
SMALL: Final = 4096  # bytes; takers say little


class Hub:
    """One turn as capturer, from `try_lock` until `release`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        directory: SharedDirectory,
        places: PlaceFile,
        run: str,
        known: Mapping[str, Place],
        handed_out: HandedOut,
    ) -> None:
        self.places: Mapping[str, Place] = known
        self._places = dict(known)
        self._directory = directory
        self._file = places
        self._run = run
        self._counts = handed_out
        self._turns = Turns()
        self._kept: SourceFrame | None = None
        self._looked = time.monotonic()
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a frame for nobody is an error here, and is given to another
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, SMALL)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        name = f"s-{directory.token}-{time.monotonic_ns()}"  # a new one each time: the old one goes when ZeroMQ likes
        self._socket.bind(directory.address(name))
        self._socket.bind(inproc(name))
        directory.announce(Notice(name, run))

    def serve(self, queue: Queue) -> None:
        """Hand frames out until there are no more."""
        self._file.know(self._run, {source: self._places.get(source, Place()) for source in queue.sources})
        while not (queue.finished and self._kept is None):
            asking = self._turns.next()
            self._hear(0 if asking else POLL_S)
            self._bury()
            taker = self._turns.next()
            if taker is None:
                continue
            queue.begin()
            frame = self._kept or queue.next(POLL_S)
            self._kept = None
            if frame is not None:
                self._give(taker, frame)

    def pass_over(self, source: str, place: Place) -> None:
        """Say that frames up to this one are not to be read again."""
        self._file.note(source, place)

    def release(self, ended: bool) -> None:
        """Tell the takers where that is the end of it, and let another replica be the capturer."""
        try:
            if ended:
                self._file.end(self._run)
                self._await_byes()
        finally:
            self._file.close()
            self._socket.close()
            self._directory.unlock()

    def _hear(self, timeout_s: float) -> None:
        if not self._socket.poll(int(timeout_s * 1000)):
            return
        with contextlib.suppress(zmq.Again):
            while True:
                who, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
                said = wire.read_word(parts)
                if said is not None:
                    self._heed(who, said)

    def _heed(self, who: bytes, said: wire.Word) -> None:
        token = who.decode(errors="replace")
        if said.kind == wire.BYE:
            if said.run == self._run and token in self._turns.takers:
                self._turns.takers[token].finished = said.finished
                self._lose(token)
            return
        new = token not in self._turns.takers
        taker = self._turns.asked(token)
        if said.run == self._run:
            taker.sent = said.taken if new else taker.sent  # what another capturer gave it
            taker.finished = max(taker.finished, said.finished)
        if new:
            self._say(taker, wire.WELCOME)
        if said.kind == wire.TAKE:
            taker.credit = min(taker.credit + 1, MOST_CREDIT)
        elif said.kind == wire.LEAVE:
            taker.credit = 0
            self._say(taker, wire.LEFT)

    def _give(self, taker: Taker, frame: SourceFrame) -> None:
        """Send a frame; it is kept for another one where this one has just gone."""
        before = self._places.get(frame.source, Place())
        place = Place.of(frame)
        self._file.note(frame.source, place)
        picture = np.ascontiguousarray(frame.picture)
        about = wire.header(frame, self._run, wire.shape_text(picture), captured=True)
        try:
            # Never waits: as many messages as a taker may have credit for fit into its pipe.
            self._socket.send_multipart(
                [taker.token.encode(), wire.FRAME, about, picture.reshape(-1).data], zmq.NOBLOCK, copy=False
            )
        except zmq.ZMQError:
            self._file.note(frame.source, before)
            self._kept = frame
            taker.credit = 0
            return
        self._places[frame.source] = place
        self._turns.gave(taker)
        if taker.token == self._directory.token:
            self._counts.itself += 1
        else:
            self._counts.others += 1

    def _say(self, taker: Taker, kind: bytes) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart([taker.token.encode(), kind], zmq.NOBLOCK)

    def _bury(self) -> None:
        """Count what replicas that have died took with them."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for token in list(self._turns.takers):
            if token != self._directory.token and not self._directory.is_alive(token):
                self._lose(token)

    def _lose(self, token: str) -> None:
        held = self._turns.forget(token)
        if held:
            self._counts.lost += held
            LOG.warning("another replica has died with %d frames", held)

    def _await_byes(self) -> None:
        """Tell every taker that it is over, and those that ask late; each says goodbye when its frames have left."""
        told: set[str] = set()
        deadline = time.monotonic() + BYES_S
        while time.monotonic() < deadline:
            for token, taker in self._turns.takers.items():
                if token not in told:
                    self._say(taker, wire.END)
                    told.add(token)
            if not any(token != self._directory.token for token in self._turns.takers):
                return
            self._hear(POLL_S)
            self._bury()


def inproc(name: str) -> str:
    """Return the address of the hub for its own process, where pictures are handed over without a copy."""
    return f"inproc://{name}"
