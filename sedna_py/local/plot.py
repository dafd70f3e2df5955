"""What every figure of the report has: title, legend, drawing, caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sedna_py.local.markup import text

WIDE, NARROW, HEIGHT = 1040, 512, 236

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of the page; `drawing` is an `<svg>` or, where there is nothing to draw, a sentence."""

    title: str
    legend: str
    drawing: str
    caption: str = ""


def empty_plot(title: str, why: str) -> Plot:
    """Return a figure that says why there is nothing to draw."""
    return Plot(title, "", f'<p class="empty">{text(why)}</p>')


def thin(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the items, evenly spaced, first and last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]
