"""Numbers in a decision's reason: short, and never rounded across the threshold that they are compared with."""

from __future__ import annotations


def number(value: float) -> str:
    """Write `value` with two decimals, or with up to six digits where two would change it."""
    short = f"{value:.2f}"
    return short if float(short) == value else f"{value:.6g}"


def compare(left: float, relation: str, right: float) -> str:
    """Write "0.41 < 0.50", with as many decimals as it takes to see that it is true."""
    shown = number(right)
    for digits in range(2, 8):
        text = f"{left:.{digits}f}"
        if _order(float(text), float(shown)) == _order(left, right):
            return f"{text} {relation} {shown}"
    return f"{left!r} {relation} {right!r}"


def _order(left: float, right: float) -> int:
    return (left > right) - (left < right)
