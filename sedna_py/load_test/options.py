"""What a load test is told, and what of it is refused before the first request."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sedna_py.errors import SettingsError
from sedna_py.protocol.headers import MAX_DEADLINE_MS

MAX_CONNECTIONS: Final = 4096
MAX_RATE: Final = 100_000.0
MAX_SECONDS: Final = 86_400.0
MAX_PAYLOAD_BYTES: Final = 512 * 1024 * 1024  # of all requests, which are kept ready in memory
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t -~]*")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "inference-header-content-length"})


class Target(StrEnum):
    """Whose protocol is spoken."""

    SEDNA = "sedna"  # POST <url>/sedna/predict
    OIP = "oip"  # Open Inference Protocol v2: POST <url>/v2/models/<model>/infer, binary tensors


class Arrivals(StrEnum):
    """When the requests of an open loop are due."""

    POISSON = "poisson"  # independently of each other, as those of many cameras
    EVEN = "even"


class Priority(StrEnum):
    """Which requests go first where a server has to choose."""

    URGENT = "urgent"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """One load test. Without `rate` the loop is closed: each of `connections` sends when its last request is answered.

    With `rate` (requests/s) it is open: requests are due at their times whether the earlier ones are answered or not, over
    at most `max_connections`. What happens in the first `warmup_s` seconds is not counted.
    """

    url: str
    images: Sequence[bytes] = ()  # JPEG, sent in turn
    data: str | None = None  # a text instead, for text estimators
    target: Target = Target.SEDNA
    prefix: str = "sedna"
    model: str = ""  # of the target oip
    tensor: str = ""  # name of its input; if empty, our worker's: "image", of a text (which is JSON there) "data"
    connections: int = 8
    rate: float | None = None
    arrivals: Arrivals = Arrivals.POISSON
    max_connections: int = 256
    seconds: float = 10.0
    warmup_s: float = 2.0
    timeout_s: float = 30.0
    max_reply_bytes: int = 16 * 1024 * 1024
    headers: Sequence[tuple[str, str]] = ()
    deadline_ms: int | None = None
    priority: Priority | None = None
    pid: int | None = None  # of a server on this machine, whose processor time and memory are reported
    seed: int = 1


def check(options: LoadOptions) -> None:
    """Raise SettingsError for options that cannot be run; a bad URL or picture is found by who reads it."""
    if bool(options.images) == (options.data is not None):
        raise SettingsError(
            "there is nothing to send, or two kinds of it; write either --image FILE_OR_FOLDER (JPEG) or --data TEXT"
        )
    size = sum(map(len, options.images)) + len(options.data or "")
    if size > MAX_PAYLOAD_BYTES:
        raise SettingsError(f"the pictures have {size} bytes; give fewer, at most {MAX_PAYLOAD_BYTES} bytes in all")
    if options.target is Target.OIP and not options.model:
        raise SettingsError("the target oip needs the model's name in the server; write --model NAME")
    _between("--connections", options.connections, 1, MAX_CONNECTIONS)
    _between("--max-connections", options.max_connections, 1, MAX_CONNECTIONS)
    _between("--seconds", options.seconds, 0.01, MAX_SECONDS)
    _between("--warm-up", options.warmup_s, 0, MAX_SECONDS)
    _between("--timeout", options.timeout_s, 0.01, MAX_SECONDS)
    _between("max_reply_bytes", options.max_reply_bytes, 1, MAX_PAYLOAD_BYTES)
    if options.rate is not None:
        _between("--rate", options.rate, 0.001, MAX_RATE)
    if options.deadline_ms is not None:
        _between("--deadline-ms", options.deadline_ms, 0, MAX_DEADLINE_MS)
    for name, value in options.headers:
        _check_header(name, value)


def read_header(text: str) -> tuple[str, str]:
    """Return `Name: value` as a pair. Raises SettingsError."""
    name, colon, value = text.partition(":")
    if not colon:
        raise SettingsError(f"--header {text[:80]!r}: write 'Name: value'")
    name, value = name.strip(), value.strip()
    _check_header(name, value)
    return name, value


def _between(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise SettingsError(f"{name} is {value:g}; give a number from {least:g} to {most:g}")


def _check_header(name: str, value: str) -> None:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise SettingsError(f"--header {name[:80]!r}: write 'Name: value' in ASCII, on one line")
    if name.lower() in _FRAMING:
        raise SettingsError(f"--header {name!r} is set by the load test itself; leave it out")
