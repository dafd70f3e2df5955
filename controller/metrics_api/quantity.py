"""How values are written."""

from __future__ import annotations

import math
from typing import Final

_NOISE: Final = 6
"""Digits behind the thousandth that count: 0.3 computed as 0.30000000000000004 is 300m and not 301m."""


def to_quantity(value: float) -> str:
    """Return a value from 0 on in whole thousandths, rounded up, as Kubernetes writes it: 1500m, 2.

    Up, as autoscalers do: a little work is not none.
    """
    thousandths = math.ceil(round(value * 1000, _NOISE))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
