"""What a worker listens with: its socket, and its server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn

from sedna_py.errors import SettingsError

BACKLOG = 1024


class PortTaken(SettingsError):
    """Somebody else listens on that port."""


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal instead of with status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the worker."""
        yield

    async def stop_listening(self, listener: socket.socket) -> None:
        """Accept no more connections; those that are open go on. `should_exit` ends them, too.

        Whoever has connected by now is served: closing a socket resets those that wait in the kernel to be accepted.
        """
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        accepted = list(_accept_all(listener))
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # refuses from now on; asyncio still has to close it
        for connection in accepted:
            await loop.connect_accepted_socket(self._protocol, connection)
        # What asyncio has accepted itself becomes a connection a turn later, and is lost if its server is closed by then (3.11).
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _accept_all(listener: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):  # nobody waits any more
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """Return a listening TCP socket; port 0 takes a free one. Raises SettingsError that names the `setting` to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio switches Nagle off only for a socket that says it is TCP, and a reply that leaves in
    # two pieces would else wait 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)  # here and not later: with SO_REUSEADDR two may bind, but only one may listen
    except (OSError, UnicodeError) as error:  # the latter for a host that cannot be a name
        listener.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        advice = "end what uses that port, or write" if taken else "write another address, or"
        reason = getattr(error, "strerror", None) or error
        raise (PortTaken if taken else SettingsError)(
            f"cannot listen on {host or '*'}:{port}: {reason}; {advice} another port in {setting}"
        ) from None
    listener.setblocking(False)
    return listener
