"""A simulation's outcome for people: a table for the terminal, a page with plots."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from rich.table import Table
from rich.text import Text

from sedna_py.api.child_names import Role
from sedna_py.local import formats
from sedna_py.local.markup import LegendEntry, legend, text
from sedna_py.local.plot import HEIGHT, WIDE, Plot
from sedna_py.local.report_style import STYLE
from sedna_py.local.svg_chart import Axis, Canvas, Point, axis, close_axis
from sedna_py.simulation.outcome import Outcome, percentile, steps
from sedna_py.simulation.trace import Trace

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_BINS = 200


def rows(outcome: Outcome) -> list[tuple[str, str]]:
    """Return what the table says: a figure's name and the figure."""
    lost, fallbacks = sum(outcome.lost.values()), sum(outcome.fallbacks.values())
    found = [
        ("seconds", formats.number(outcome.seconds)),
        ("requests" if outcome.straight else "frames", formats.number(outcome.arrived)),
        ("lost", f"{formats.number(lost)}{_causes(outcome.lost)}"),
    ]
    if not outcome.straight:
        found.append(("hard, the edge’s answer stood", f"{formats.number(fallbacks)}{_causes(outcome.fallbacks)}"))
        found.append(("answered by the cloud", formats.number(outcome.answers["cloud"])))
    for name, seconds in (("until the answer", outcome.total_s), ("cloud", outcome.cloud_s)):
        found += [(f"{name}, p{p}", formats.milliseconds(percentile(seconds, p))) for p in (50, 95)]
    for role in outcome.replicas:
        mean, most = outcome.mean_replicas(role), outcome.most_replicas(role)
        found.append((f"{role} replicas", f"{formats.number(mean, 2)} on the average, {most} at most"))
    return found


def outcome_table(outcome: Outcome) -> Table:
    """Return the figures as a table."""
    shown = Table(title=Text("Simulated", style="bold"), title_justify="left", show_header=False)
    shown.add_column("")
    shown.add_column("", justify="right")
    for name, figure in rows(outcome):
        shown.add_row(name, figure)
    return shown


def replica_lines(outcome: Outcome) -> list[str]:
    """Return a line for each change of the replicas, in order."""
    changes = [(at, role, count) for role, history in outcome.replicas.items() for at, count in history[1:]]
    return [f"{at:8.0f} s  {role:>5}: {count}" for at, role, count in sorted(changes, key=lambda change: change[0])]


def outcome_page(outcome: Outcome, trace: Trace, facts: Mapping[str, str]) -> str:
    """Return an HTML page that asks nobody for anything."""
    table = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{text(figure)}</td></tr>' for name, figure in rows(outcome)
    )
    known = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts.items())
    plots = "".join(_figure(plot) for plot in (_replicas_plot(outcome), _load_plot(outcome, trace)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>Simulated scaling</title>\n<style>{STYLE}</style></head>\n<body><main>"
        '<header><p class="eyebrow">sedna-py, a simulation: no worker ran</p><h1>Simulated scaling</h1></header>\n'
        f'<section><div class="scroll"><table><tbody>{table}</tbody></table></div></section>\n<section>{plots}</section>\n'
        f'<section><h2>How it was made</h2><dl class="facts">{known}</dl></section></main></body></html>\n'
    )


def _figure(plot: Plot) -> str:
    return (
        f'<figure class="plot wide"><h3>{text(plot.title)}</h3>{plot.legend}'
        f'<div class="scroll">{plot.drawing}</div></figure>'
    )


def _replicas_plot(outcome: Outcome) -> Plot:
    title = "Replicas"
    lines: dict[Role, list[Point]] = {
        role: steps(history, outcome.seconds) for role, history in outcome.replicas.items()
    }
    most = [count for points in lines.values() for _, count in points]
    canvas = Canvas(_seconds(outcome), axis(most, "pods", whole=True), WIDE, HEIGHT)
    parts = [canvas.line(points, role.value) for role, points in lines.items()]
    entries = [LegendEntry("line", role.value, f"{role} worker") for role in lines]
    return Plot(title, legend(entries), canvas.render(parts, title))


def _load_plot(outcome: Outcome, trace: Trace) -> Plot:
    title = "Load and drops"
    width = max(outcome.seconds / _BINS, 1.0)
    load = _rates([arrival.at for arrival in trace.arrivals], width, outcome.seconds)
    drops = _rates(sorted(outcome.drops), width, outcome.seconds)
    canvas = Canvas(_seconds(outcome), axis([rate for _, rate in (*load, *drops)], "a second"), WIDE, HEIGHT)
    entries = [
        LegendEntry("line", "muted", "came"),
        LegendEntry("line", "fallback", "lost, or not answered by the cloud"),
    ]
    return Plot(
        title, legend(entries), canvas.render([canvas.line(load, "muted"), canvas.line(drops, "fallback")], title)
    )


def _seconds(outcome: Outcome) -> Axis:
    return close_axis(0.0, outcome.seconds, "seconds")


def _rates(times: list[float], width: float, end: float) -> list[Point]:
    counts = {number: len(list(group)) for number, group in groupby(times, key=lambda at: int(at / width))}
    return [((number + 0.5) * width, counts.get(number, 0) / width) for number in range(max(int(end / width), 1))]


def _causes(counts: Mapping[str, int]) -> str:
    there = {cause: count for cause, count in counts.items() if count}
    return f" ({formats.causes(there)})" if there else ""
