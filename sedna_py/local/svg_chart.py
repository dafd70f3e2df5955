"""The few SVG pieces of the report's plots: axes, grid, lines, areas, markers. Colours come from CSS classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sedna_py.local.markup import text

Point = tuple[float, float]  # in the units of the axes; NaN interrupts a line

LEFT, RIGHT, TOP, BOTTOM = 60, 16, 26, 40  # room around the plot area, in the units of the viewBox


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values with its ticks; `label` names quantity and unit."""

    low: float
    high: float
    ticks: tuple[float, ...]
    label: str
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0..1, values outside on the edge."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))


def axis(values: Iterable[float], label: str, *, least: float | None = 0.0, whole: bool = False) -> Axis:
    """Return an axis that holds all values, from `least` (None: from the smallest) to a round number."""
    there = [value for value in values if math.isfinite(value)]
    low = min(there, default=0.0) if least is None else min([least, *there])
    high = max([*there, low])
    step = nice_step((high - low) / 5 or 0.2)
    step = max(1.0, step) if whole else step
    first, last = math.floor(low / step), max(math.ceil(high / step - 1e-9), math.floor(low / step) + 1)
    ticks = tuple(round(step * number, 10) for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks, label)


def close_axis(low: float, high: float, label: str) -> Axis:
    """Return an axis that ends exactly at `low` and `high`, with round ticks between: for frame numbers and seconds."""
    if high <= low:
        high = low + 1
    step = nice_step((high - low) / 8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(step * number, 10) for number in range(first, last + 1)), label)


def log_axis(values: Iterable[float], label: str) -> Axis:
    """Return a logarithmic axis over the positive values, with ticks at 1, 2 and 5."""
    there = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    steps = [m * 10.0**e for e in range(-3, 9) for m in (1, 2, 5)]
    low = max((s for s in steps if s <= min(there)), default=steps[0])
    high = min((s for s in steps if s >= max(there) and s > low), default=steps[-1])
    return Axis(low, high, tuple(s for s in steps if low <= s <= high), label, log=True)


def nice_step(rough: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class Canvas:
    """A plot area in a viewBox of `width` x `height`."""

    x: Axis
    y: Axis
    width: int
    height: int

    def at(self, point: Point) -> Point:
        """Return the point in the units of the viewBox."""
        bottom = self.height - BOTTOM
        return (
            LEFT + self.x.place(point[0]) * (self.width - LEFT - RIGHT),
            bottom - self.y.place(point[1]) * (bottom - TOP),
        )

    def grid(self) -> str:
        """Return grid lines, tick labels and the names of the axes; that of y stands above it, unturned."""
        parts = [self._y_tick(tick) for tick in self.y.ticks] + [self._x_tick(tick) for tick in self.x.ticks]
        parts.append(
            f'<text class="axis-name" x="{self.width - RIGHT}" y="{self.height - 6}" text-anchor="end">'
            f"{text(self.x.label)}</text>"
            f'<text class="axis-name" x="{LEFT - 8}" y="12" text-anchor="end">{text(self.y.label)}</text>'
        )
        return "".join(parts)

    def line(self, points: Sequence[Point], css: str) -> str:
        """Return a line; it is interrupted at NaN, and a point that stands alone becomes a dot."""
        parts = []
        for piece in _pieces(points):
            if len(piece) == 1:
                parts.append(self.markers(piece, f"{css} dot", "circle"))
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, piece))
                parts.append(f'<polyline class="line {css}" points="{path}"/>')
        return "".join(parts)

    def area(self, points: Sequence[Point], css: str) -> str:
        """Return the area between a line and the bottom of the plot."""
        parts = []
        for piece in _pieces(points):
            floor = (piece[-1][0], self.y.low), (piece[0][0], self.y.low)
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, [*piece, *floor]))
            parts.append(f'<polygon class="area {css}" points="{path}"/>')
        return "".join(parts)

    def markers(self, points: Sequence[Point], css: str, shape: str, titles: Sequence[str] = ()) -> str:
        """Return one marker a point (shape: circle, diamond or cross), each with its title as a tooltip."""
        draw = SHAPES[shape]
        texts = [f"<title>{text(title)}</title>" for title in titles] or [""] * len(points)
        drawn = [draw(*self.at(point), text) for point, text in zip(points, texts, strict=True)]
        return f'<g class="mark {css}">{"".join(drawn)}</g>' if drawn else ""

    def render(self, parts: Iterable[str], description: str) -> str:
        """Return the whole `<svg>`."""
        return svg(self.width, self.height, [self.grid(), *parts], description)

    def _y_tick(self, tick: float) -> str:
        _, y = self.at((self.x.low, tick))
        return (
            f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
        )

    def _x_tick(self, tick: float) -> str:
        x, _ = self.at((tick, self.y.low))
        bottom = self.height - BOTTOM
        return (
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick_text(tick)}</text>'
        )


def svg(width: int, height: int, parts: Iterable[str], description: str) -> str:
    """Return an inline `<svg>` that fills its container."""
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(description)}">'
    return f"{head}{''.join(parts)}</svg>"


def tick_text(value: float) -> str:
    """Return a tick's text: no exponent, no needless zeros, thousands apart."""
    return f"{value:,.6f}".rstrip("0").rstrip(".").replace(",", "\u00a0")


def _pieces(points: Sequence[Point]) -> list[list[Point]]:
    pieces: list[list[Point]] = [[]]
    for point in points:
        if all(map(math.isfinite, point)):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def circle(x: float, y: float, inside: str = "") -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3">{inside}</circle>'


def diamond(x: float, y: float, inside: str = "") -> str:
    return f'<path d="M{x:.1f} {y - 4.2:.1f}l4.2 4.2l-4.2 4.2l-4.2-4.2z">{inside}</path>'


def cross(x: float, y: float, inside: str = "") -> str:
    return f'<path class="stroke" d="M{x - 3.6:.1f} {y - 3.6:.1f}l7.2 7.2m-7.2 0l7.2-7.2">{inside}</path>'


SHAPES: dict[str, Callable[[float, float, str], str]] = {"circle": circle, "diamond": diamond, "cross": cross}
