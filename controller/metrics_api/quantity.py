"""How values are written."""

from __future__ import annotations


def to_quantity(value: float) -> str:
    """Return a value from 0 on in whole thousandths, as Kubernetes writes it: 1500m, 2.

    The nearest one: an autoscaler makes six pods of 5001m where five do. But what is above 0 stays above it.
    """
    thousandths = max(round(value * 1000), 1 if value > 0 else 0)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
