"""The report's plots over time: what the joint run did second by second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from sedna_py.decision_log import DecisionRecord
from sedna_py.local.markup import LegendEntry, legend
from sedna_py.local.plot import HEIGHT, NARROW, Plot, empty_plot
from sedna_py.local.svg_chart import Axis, Canvas, Point, axis, close_axis
from sedna_py.local.time_series import Floats, TimeSeries, per_second


class Line(NamedTuple):
    """One line of a plot: the class of its colour, how it is drawn (line, dashes, area), what it is, its values."""

    css: str
    mark: str
    label: str
    values: Floats


def plots_by_time(joint: Sequence[DecisionRecord]) -> list[Plot]:
    """Return the narrow plots over time: frames per second, upload share, cloud round trip, queues."""
    series = per_second(joint)
    seconds = close_axis(0.0, float(series.end[-1]) if len(series.end) else 1.0, "seconds since the first frame")
    return [
        frame_rate(series, seconds),
        upload_share(series, seconds),
        cloud_round_trip(series, seconds),
        queues(series, seconds),
    ]


def frame_rate(series: TimeSeries, seconds: Axis) -> Plot:
    """Draw results per second."""
    lines = [Line("joint", "line", "results handed on", series.frames_per_second)]
    return _over_time("Frames per second", lines, series, seconds, _axis(lines, "frames/s"))


def upload_share(series: TimeSeries, seconds: Axis) -> Plot:
    """Draw which share of each second's frames was doubted, and which was sent."""
    lines = [
        Line("cloud", "area", "sent to the cloud", series.upload_share * 100),
        Line("muted", "dashes", "hard", series.hard_share * 100),
    ]
    return _over_time("Upload share", lines, series, seconds, axis([0.0, 100.0], "%"))


def cloud_round_trip(series: TimeSeries, seconds: Axis) -> Plot:
    """Draw the median time from request to reply."""
    lines = [Line("cloud", "line", "p50 of the second’s answers", series.cloud_p50_ms)]
    return _over_time("Cloud round trip", lines, series, seconds, _axis(lines, "ms"))


def queues(series: TimeSeries, seconds: Axis) -> Plot:
    """Draw what waits before the little model and what is on its way to the cloud."""
    lines = [
        Line("edge", "line", "waiting for the little model", series.frames_waiting),
        Line("cloud", "dashes", "on their way to the cloud", series.offloads_waiting),
    ]
    return _over_time("Queue depth, most in the second", lines, series, seconds, _axis(lines, "frames", whole=True))


def _axis(lines: Sequence[Line], unit: str, *, whole: bool = False) -> Axis:
    return axis([float(value) for line in lines for value in line.values], unit, whole=whole)


def _over_time(title: str, lines: Sequence[Line], series: TimeSeries, x: Axis, y: Axis) -> Plot:
    if not any(math.isfinite(value) for line in lines for value in line.values):
        return empty_plot(title, "There is nothing to show: no frame of the run has this figure.")
    canvas, parts = Canvas(x, y, NARROW, HEIGHT), []
    for line in lines:
        points: list[Point] = [(float(x), float(y)) for x, y in zip(series.middle, line.values, strict=True)]
        parts.append(canvas.area(points, line.css) if line.mark == "area" else "")
        parts.append(canvas.line(points, f"{line.css} {'dashed' if line.mark == 'dashes' else ''}"))
    entries = [LegendEntry(line.mark, line.css, line.label) for line in lines]
    return Plot(title, legend(entries), canvas.render(parts, f"{title}, {y.label}"))
