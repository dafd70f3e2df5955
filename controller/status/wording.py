"""Texts of nodes and containers made fit for a status: one line, bounded, stable, without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sedna_py.settings import redact

MESSAGE_BYTES: Final = 1024  # what an Event takes; a condition would take more
LAST_WORDS_BYTES: Final = 200
DETAIL_BYTES: Final = 320

_LONGEST_INPUT: Final = 16384
_NAMED_SECRET: Final = re.compile(
    r"\b((?:aws_)?(?:secret_)?access_key(?:_id)?|password|passwd|secret|(?:access_|auth_)?token|api_?key|x-amz-\w+)"
    r"([\"']?\s*[=:]\s*)[\"']?[^\s\"'&,;]+",
    re.IGNORECASE,
)
_AUTHORIZATION: Final = re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]{8,}", re.IGNORECASE)
# What differs at every attempt would write the status again at every attempt.
_CLOCK: Final = re.compile(
    r"[\[(]?\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[\])]?:?\s*"
)
_HEX: Final = re.compile(r"\b(?:0x[0-9a-f]{6,}|[0-9a-f]{64})\b", re.IGNORECASE)
_DURATION: Final = re.compile(r"\bback-off (?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_RESTART_BANDS: Final = (3, 5, 10, 20, 50, 100, 200, 500, 1000)


def one_line(text: str, limit: int = DETAIL_BYTES) -> str:
    """Return the text on one line of at most `limit` bytes of UTF-8, without credentials and passing numbers."""
    if len(text) > _LONGEST_INPUT:
        # A cut through the user part of a URL would leave a password that is no longer seen as one.
        text = text[:_LONGEST_INPUT].rpartition(" ")[0]
    text = _CLOCK.sub("", redact(text))
    text = _AUTHORIZATION.sub(r"\1 ***", _NAMED_SECRET.sub(r"\1\2***", text))
    text = _DURATION.sub("back-off", _HEX.sub("...", text))
    plain = "".join(character if character.isprintable() else " " for character in text)
    return bounded(" ".join(plain.split()), limit)


def last_line(text: str) -> str:
    """Return the last line that says something, as `one_line` of at most LAST_WORDS_BYTES."""
    lines = [line for line in text[-_LONGEST_INPUT:].splitlines() if line.strip()]
    return one_line(lines[-1], LAST_WORDS_BYTES) if lines else ""


def bounded(text: str, limit: int = MESSAGE_BYTES) -> str:
    """Return the text, cut with three dots where it has more than `limit` bytes of UTF-8."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode(errors="ignore").rstrip() + "..."


def joined(parts: Iterable[str], separator: str = "; ", limit: int = MESSAGE_BYTES) -> str:
    """Return the parts that are not empty as one bounded text."""
    return bounded(separator.join(part for part in parts if part), limit)


def counted(count: int, noun: str) -> str:
    """Return `1 pod` or `2 pods`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def restarts(count: int) -> str:
    """Return how often a container was restarted, in bands: the text stays as it is from one restart to the next."""
    if count <= 0:
        return ""
    if count < _RESTART_BANDS[0]:
        return ", restarted once" if count == 1 else ", restarted twice"
    band = max(limit for limit in _RESTART_BANDS if limit <= count)
    return f", restarted {band} times or more"
