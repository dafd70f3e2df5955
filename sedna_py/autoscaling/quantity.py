"""Kubernetes quantities as numbers, and back."""

from __future__ import annotations

import re
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?", re.ASCII)
_EXPONENTS: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)}


def quantity_value(quantity: float | str) -> float:
    """Return a Kubernetes quantity as a number, NaN where it is none."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        return float("nan")
    digits, suffix = match[1], match[2] or ""
    if suffix in _BINARY:
        return float(digits) * _BINARY[suffix]
    exponent = _EXPONENTS.get(suffix)
    return float(f"{digits}{suffix}" if exponent is None else f"{digits}e{exponent}")


def quantity_text(value: float) -> str:
    """Return a number from 0 on as Kubernetes writes it, 1500m or 2: in thousandths, as autoscalers keep no smaller part.

    The nearest one: an autoscaler makes six pods of 5001m where five do. But what is above 0 stays above it.
    """
    thousandths = max(round(value * 1000), 1 if value > 0 else 0)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
