"""This host's own address, as other hosts of its network see it."""

from __future__ import annotations

import contextlib
import socket

_SOMEWHERE_ELSE = ("8.8.8.8", 80)  # only a route is looked up: connecting a UDP socket sends nothing


def get_host_ip() -> str:
    """Return the address of the interface with the default route; 127.0.0.1 where there is none."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(_SOMEWHERE_ELSE)
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
