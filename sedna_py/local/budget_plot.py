"""The plot of what a budget buys: in the report, and as a picture of its own for a page."""

from __future__ import annotations

from collections.abc import Sequence

from sedna_py.local import formats
from sedna_py.local.budget_curve import Curve, Point
from sedna_py.local.markup import LegendEntry, legend, text
from sedna_py.local.plot import HEIGHT, NARROW, WIDE, Plot, thin
from sedna_py.local.report_style import LIGHT
from sedna_py.local.svg_chart import Axis, Canvas, axis, svg

COLOURS = ("joint", "fallback", "edge", "cloud")  # of the filters, in their order
_MOST = 400  # points of one line
_TALL = 340
_LINE = 20
_PER_CENT = tuple(float(tick) for tick in range(0, 101, 20))


def curve_plot(title: str, curves: Sequence[Curve], chance: Sequence[Point], caption: str = "") -> Plot:
    """Return the figure for the report; `chance` is what Random gives."""
    canvas = _canvas(curves, chance, WIDE, HEIGHT + 60)
    entries = [LegendEntry(mark, css, label) for mark, css, label in _legend(curves)]
    return Plot(title, legend(entries), canvas.render(_parts(canvas, curves, chance), title), caption)


def curve_picture(panels: Sequence[tuple[str, Sequence[Curve], Sequence[Point]]]) -> str:
    """Return one SVG file with a panel beside the other: its title, its curves, its chance."""
    drawn, width = [], NARROW * len(panels)
    lines = max(len(_legend(curves)) for _, curves, _ in panels)
    for number, (title, curves, chance) in enumerate(panels):
        canvas = _canvas(curves, chance, NARROW, _TALL)
        inside = [canvas.grid(), *_parts(canvas, curves, chance)]
        drawn.append(
            f'<g transform="translate({NARROW * number} 30)">{"".join(inside)}{_drawn_legend(curves)}</g>'
            f'<text class="title" x="{NARROW * number + 14}" y="22">{text(title)}</text>'
        )
    height = 30 + _TALL + lines * _LINE + 8
    page = f'<rect class="page" width="{width}" height="{height}"/>'
    whole = svg(
        width,
        height,
        [f"<style>{_style()}</style>", page, *drawn],
        "share of the frames sent against agreement with cloud only",
    )
    return (
        whole.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" ', 1) + "\n"
    )


def _style() -> str:
    rules = [
        f'text {{ font: 12px system-ui, "Liberation Sans", Arial, sans-serif; fill: {LIGHT["soft"]}; }}',
        f".title {{ font-size: 15px; fill: {LIGHT['ink']}; }} .page {{ fill: {LIGHT['page']}; }}",
        f".grid {{ stroke: {LIGHT['grid']}; }} .axis {{ stroke: {LIGHT['muted']}; }}",
        ".line { fill: none; stroke-width: 2; stroke-linejoin: round; } .dashed { stroke-dasharray: 6 4; }",
    ]
    rules += [
        f".line.{css} {{ stroke: {LIGHT[css]}; }} .mark.{css} {{ fill: {LIGHT[css]}; }}" for css in (*COLOURS, "muted")
    ]
    return " ".join(rules)


def _canvas(curves: Sequence[Curve], chance: Sequence[Point], width: int, height: int) -> Canvas:
    points = [*chance, *(p for curve in curves for p in (*curve.thresholds, *curve.budgets))]
    low = min((point.agreement for point in points), default=0.0) * 100
    return Canvas(
        Axis(0, 100, _PER_CENT, "% of the bytes of cloud only"),
        axis([low, 100.0], "% agree", least=None),
        width,
        height,
    )


def _parts(canvas: Canvas, curves: Sequence[Curve], chance: Sequence[Point]) -> list[str]:
    parts = [canvas.line([_place(point) for point in chance], "muted")]
    for css, curve in zip(COLOURS, curves, strict=False):
        parts.append(canvas.line([_place(point) for point in thin(curve.thresholds, _MOST)], f"{css} dashed"))
        parts.append(canvas.line([_place(point) for point in curve.budgets], css))
        titles = [_about(curve.name, point) for point in curve.budgets]
        parts.append(canvas.markers([_place(point) for point in curve.budgets], css, "circle", titles))
    return parts


def _place(point: Point) -> tuple[float, float]:
    return point.bytes * 100, point.agreement * 100


def _about(name: str, point: Point) -> str:
    return (
        f"{name}, budget {formats.percent(point.setting)}: {formats.percent(point.sent, 1)} of the frames sent, "
        f"{formats.percent(point.agreement, 1)} agree with cloud only"
    )


def _legend(curves: Sequence[Curve]) -> list[tuple[str, str, str]]:
    entries = [("line", "muted", "Random, on the average")]
    for css, curve in zip(COLOURS, curves, strict=False):
        entries.append(("line", css, f"{curve.name}, a budget, from 5 to 80 %"))
        entries.append(("dashes", css, f"{curve.name}, a fixed threshold, chosen afterwards"))
    return entries


def _drawn_legend(curves: Sequence[Curve]) -> str:
    rows = []
    for number, (mark, css, label) in enumerate(_legend(curves)):
        y = _TALL + number * _LINE + 8
        dashed = " dashed" if mark == "dashes" else ""
        rows.append(f'<path class="line {css}{dashed}" d="M60 {y}h28"/><text x="96" y="{y + 4}">{text(label)}</text>')
    return "".join(rows)
