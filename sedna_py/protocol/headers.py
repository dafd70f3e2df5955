"""Request headers that travel beside a frame, and the Server-Timing header that comes back.

The deadline is the time that is left, never a time of day, so that edge and cloud clocks need not agree.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sedna_py.errors import MalformedBody

FRAME_ID: Final = "X-Frame-Id"
DEADLINE_MS: Final = "X-Deadline-Ms"
REQUEST_ID: Final = "X-Request-Id"
TRACEPARENT: Final = "traceparent"
PRIORITY: Final = "Priority"
SERVER_TIMING: Final = "Server-Timing"
CAPTURED_AT: Final = "X-Captured-At"
MODEL_INPUT: Final = "X-Sedna-Input"  # of an answer: sedna_py.protocol.model_input

MAX_ID_CHARS: Final = 128
MAX_DEADLINE_MS: Final = 3_600_000
MAX_CLOCK_AHEAD_S: Final = 86_400  # another machine's clock may be wrong, but a later time is in another unit
_MAX_TIMINGS: Final = 32
_MAX_TIMING_CHARS: Final = 4096

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_MILLISECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
# W3C Trace Context, version 00: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# RFC 9218: a dictionary of which only the urgency counts here; 0 is most urgent, 3 is meant where nothing is said.
_URGENCY = re.compile(r"(?:^|[,\s])u=([0-7])(?:$|[,;\s])")
_LAST_URGENT: Final = 3
_TIMING = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*;\s*dur=([0-9]{1,12}(?:\.[0-9]{1,12})?)", re.ASCII)
_NOT_A_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """What the edge says about one frame; an empty text or None means that it was not said.

    `deadline_s` is the time left in seconds; 0 means that it has passed already. `urgent` is False for what may wait behind
    others: an urgency of 4 to 7 in RFC 9218's `Priority` header.
    """

    frame_id: str = ""
    request_id: str = ""
    deadline_s: float | None = None
    traceparent: str = ""
    urgent: bool = True

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> RequestHeaders:
        """Read the headers of a request, whatever the case of their names.

        Ids lose unprintable characters and are cut; a bad traceparent or priority is ignored, as their standards demand.
        Raises MalformedBody for a bad deadline.
        """
        return cls.parse_lowered({name.lower(): value for name, value in headers.items()})

    @classmethod
    def parse_lowered(cls, found: Mapping[str, str]) -> RequestHeaders:
        """Read headers whose names are in small letters already, as servers have them; else as `parse`."""
        if not _KNOWN & found.keys():
            return _NOTHING_SAID
        traceparent = found.get(TRACEPARENT, "").strip()
        return cls(
            frame_id=_printable(found.get(FRAME_ID.lower(), "")),
            request_id=_printable(found.get(REQUEST_ID.lower(), "")),
            deadline_s=_parse_deadline(found.get(DEADLINE_MS.lower())),
            traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else "",
            urgent=_is_urgent(found.get(PRIORITY.lower(), "")),
        )

    def render(self) -> dict[str, str]:
        """Return the headers to send; what is empty is left out."""
        rendered = {
            FRAME_ID: _printable(self.frame_id),
            REQUEST_ID: _printable(self.request_id),
            DEADLINE_MS: "" if self.deadline_s is None else _render_deadline(self.deadline_s),
            TRACEPARENT: self.traceparent if _TRACEPARENT.fullmatch(self.traceparent) else "",
            PRIORITY: "" if self.urgent else f"u={_LAST_URGENT + 1}",
        }
        return {name: value for name, value in rendered.items() if value}


_KNOWN: Final = frozenset(name.lower() for name in (FRAME_ID, REQUEST_ID, DEADLINE_MS, TRACEPARENT, PRIORITY))
_NOTHING_SAID: Final = RequestHeaders()


def new_request_id() -> str:
    """Return a fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def parse_captured_at(value: str | None, *, now: float) -> float:
    """Return when a picture was taken, in seconds since the epoch; 0 where nothing is said.

    Raises MalformedBody for what is not such a number, or is more than a day after `now`, as milliseconds are.
    """
    text = (value or "").strip()
    if not text:
        return 0.0
    if not _SECONDS.fullmatch(text) or float(text) > now + MAX_CLOCK_AHEAD_S:
        raise MalformedBody(f"{CAPTURED_AT} is {text[:40]!r}; write seconds since 1970, as in {now:.3f}")
    return float(text)


def render_server_timing(timings_ms: Mapping[str, float]) -> str:
    """Render stage durations in milliseconds, e.g. `decode;dur=1.2, infer;dur=8`."""
    return ", ".join(f"{_NOT_A_TOKEN.sub('_', name)};dur={_decimal(ms)}" for name, ms in timings_ms.items())


def parse_server_timing(header: str | None) -> dict[str, float]:
    """Return stage durations in milliseconds; entries without a duration, or badly written ones, are left out."""
    entries = (header or "")[:_MAX_TIMING_CHARS].split(",")[:_MAX_TIMINGS]
    matches = (_TIMING.fullmatch(entry.strip()) for entry in entries)
    return {match[1]: float(match[2]) for match in matches if match}


def _printable(text: str) -> str:
    if len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable():  # as nearly all of them
        return text.strip()
    return "".join(char for char in text[: 4 * MAX_ID_CHARS] if " " <= char <= "~").strip()[:MAX_ID_CHARS].rstrip()


def _is_urgent(value: str) -> bool:
    match = _URGENCY.search(value[:_MAX_TIMING_CHARS])
    return match is None or int(match[1]) <= _LAST_URGENT


def _parse_deadline(value: str | None) -> float | None:
    if value is None or not value.strip():
        return None
    text = value.strip()
    if not _MILLISECONDS.fullmatch(text) or float(text) > MAX_DEADLINE_MS:
        raise MalformedBody(
            f"{DEADLINE_MS} is {text[:40]!r}; write the milliseconds left, a number from 0 to {MAX_DEADLINE_MS}"
        )
    return float(text) / 1000


def _render_deadline(seconds: float) -> str:
    # Rounded down: the other side must not believe in more time than there is.
    return str(int(min(max(seconds * 1000, 0.0), MAX_DEADLINE_MS)))


def _decimal(milliseconds: float) -> str:
    return f"{max(milliseconds, 0.0):.3f}".rstrip("0").rstrip(".")
