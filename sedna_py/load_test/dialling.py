"""How the load test reaches its server: one address of it, chosen once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from sedna_py.errors import SettingsError
from sedna_py.load_test.requests import Address
from sedna_py.load_test.traffic import Dial

_PROBE_S: Final = 2.0


async def make_dial(address: Address) -> Dial:
    """Return what connects to the first of the host's addresses that answers now, else to the first of them.

    A name is looked up once, so that no look-up is measured. Raises SettingsError for an unknown host.
    """
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context() if address.tls else None
    name = address.host if address.tls else None
    chosen = await _choose(address)

    def dial(protocol: Callable[[], asyncio.Protocol]) -> Any:
        return loop.create_connection(protocol, chosen, address.port, ssl=tls, server_hostname=name)

    return dial


async def _choose(address: Address) -> str:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"the host {address.host!r} is not known ({reason}); write http://host:port") from error
    hosts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if len(hosts) == 1:
        return hosts[0]
    for host in hosts:  # localhost may have two addresses, of which servers often use one
        try:
            async with asyncio.timeout(_PROBE_S):
                transport, _ = await loop.create_connection(asyncio.Protocol, host, address.port)
        except OSError:  # a time-out is one
            continue
        transport.abort()
        return host
    return hosts[0]
