"""The addresses behind a headless Service, from DNS, or those in a file, without ever holding up the event loop.

The system's resolver blocks, for 5 s and more where no DNS server answers (KubeEdge without EdgeMesh): it runs in a daemon
thread, one at a time, and nobody waits for it longer than a limit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from sedna_py.errors import SettingsError

DEFAULT_PORT: Final = 5000
_FILE: Final = "file:"
MOST_ADDRESSES: Final = 64
# What getaddrinfo says if the name has no address now; anything else means that nobody could be asked.
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

Resolve = Callable[[str, int], Collection[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return `address:port` for every IPv4 and IPv6 address of a name; none for a name that DNS does not have.

    Blocks. Raises OSError where nobody answers.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            return []
        raise
    # A link-local IPv6 address means nothing without its interface.
    return list(dict.fromkeys(authority(str(at[0]), port) for *_, at in found if "%" not in str(at[0])))


def read_addresses(path: str, _: int) -> list[str]:
    """Return the lines of a file: host:port each, as `sedna run` writes them. Raises OSError."""
    return Path(path).read_text(encoding="utf-8").split()


def authority(host: str, port: int) -> str:
    """Return host and port as they stand in a URL."""
    try:
        literal = ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    return f"[{literal}]:{port}" if isinstance(literal, IPv6Address) else f"{literal}:{port}"


@dataclass(frozen=True, slots=True)
class PodSource:
    """The headless Service, or the file, whose addresses are the pods', and what looks them up."""

    host: str
    port: int = DEFAULT_PORT
    resolve: Resolve = resolve

    @classmethod
    def parse(cls, text: str, setting: str = "BIG_MODEL_PODS") -> PodSource:
        """Read `host`, `host:port` or `file:/path`. Raises SettingsError that names the `setting`."""
        if text.startswith(_FILE):
            return cls(text.removeprefix(_FILE), 0, read_addresses)
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = text, str(DEFAULT_PORT)
        if not _is_name(host) or not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
            raise SettingsError(f"{setting} is {text!r}; write the name of a headless Service as host:port")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else f"{_FILE}{self.host}"


class PodLookup:
    """Looks the pods up: one lookup at a time, however long the resolver takes."""

    def __init__(self, source: PodSource, timeout_s: float, chance: random.Random) -> None:
        self._source = source
        self._timeout_s = timeout_s
        self._chance = chance
        self._asked: asyncio.Future[Collection[str]] | None = None

    async def look_up(self, known: Collection[str]) -> list[str]:
        """Return the addresses, at most MOST_ADDRESSES; of too many the `known` ones, then any.

        Raises OSError where the resolver fails, TimeoutError (an OSError) while it has no answer.
        """
        if self._asked is None:
            self._asked = _in_daemon_thread(self._source)
        # Not wait_for, which would cancel the future: its thread goes on, and its answer serves the next call.
        done, _ = await asyncio.wait({self._asked}, timeout=self._timeout_s)
        if not done:
            raise TimeoutError(f"DNS has no answer for {self._source.host} after {self._timeout_s:g} s")
        asked, self._asked = self._asked, None
        return bounded(asked.result(), known, self._chance)

    def close(self) -> None:
        """Let go of a lookup that is under way; its thread ends with the resolver's answer."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None


def bounded(found: Collection[str], known: Collection[str], chance: random.Random) -> list[str]:
    """Return `found`; of more than MOST_ADDRESSES the known ones and a random choice, a different one at each edge."""
    if len(found) <= MOST_ADDRESSES:
        return list(found)
    kept = [address for address in found if address in known][:MOST_ADDRESSES]
    others = [address for address in found if address not in known]
    return kept + chance.sample(others, min(MOST_ADDRESSES - len(kept), len(others)))


def _is_name(host: str) -> bool:
    return 0 < len(host) <= 253 and all(part.isalnum() for part in host.replace("-", "").replace("_", "").split("."))


def _in_daemon_thread(source: PodSource) -> asyncio.Future[Collection[str]]:
    # Not the loop's executor: the interpreter waits for its threads, so a dead DNS would hold up the end of a script.
    promise: concurrent.futures.Future[Collection[str]] = concurrent.futures.Future()
    promise.set_running_or_notify_cancel()

    def work() -> None:
        try:
            found = source.resolve(source.host, source.port)
        except OSError as error:
            promise.set_exception(error)
        except Exception as error:  # noqa: BLE001 - such as UnicodeError for a name that cannot be one
            promise.set_exception(OSError(f"{type(error).__name__}: {error}"))
        else:
            promise.set_result(found)

    try:
        threading.Thread(target=work, name="pod-lookup", daemon=True).start()
    except RuntimeError as error:  # no more threads
        raise OSError(str(error)) from error
    return asyncio.wrap_future(promise)
