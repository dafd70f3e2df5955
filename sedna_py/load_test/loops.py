"""When the next request goes out: after an answer (closed loop), or at its time (open loop)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sedna_py.load_test.connection import Connection
from sedna_py.load_test.tally import Tally
from sedna_py.load_test.traffic import Dial, Limits, Traffic
from sedna_py.load_test.wake_up import WakeUp

# After a failure, before the next try: a server that is gone would else be asked as often as the processor allows.
RETRY_S: Final = 0.1


class ClosedLoop(Traffic):
    """Keeps one request under way on each of `max_connections` connections.

    A server that stops is asked nothing meanwhile, so that the latencies leave out what others would have waited: they are
    the service times under this many users, not what comes of a rate.
    """

    def start(self) -> None:
        """Begin to send."""
        super().start()
        for _ in range(self._limits.max_connections):
            self._add()

    def free(self, connection: Connection, now: float) -> None:
        """Send the next request."""
        self.send(connection, now, now)

    def lost(self, connection: Connection) -> None:
        """Replace the connection."""
        if connection.broken:
            self._loop.call_later(RETRY_S, self._add)
        else:
            self._add()

    def _add(self) -> None:
        if not self.stopped:
            now = self._clock()
            self.send(self.open(), now, now)


class OpenLoop(Traffic):
    """Sends each request when it is due, whatever became of the others; `due` are seconds of the clock, ascending.

    A request for which no connection is free, and none may be opened, is counted as not sent. Latencies begin when the request
    was due: if this process is late itself, that is in them, and in `tally.lateness`.
    """

    def __init__(
        self,
        requests: Sequence[bytes],
        dial: Dial,
        limits: Limits,
        tally: Tally,
        clock: Callable[[], float],
        due: Iterator[float],
    ) -> None:
        super().__init__(requests, dial, limits, tally, clock)
        self._due = due
        self._next = next(due)
        self._idle: list[Connection] = []  # last in, first out: the others grow old and are closed by the server
        self._wake_up = WakeUp(self.send_due)

    def start(self) -> None:
        """Begin to send."""
        super().start()
        self.send_due()

    def stop(self) -> None:
        """Send nothing more."""
        super().stop()
        self._wake_up.close()

    def free(self, connection: Connection, now: float) -> None:
        """Keep the connection for the next request."""
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Use it no more."""
        if connection in self._idle:
            self._idle.remove(connection)

    def send_due(self) -> None:
        """Send every request that is due by now, and come back for the next."""
        now = self._clock()
        while self._next <= now:
            if self._next >= self.tally.ends:
                return
            self._send_one(self._next)
            self._next = next(self._due)
        self._wake_up.after(self._next - now)

    def _send_one(self, due: float) -> None:
        now = self._clock()  # each time: those before it may have taken a while
        counts = self.tally.counts(due)
        if self._idle:
            connection = self._idle.pop()
        elif len(self._connections) < self._limits.max_connections:
            connection = self.open()
        else:
            self.tally.not_sent += counts
            return
        if counts:
            self.tally.lateness.add(now - due)
        self.send(connection, due, now)
