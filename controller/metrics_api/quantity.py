"""Kubernetes' quantities, as far as metrics need them."""

from __future__ import annotations

import math
import re
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?")
_FACTORS: Final = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0} | {
    suffix: base**power
    for base, suffixes in ((1000.0, "kMGTPE"), (1024.0, ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
    for power, suffix in enumerate(suffixes, start=1)
}
_NOISE: Final = 6
"""Digits behind the thousandth that count: 0.3 computed as 0.30000000000000004 is 300m and not 301m."""


def to_quantity(value: float) -> str:
    """Return a value from 0 on in whole thousandths, rounded up, as Kubernetes writes it: 1500m, 2.

    Up, as autoscalers do: a little work is not none.
    """
    thousandths = math.ceil(round(value * 1000, _NOISE))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def from_quantity(text: str) -> float:
    """Return the value of a quantity. Raises ValueError for what is none, or is too large for a number."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is no quantity; write a number such as 1, 0.7 or 700m")
    number, suffix, exponent = found.groups()
    value = float(number) * (10.0 ** int(exponent) if exponent else _FACTORS[suffix or ""])
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is too large")
    return value
