"""Ports of this machine."""

from __future__ import annotations

import socket

from sedna_py.errors import SettingsError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Raise SettingsError where this port cannot be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} cannot be used: {(error.strerror or str(error)).lower()}; "
                "give another one with --port, or --port 0 for any that is free"
            ) from None
