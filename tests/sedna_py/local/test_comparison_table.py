from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from sedna_py.local.comparison import Run, compare, table
from sedna_py.local.comparison_table import comparison_table


def shown(runs: list[Run]) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(comparison_table(runs))
    return capture.get()


def test_the_terminal_shows_the_rows_of_the_report(runs: list[Run]) -> None:
    text = shown(runs)
    for row in table(compare(runs)):
        assert row.label in text
        assert all(cell in text for cell in row.cells)
    assert "Joint inference agreed with cloud-only on" in text
    assert "8 of 40 hard frames" in text.replace("\u00a0", " ")


def test_text_from_outside_neither_styles_nor_steers(runs: list[Run]) -> None:
    text = shown([replace(runs[1], problems=("[red]x[/red] \x1b[2J",))])
    assert "[red]x[/red]" in text
    assert "\x1b[2J" not in text


def test_no_runs() -> None:
    assert "no joint run" in shown([])
