"""The report's tiles: the four figures that matter most, one bar a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sedna_py.local import formats
from sedna_py.local.comparison import Column, Comparison, Mode
from sedna_py.local.figures import ratio
from sedna_py.local.markup import text

COLOUR = {Mode.EDGE_ONLY: "edge", Mode.JOINT: "joint", Mode.CLOUD_ONLY: "cloud"}


class Tile(NamedTuple):
    """A title, the figure of one run (None: it has none), and how it is written."""

    title: str
    figure: Callable[[Column], float | None]
    show: Callable[[float | None], str]
    reference: str = ""  # written instead of the figure in the cloud-only run


def render_tiles(comparison: Comparison) -> str:
    """Return the row of tiles."""
    tiles = [
        Tile(
            "Frames agreeing",
            lambda c: _agreeing(c, comparison),
            lambda v: formats.percent(v, 1),
            "reference",
        ),
        Tile("Bytes sent", lambda c: float(c.summary.bytes_sent) if c.summary.frames else None, formats.kilobytes),
        Tile("Latency, p50", lambda c: c.summary.total_ms.p50 if c.summary.total_ms else None, formats.milliseconds),
        Tile("Frames per second", _speed, lambda v: formats.number(v, 1)),
    ]
    return f'<div class="tiles">{"".join(_render(tile, comparison) for tile in tiles)}</div>'


def _speed(column: Column) -> float | None:
    return column.summary.frames_per_second if column.full_speed is None else column.full_speed


def _agreeing(column: Column, comparison: Comparison) -> float | None:
    if column.agreement is not None:
        return column.agreement.share
    return 1.0 if _is_reference(column, comparison) else None


def _is_reference(column: Column, comparison: Comparison) -> bool:
    return column.mode is Mode.CLOUD_ONLY and bool(comparison.reference)


def _render(tile: Tile, comparison: Comparison) -> str:
    values = [tile.figure(column) for column in comparison.columns]
    most = max((value for value in values if value is not None), default=0.0)
    bars = []
    for column, value in zip(comparison.columns, values, strict=True):
        shown = tile.reference if tile.reference and _is_reference(column, comparison) else tile.show(value)
        width = 100 * (ratio(value or 0.0, most) or 0.0)
        bars.append(
            f'<span class="name">{column.mode}</span><span class="track {COLOUR[column.mode]}">'
            f'<i style="width:{width:.1f}%"></i></span><span class="value">{text(shown)}</span>'
        )
    return f'<div class="tile"><h3>{text(tile.title)}</h3><div class="bars">{"".join(bars)}</div></div>'
