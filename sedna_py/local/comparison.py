"""The runs of one service side by side: the rows that the terminal's table and the report both show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local import formats
from sedna_py.local.figures import Agreement, Percentiles, RunSummary, agreement, summarize


class Mode(StrEnum):
    """Who may answer in a run."""

    EDGE_ONLY = "edge only"
    JOINT = "joint"
    CLOUD_ONLY = "cloud only"


@dataclass(frozen=True, slots=True)
class Run:
    """One run's decision log, and what went wrong in it beyond single frames (a worker that died), one line each.

    `full_speed` is a second log of the same mode with the frames played as fast as they go, for the frames per second only.
    """

    mode: Mode
    records: Sequence[DecisionRecord]
    problems: tuple[str, ...] = ()
    full_speed: Sequence[DecisionRecord] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One run's figures; `agreement` is None in the cloud-only run itself and where there is none."""

    mode: Mode
    summary: RunSummary
    agreement: Agreement | None
    full_speed: float | None = None  # frames per second


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs in the order edge only, joint, cloud only; `reference` counts the frames that the big model answered."""

    columns: tuple[Column, ...]
    reference: int | None

    def column(self, mode: Mode) -> Column | None:
        return next((column for column in self.columns if column.mode is mode), None)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a cell for every column of the comparison."""

    key: str
    label: str
    note: str
    cells: tuple[str, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compute every figure; the reference is what the big model answered in the first cloud-only run."""
    ordered = sorted(runs, key=lambda run: list(Mode).index(run.mode))
    reference = next((answered_by_cloud(run.records) for run in ordered if run.mode is Mode.CLOUD_ONLY), None)
    columns = tuple(
        Column(
            run.mode,
            summarize(run.records),
            _against(run, reference),
            summarize(run.full_speed).frames_per_second if run.full_speed else None,
        )
        for run in ordered
    )
    return Comparison(columns, None if reference is None else len(reference))


def answered_by_cloud(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    """Return the frames whose result is the big model's: a cloud-only frame that failed is no reference."""
    return [record for record in records if record.path is Path.CLOUD]


def table(comparison: Comparison) -> list[Row]:
    """Return the comparison's rows, every cell as text."""
    return [
        Row(key, label, note, tuple(cell(column, comparison) for column in comparison.columns))
        for key, label, note, cell in _ROWS
    ]


def _against(run: Run, reference: Sequence[DecisionRecord] | None) -> Agreement | None:
    if reference is None or run.mode is Mode.CLOUD_ONLY:
        return None
    return agreement(run.records, reference)


Cell = Callable[[Column, Comparison], str]


def _of_agreement(show: Callable[[Agreement], str]) -> Cell:
    def cell(column: Column, comparison: Comparison) -> str:
        if column.agreement is not None:
            return show(column.agreement)
        return formats.ABSENT if not comparison.reference else "reference"

    return cell


def _of_summary(show: Callable[[RunSummary], str]) -> Cell:
    return lambda column, comparison: show(column.summary)


def _agreeing(it: Agreement) -> str:
    if not it.frames:
        return "no frame in common"
    return f"{formats.percent(it.share, 1)} ({formats.number(it.agreeing)} of {formats.number(it.frames)})"


def _counted_share(count: int, whole: int) -> str:
    if not count:
        return formats.number(count)
    return f"{formats.number(count)} ({formats.percent(count / whole, 1)})"


def _both(latency: Percentiles | None) -> str:
    if latency is None:
        return formats.ABSENT
    return f"{formats.milliseconds(latency.p50)} / {formats.milliseconds(latency.p95)}"


_ROWS: tuple[tuple[str, str, str, Cell], ...] = (
    ("frames", "Frames answered", "", _of_summary(lambda s: formats.number(s.frames))),
    (
        "frames_with_object",
        "Frames with an object",
        "",
        _of_summary(lambda s: _counted_share(s.frames_with_object, s.frames)),
    ),
    ("objects", "Objects found", "boxes above the display threshold", _of_summary(lambda s: formats.number(s.objects))),
    (
        "agreement",
        "Frames agreeing with cloud only",
        "same boxes: same class, overlap (IoU) at least 0.5",
        _of_agreement(_agreeing),
    ),
    (
        "precision_recall",
        "Box precision / recall",
        "against the boxes of cloud only",
        _of_agreement(lambda a: f"{formats.percent(a.precision, 1)} / {formats.percent(a.recall, 1)}"),
    ),
    (
        "hard",
        "Hard frames",
        "doubted by the filter; all of them in cloud only",
        _of_summary(lambda s: _counted_share(s.hard, s.frames)),
    ),
    ("offloaded", "Frames sent to the cloud", "", _of_summary(lambda s: _counted_share(s.offloaded, s.frames))),
    ("cloud_answered", "Frames answered by the cloud", "", _of_summary(lambda s: formats.number(s.cloud_answered))),
    (
        "fallbacks",
        "Fallbacks by cause",
        "hard frames that kept the edge’s answer",
        _of_summary(lambda s: formats.causes(s.fallbacks)),
    ),
    ("bytes_sent", "Bytes sent", "1 kB = 1000 bytes", _of_summary(lambda s: formats.kilobytes(s.bytes_sent))),
    (
        "bytes_per_hard",
        "Bytes sent per hard frame",
        "",
        _of_summary(lambda s: formats.kilobytes(s.bytes_per_hard_frame)),
    ),
    (
        "latency",
        "Latency p50 / p95",
        "capture until the result was handed on",
        _of_summary(lambda s: _both(s.total_ms)),
    ),
    (
        "cloud_latency",
        "Cloud round trip p50 / p95",
        "request sent until reply read",
        _of_summary(lambda s: _both(s.cloud_ms)),
    ),
    (
        "frames_per_second",
        "Frames per second",
        "first capture until last result",
        _of_summary(lambda s: formats.number(s.frames_per_second, 1)),
    ),
    (
        "full_speed",
        "Frames per second at full speed",
        "a run of its own, the frames as fast as they go",
        lambda column, comparison: formats.number(column.full_speed, 1),
    ),
)
