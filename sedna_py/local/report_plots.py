"""The report's plots over frames: whose answer each one got, how sure the edge was, how long it took, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local import formats
from sedna_py.local.figures import cumulative_bytes, in_order, is_numbered, percentiles
from sedna_py.local.markup import LegendEntry, legend
from sedna_py.local.plot import HEIGHT, WIDE, Plot, empty_plot, thin
from sedna_py.local.svg_chart import BOTTOM, LEFT, RIGHT, Axis, Canvas, Point, axis, close_axis, log_axis, svg

MOST_MARKS = 600  # of one kind in one plot; more would only hide each other and swell the page
LANE = 24

SHAPE = {Path.EDGE: "circle", Path.CLOUD: "diamond", Path.FALLBACK: "cross"}
MEANING = {
    Path.EDGE: "easy, the edge’s answer",
    Path.CLOUD: "hard, answered by the cloud",
    Path.FALLBACK: "hard, fallback to the edge’s answer",
}


@dataclass(frozen=True, slots=True)
class FrameAxis:
    """Where frames stand on the x axis: by number, or by order of capture where numbers repeat (several sources)."""

    axis: Axis
    numbered: bool

    def positions(self, records: Sequence[DecisionRecord]) -> list[float]:
        """Return one x a record; the records must be in order of capture."""
        return [float(record.frame if self.numbered else order) for order, record in enumerate(records)]


def frame_axis(runs: Iterable[Sequence[DecisionRecord]]) -> FrameAxis:
    """Return one axis for all runs, so that their plots can be read one below the other."""
    filled = [run for run in runs if run]
    numbered = all(is_numbered(run) for run in filled)
    if numbered:
        places = [float(record.frame) for run in filled for record in run]
    else:
        places = [float(place) for run in filled for place in (0, len(run) - 1)]
    label = "frame number" if numbered else "frame, in order of capture"
    return FrameAxis(close_axis(min(places, default=0) - 0.5, max(places, default=0) + 0.5, label), numbered)


def plots_by_frame(joint: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord]) -> list[Plot]:
    """Return the wide plots over frames: path, edge score, latency, bytes."""
    frames = frame_axis([joint, cloud_only])
    joint, cloud_only = in_order(joint), in_order(cloud_only)
    return [
        path_strip(joint, frames),
        edge_score(joint, frames),
        latency(joint, frames),
        bytes_sent(joint, cloud_only, frames),
    ]


def path_strip(records: Sequence[DecisionRecord], frames: FrameAxis) -> Plot:
    """Draw three lanes, edge, cloud, fallback: every frame stands in one."""
    title = "Whose answer each frame got"
    if not records:
        return empty_plot(title, "No frame was answered.")
    lanes, height = list(Path), LANE * 3 + BOTTOM + 4
    canvas = Canvas(frames.axis, Axis(0, 1, (), ""), WIDE, height)
    positions, parts = frames.positions(records), []
    for number, path in enumerate(lanes):
        inside = [place for place, record in zip(positions, records, strict=True) if record.path is path]
        parts.append(_lane(canvas, number, path, inside))
    counts = ", ".join(f"{path} {sum(r.path is path for r in records)}" for path in lanes)
    entries = [LegendEntry("block", path.value, MEANING[path]) for path in lanes]
    return Plot(
        title,
        legend(entries),
        svg(WIDE, height, [canvas.grid(), *parts], f"{title}: {counts}"),
        _gaps(records, frames),
    )


def edge_score(records: Sequence[DecisionRecord], frames: FrameAxis) -> Plot:
    """Draw the number that the filter judged, marked by what became of the frame."""
    title = "Score of the edge’s answer"
    scored = [record for record in records if record.score is not None]
    if not scored:
        return empty_plot(title, "No frame has a score: the little model found nothing, or the filter computes none.")
    scale = axis([r.score for r in scored if r.score is not None] + [1.0], "score")
    canvas = Canvas(frames.axis, scale, WIDE, HEIGHT)
    points = list(zip(frames.positions(records), records, strict=True))
    groups = {path: [(x, r) for x, r in points if r.path is path and r.score is not None] for path in Path}
    without = len(records) - len(scored)
    filters = ", ".join(sorted({record.filter for record in records}))
    caption = f"Filter: {filters}."
    if without:
        count = f"{formats.number(without)} of {formats.number(len(records))} frames"
        caption += f" The short strokes at the bottom are {count} without a score."
    rug = [(x, r.path) for x, r in points if r.score is None]
    parts = [_rug(canvas, rug)] + [
        _marks(canvas, path, [((x, r.score or 0.0), _about(r, f"score {r.score:.3f}")) for x, r in group])
        for path, group in groups.items()
    ]
    entries = [LegendEntry(SHAPE[p], p.value, f"{MEANING[p]} ({len(group)})") for p, group in groups.items() if group]
    return Plot(title, legend(entries), canvas.render(parts, title), caption + _thinned(groups.values()))


def latency(records: Sequence[DecisionRecord], frames: FrameAxis) -> Plot:
    """Draw capture-to-result latency, edge's and cloud's answers apart."""
    title = "Latency from capture to result"
    if not records:
        return empty_plot(title, "No frame was answered.")
    values = [record.latency_ms.total for record in records]
    usual = percentiles(values)
    wide_spread = usual is not None and max(values) > 20 * max(usual.p50, 1e-9)
    canvas = Canvas(frames.axis, log_axis(values, "ms") if wide_spread else axis(values, "ms"), WIDE, HEIGHT)
    points = list(zip(frames.positions(records), records, strict=True))
    groups = {path: [(x, r) for x, r in points if r.path is path] for path in Path}
    parts, entries = [], []
    for path, group in groups.items():
        marks = [((x, r.latency_ms.total), _about(r, formats.milliseconds(r.latency_ms.total))) for x, r in group]
        parts.append(_marks(canvas, path, marks))
        spread = percentiles(r.latency_ms.total for _, r in group)
        if spread is not None:
            p50, p95 = formats.milliseconds(spread.p50), formats.milliseconds(spread.p95)
            entries.append(LegendEntry(SHAPE[path], path.value, f"{path}: p50 {p50}, p95 {p95} (n = {spread.count})"))
    note = "Logarithmic scale. " if wide_spread else ""
    return Plot(title, legend(entries), canvas.render(parts, title), note + _thinned(groups.values()))


def bytes_sent(joint: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord], frames: FrameAxis) -> Plot:
    """Draw the bytes that left the edge up to each frame, joint against cloud only."""
    title = "Sent to the cloud up to each frame"
    runs = [("joint", "joint", "line", joint), ("cloud only", "cloud", "dashes", cloud_only)]
    totals = {name: cumulative_bytes(records) for name, _, _, records in runs}
    if not any(total and total[-1] for total in totals.values()):
        return empty_plot(title, "Nothing was sent.")
    canvas = Canvas(frames.axis, axis([t[-1] / 1000 for t in totals.values() if t], "kB"), WIDE, HEIGHT)
    parts, entries = [], []
    for name, css, mark, records in runs:
        if not records:
            continue
        kilobytes = [size / 1000 for size in totals[name]]
        points = list(zip(frames.positions(records), kilobytes, strict=True))
        parts.append(canvas.line(thin(points, MOST_MARKS), f"{css} {'dashed' if mark == 'dashes' else ''}"))
        entries.append(LegendEntry(mark, css, f"{name}: {formats.kilobytes(totals[name][-1])}"))
    return Plot(title, legend(entries), canvas.render(parts, title))


def _gaps(records: Sequence[DecisionRecord], frames: FrameAxis) -> str:
    missing = records[-1].frame - records[0].frame + 1 - len(records) if frames.numbered else 0
    if not missing:
        return ""
    return (
        f"{formats.number(missing)} frames between the first and the last have no record: the gaps in all three lanes."
    )


def _lane(canvas: Canvas, number: int, path: Path, places: Sequence[float]) -> str:
    top = 4 + number * LANE
    blocks = _blocks([(canvas.at((p - 0.5, 0))[0], canvas.at((p + 0.5, 0))[0]) for p in places])
    rects = "".join(f'<rect x="{a:.1f}" y="{top}" width="{b - a:.1f}" height="{LANE - 6}"/>' for a, b in blocks)
    return (
        f'<text class="tick" x="{LEFT - 8}" y="{top + 13}" text-anchor="end">{path.value}</text>'
        f'<rect class="lane" x="{LEFT}" y="{top}" width="{canvas.width - LEFT - RIGHT}" height="{LANE - 6}"/>'
        f'<g class="mark {path.value}">{rects}</g>'
    )


def _blocks(spans: Sequence[Point]) -> list[Point]:
    """Join spans less than half a unit apart, so that the strip's size does not grow with the run's length."""
    joined: list[Point] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < 0.5:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _rug(canvas: Canvas, places: Sequence[tuple[float, Path]]) -> str:
    bottom = canvas.height - BOTTOM
    strokes = [
        f'<path class="stroke {path.value}" d="M{canvas.at((x, canvas.y.low))[0]:.1f} {bottom}v-7"/>'
        for x, path in thin(places, MOST_MARKS)
    ]
    return f'<g class="mark rug">{"".join(strokes)}</g>'


def _marks(canvas: Canvas, path: Path, marks: Sequence[tuple[Point, str]]) -> str:
    shown = thin(marks, MOST_MARKS)
    return canvas.markers([point for point, _ in shown], path.value, SHAPE[path], [about for _, about in shown])


def _about(record: DecisionRecord, figure: str) -> str:
    cause = f" ({record.cause.value.replace('_', ' ')})" if record.cause else ""
    return f"frame {record.frame}: {figure}, {MEANING[record.path]}{cause}. {record.reason}"


def _thinned(groups: Iterable[Sequence[object]]) -> str:
    most = max((len(group) for group in groups), default=0)
    return f" At most {MOST_MARKS} marks of a kind are drawn, evenly chosen." if most > MOST_MARKS else ""
