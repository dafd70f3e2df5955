"""The report of a comparison: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sedna_py.decision_log import DecisionRecord
from sedna_py.local import findings
from sedna_py.local.comparison import Comparison, Mode, Run, compare, table
from sedna_py.local.markup import text
from sedna_py.local.plot import Plot
from sedna_py.local.report_budget import budget_plot
from sedna_py.local.report_plots import plots_by_frame
from sedna_py.local.report_samples import Sample, render_samples
from sedna_py.local.report_style import STYLE
from sedna_py.local.report_tiles import COLOUR, render_tiles
from sedna_py.local.report_time_plots import plots_by_time

# Nothing but what is in the file: the browser itself refuses any request.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

METHOD = (
    "Each run answers the same frames on the same machine with its own worker processes; every figure is computed from "
    "the decision logs of the runs, one line a frame.",
    "A frame agrees when both results have the same number of boxes and each box has its partner in the other: same "
    "class, intersection over union at least 0.5, matched one to one, the highest score first. Two results without any "
    "box agree.",
    "The reference is what the big model answered in the cloud-only run. It is a model, not ground truth: the "
    "agreement says how well a run stands in for it, not how often either is right.",
    "Bytes are those that the logs state as sent; a frame of which any were sent counts as sent to the cloud.",
    "Latency runs from capture until the result was handed on. Percentiles are interpolated linearly.",
    "Where a run at full speed was made, the frames per second are of that run, and every other figure is of the run in "
    "which the frames came at the clip's own speed, as a camera gives them.",
)


def render_report(runs: Sequence[Run], samples: Sequence[Sample], facts: Mapping[str, str]) -> str:
    """Return the page. `facts` (versions, machine, command) are shown as they are, in their order."""
    comparison = compare(runs)
    joint, cloud_only = _records(runs, Mode.JOINT), _records(runs, Mode.CLOUD_ONLY)
    body = [
        _head(runs, comparison),
        _section("Edge only, joint, cloud only", "The same frames, answered three ways.", _table(comparison)),
        _section(
            "Frame by frame", "The joint run; each frame keeps its place from plot to plot.", _wide(joint, cloud_only)
        ),
        _section(
            "Share sent against agreement",
            "The filter’s score with another threshold, or with a budget.",
            _figure(budget_plot(_records(runs, Mode.EDGE_ONLY), joint, cloud_only), "wide"),
        ),
        _section("Second by second", "The joint run over time.", _pair(joint)),
        _section("What the models saw", "Sample frames of the joint run.", render_samples(samples)),
        _section("How the figures were made", "", _method(facts)),
    ]
    title = text(findings.headline(comparison))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title>\n<style>{STYLE}</style></head>\n<body><main>\n{''.join(body)}</main></body></html>\n"
    )


def _records(runs: Sequence[Run], mode: Mode) -> Sequence[DecisionRecord]:
    return next((run.records for run in runs if run.mode is mode), ())


def _section(title: str, lead: str, content: str) -> str:
    said = f'<p class="lead">{text(lead)}</p>' if lead else ""
    return f"<section><h2>{text(title)}</h2>{said}{content}</section>\n"


def _head(runs: Sequence[Run], comparison: Comparison) -> str:
    said = "".join(f"<li>{text(remark)}</li>" for remark in findings.remarks(runs, comparison))
    remarks = f'<aside class="remarks"><h3>Read this with the figures</h3><ul>{said}</ul></aside>' if said else ""
    return (
        f'<header><p class="eyebrow">{text(_origin(runs))}</p><h1>{text(findings.headline(comparison))}</h1>'
        f'<p class="subline">{text(findings.subline(comparison))}</p></header>{render_tiles(comparison)}{remarks}\n'
    )


def _origin(runs: Sequence[Run]) -> str:
    records = [record for run in runs for record in run.records]
    sources = sorted({record.source for record in records})
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    parts = ["sedna-py, joint inference on one machine", ", ".join(sources[:3]) + more, _date(records)]
    return " · ".join(part for part in parts if part)


def _date(records: Sequence[DecisionRecord]) -> str:
    try:
        first = min(record.captured for record in records)
        return datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):  # no record, or a clock that no calendar has
        return ""


def _table(comparison: Comparison) -> str:
    if not comparison.columns:
        return '<p class="empty">There are no runs.</p>'
    heads = "".join(
        f'<th scope="col" class="{COLOUR[column.mode]}"><i></i>{text(column.mode.capitalize())}</th>'
        for column in comparison.columns
    )
    rows = []
    for row in table(comparison):
        note = f"<span>{text(row.note)}</span>" if row.note else ""
        cells = "".join(
            f'<td data-figure="{row.key}" data-run="{column.mode}">{text(cell)}</td>'
            for column, cell in zip(comparison.columns, row.cells, strict=True)
        )
        css = ' class="headline"' if row.key == "agreement" else ""
        rows.append(f'<tr{css}><th scope="row">{text(row.label)}{note}</th>{cells}</tr>')
    head, body = f"<thead><tr><td></td>{heads}</tr></thead>", f"<tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table>{head}{body}</table></div>'


def _wide(joint: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord]) -> str:
    return "".join(_figure(plot, "wide") for plot in plots_by_frame(joint, cloud_only))


def _pair(joint: Sequence[DecisionRecord]) -> str:
    return f'<div class="pair">{"".join(_figure(plot, "narrow") for plot in plots_by_time(joint))}</div>'


def _figure(plot: Plot, css: str) -> str:
    caption = f'<p class="caption">{text(plot.caption.strip())}</p>' if plot.caption.strip() else ""
    return (
        f'<figure class="plot {css}"><h3>{text(plot.title)}</h3>{plot.legend}'
        f'<div class="scroll">{plot.drawing}</div>{caption}</figure>'
    )


def _method(facts: Mapping[str, str]) -> str:
    steps = "".join(f"<li>{text(step)}</li>" for step in METHOD)
    known = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts.items())
    return f'<ul class="method">{steps}</ul>' + (f'<dl class="facts">{known}</dl>' if known else "")
