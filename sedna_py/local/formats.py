"""Figures as people read them, the same in the terminal and on the page: a no-break space between number and unit."""

from __future__ import annotations

import math
from collections.abc import Mapping

ABSENT = "–"
SPACE = "\u00a0"


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with its thousands apart."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:,.{digits}f}".replace(",", SPACE)


def percent(share: float | None, digits: int = 0) -> str:
    """Return 0..1 as a percentage that never says 0 or 100 when it is not exactly that."""
    if share is None or not math.isfinite(share):
        return ABSENT
    if 0 < share < 1 and f"{share * 100:.{digits}f}" in {f"{0:.{digits}f}", f"{100:.{digits}f}"}:
        digits = max(digits, 1)
        step = 10.0**-digits
        return f"{min(max(share * 100, step), 100 - step):.{digits}f}{SPACE}%"
    return f"{share * 100:.{digits}f}{SPACE}%"


def milliseconds(value: float | None) -> str:
    """Return a latency: one decimal below 10 ms, none above."""
    return _with_unit(value, "ms", 1 if value is not None and value < 10 else 0)


def kilobytes(size: float | None) -> str:
    """Return bytes as kB (1000 bytes): one decimal below 100 kB, none above."""
    return _with_unit(None if size is None else size / 1000, "kB", 1 if size is not None and 0 < size < 100_000 else 0)


def printable(value: str) -> str:
    """Return a text of unknown origin without what steers a terminal, turns a line around or cannot be encoded."""
    spaced = value.replace("\n", " ").replace("\t", " ")
    return "".join(c if c.isprintable() or c == SPACE else "\ufffd" for c in spaced)


def causes(fallbacks: Mapping[str, int]) -> str:
    """Return `deadline exceeded 4, queue full 2`, or `none`."""
    return ", ".join(f"{cause.replace('_', ' ')}{SPACE}{count}" for cause, count in fallbacks.items()) or "none"


def _with_unit(value: float | None, unit: str, digits: int) -> str:
    text = number(value, digits)
    return text if text == ABSENT else f"{text}{SPACE}{unit}"
