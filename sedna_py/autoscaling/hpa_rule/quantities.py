"""Kubernetes' quantities as the numbers that autoscalers reckon with."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", 1)},
}


def milli(quantity: float | str) -> int:
    """Return thousandths, a fraction of one rounded up: `250m` is 250, 1.5 is 1500, `1Gi` is 1073741824000."""
    return int((_value(quantity) * 1000).to_integral_value(ROUND_UP))


def ratio(quantity: float | str) -> float:
    """Return a quantity that is a share, such as a tolerance: `0.05` and `50m` are the same number.

    It is rounded as Kubernetes does it, which writes 0.05 as 50m and reckons with 50 * 0.001.
    """
    value = _value(quantity)
    for exponent in (0, -3, -6):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return int(scaled) * 10.0**exponent
    return float(value)


def _value(quantity: float | str) -> Decimal:
    text = quantity if isinstance(quantity, str) else repr(quantity)  # repr: 0.1 means 0.1
    for size in (2, 1):
        factor = _SUFFIXES.get(text[-size:])
        if factor is not None:
            return Decimal(text[:-size]) * factor
    return Decimal(text)
