"""Figures of several rounds, and how they are printed: pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MB = 1e6


def over(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios round by round."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median, lowest and highest."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f} .. {max(values):.{digits}f}]"


def row(
    what: str, values: Sequence[float], *, least: float | None = None, most: float | None = None, about: str = ""
) -> str:
    """Return a line with a figure of every round and what is wanted of its median; `about` stands at the end."""
    middle = statistics.median(values)
    met = (least is None or middle >= least) and (most is None or middle <= most)
    wanted = f">= {least:g}" if least is not None else f"<= {most:g}"
    return f"  {what}: {spread(values)}  (wanted: {wanted}{'' if met else '; MISSED'})" + (
        f"   {about}" if about else ""
    )
