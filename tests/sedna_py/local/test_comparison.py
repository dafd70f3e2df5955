from __future__ import annotations

from collections.abc import Callable

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local import formats
from sedna_py.local.comparison import Mode, Run, compare, table
from sedna_py.local.figures import agreement, summarize

MakeRecord = Callable[..., DecisionRecord]


def cells(runs: list[Run], key: str) -> list[str]:
    row = next(row for row in table(compare(runs)) if row.key == key)
    return [cell.replace(formats.SPACE, " ") for cell in row.cells]


def test_columns_have_one_order_and_the_figures_of_their_run(runs: list[Run]) -> None:
    comparison = compare(runs[::-1])
    assert [column.mode for column in comparison.columns] == list(Mode)
    assert [column.summary for column in comparison.columns] == [summarize(run.records) for run in runs]
    assert comparison.columns[1].agreement == agreement(runs[1].records, runs[2].records)
    assert comparison.columns[2].agreement is None
    assert comparison.reference == len(runs[2].records)


def test_a_cloud_only_frame_that_failed_is_no_reference(make_record: MakeRecord) -> None:
    cloud_only = [make_record(0, path=Path.CLOUD), make_record(1, path=Path.FALLBACK)]
    comparison = compare([Run(Mode.JOINT, [make_record(0), make_record(1)]), Run(Mode.CLOUD_ONLY, cloud_only)])
    joint = comparison.column(Mode.JOINT)
    assert comparison.reference == 1
    assert joint is not None
    assert joint.agreement is not None
    assert (joint.agreement.frames, joint.agreement.extra) == (1, 1)


def test_cells_name_the_reference_and_what_cannot_be_compared(runs: list[Run], make_record: MakeRecord) -> None:
    assert cells(runs, "agreement")[2] == "reference"
    assert cells(runs[:2], "agreement") == ["–", "–"]
    elsewhere = Run(Mode.CLOUD_ONLY, [make_record(999, path=Path.CLOUD)])
    assert cells([runs[1], elsewhere], "agreement")[0] == "no frame in common"
    assert cells([runs[1], Run(Mode.CLOUD_ONLY, [])], "agreement")[1] == "–"


def test_every_row_has_a_cell_for_every_run(runs: list[Run]) -> None:
    rows = table(compare(runs))
    assert len({row.key for row in rows}) == len(rows)
    assert all(len(row.cells) == len(runs) and all(row.cells) for row in rows)
    assert table(compare([]))[0].cells == ()
