"""Kubernetes quantities as the numbers that autoscalers reckon with, and back."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?", re.ASCII)
_EXPONENTS: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)}


def quantity_value(quantity: float | str) -> float:
    """Return a Kubernetes quantity as a number, NaN where it is none."""
    return float(_exact(quantity))


def milli(quantity: float | str) -> int:
    """Return thousandths, a fraction of one rounded up: `250m` is 250, 1.5 is 1500, `1Gi` is 1073741824000.

    Raises ValueError where it is no quantity.
    """
    return int((_exact(quantity) * 1000).to_integral_value(ROUND_UP))


def ratio(quantity: float | str) -> float:
    """Return a quantity that is a share, such as a tolerance: `0.05` and `50m` are the same number.

    It is rounded as Kubernetes does it, which writes 0.05 as 50m and reckons with 50 * 0.001. NaN where it is no quantity.
    """
    value = _exact(quantity)
    for exponent in (0, -3, -6):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return int(scaled) * 10.0**exponent
    return float(value)


def quantity_text(value: float) -> str:
    """Return a number from 0 on as Kubernetes writes it, 1500m or 2: in thousandths, as autoscalers keep no smaller part.

    The nearest one: an autoscaler makes six pods of 5001m where five do. But what is above 0 stays above it.
    """
    thousandths = max(round(value * 1000), 1 if value > 0 else 0)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _exact(quantity: float | str) -> Decimal:
    match = _QUANTITY.fullmatch(str(quantity))  # of a float its shortest text: 0.1 means 0.1
    if match is None:
        return Decimal("NaN")
    digits, suffix = match[1], match[2] or ""
    if suffix in _BINARY:
        return Decimal(digits) * _BINARY[suffix]
    exponent = _EXPONENTS.get(suffix)
    return Decimal(f"{digits}{suffix}") if exponent is None else Decimal(digits).scaleb(exponent)
