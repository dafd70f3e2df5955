"""The comparison as a table for the terminal: the same rows as the report's."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sedna_py.local import findings, formats
from sedna_py.local.comparison import Mode, Run, compare, table

COLOUR = {Mode.EDGE_ONLY: "blue", Mode.JOINT: "green", Mode.CLOUD_ONLY: "yellow"}


def comparison_table(runs: Sequence[Run]) -> Table:
    """Return the figures of the runs side by side, with the headline above and the remarks below."""
    comparison = compare(runs)
    remarks = "\n".join(formats.printable(remark) for remark in findings.remarks(runs, comparison))
    shown = Table(
        title=Text(findings.headline(comparison), style="bold"),
        caption=Text("\n".join(filter(None, [findings.subline(comparison), remarks]))),
        title_justify="left",
        caption_justify="left",
    )
    shown.add_column("")
    for column in comparison.columns:
        shown.add_column(Text(column.mode.capitalize(), style=COLOUR[column.mode]), justify="right")
    for row in table(comparison):
        shown.add_row(row.label, *row.cells, style="bold" if row.key == "agreement" else None)
    return shown
