from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local import findings, formats
from sedna_py.local.comparison import Mode, Run, compare
from sedna_py.protocol.causes import OffloadCause

MakeRecord = Callable[..., DecisionRecord]

HEAD = [10, 10, 50, 50, 0.9, 0]


def said(runs: Sequence[Run]) -> str:
    return " ".join(findings.remarks(runs, compare(runs))).replace(formats.SPACE, " ")


def headline(runs: Sequence[Run]) -> str:
    return findings.headline(compare(runs)).replace(formats.SPACE, " ")


@pytest.fixture
def cloud_only(make_record: MakeRecord) -> Run:
    return Run(Mode.CLOUD_ONLY, [make_record(n, hard=True, path=Path.CLOUD, bytes_sent=1000) for n in range(4)])


def test_headline_is_computed(make_record: MakeRecord, cloud_only: Run) -> None:
    records = [make_record(0, result=[HEAD]), make_record(1, bytes_sent=1000, hard=True, path=Path.CLOUD)]
    joint = Run(Mode.JOINT, [*records, make_record(2), make_record(3)])
    expected = "Joint inference agreed with cloud-only on 75 % of frames while sending 25 % of the bytes."
    assert headline([joint, cloud_only]) == expected


def test_headline_says_what_it_cannot_say(make_record: MakeRecord, cloud_only: Run) -> None:
    easy = Run(Mode.JOINT, [make_record(n) for n in range(4)])
    free = Run(Mode.CLOUD_ONLY, [make_record(n, path=Path.CLOUD) for n in range(4)])
    table = [
        ([], "There is no joint run"),
        ([Run(Mode.JOINT, []), cloud_only], "The joint run answered no frame."),
        ([easy], "Joint inference answered 4 frames; 0 % were hard, and the cloud answered 0 of them."),
        ([easy, Run(Mode.CLOUD_ONLY, [])], "no frame was answered by both"),
        ([easy, cloud_only], "on 100 % of frames while sending nothing."),
        ([easy, free], "(no bytes were recorded)"),
    ]
    for runs, expected in table:
        assert expected in headline(runs)


def test_subline_names_n_and_the_yardstick(runs: list[Run]) -> None:
    line = findings.subline(compare(runs)).replace(formats.SPACE, " ")
    assert "n = 120 frames" in line
    assert "The little model alone agreed on" in line
    assert "not with ground truth" in line
    assert findings.subline(compare([])) == ""


def test_failures_and_limits_are_said(make_record: MakeRecord, cloud_only: Run) -> None:
    failed = {"hard": True, "path": Path.FALLBACK, "cause": OffloadCause.OVERLOADED}
    joint = Run(Mode.JOINT, [make_record(0, **failed), make_record(9)], problems=("the edge worker was killed",))
    text = said([joint, cloud_only])
    assert "Joint: the edge worker was killed" in text
    assert "1 of 1 hard frames were not answered by the cloud (overloaded 1)" in text
    assert "3 are only in cloud only, 1 only in joint" in text
    assert "Joint: no object was found in any frame." in text


def test_empty_runs_are_said(make_record: MakeRecord) -> None:
    easy = Run(Mode.JOINT, [make_record(0, result=[{"label": "cat"}])])
    assert "the filter called no frame hard" in said([easy])
    assert "There is no cloud-only run" in said([easy])
    assert "The cloud answered no frame of the cloud-only run" in said([easy, Run(Mode.CLOUD_ONLY, [])])
    assert "Cloud only: no frame was answered" in said([easy, Run(Mode.CLOUD_ONLY, [])])
    answered = Run(Mode.CLOUD_ONLY, [make_record(0, path=Path.CLOUD)])
    assert "1 frames are left out of the agreement" in said([easy, answered])


def test_a_run_without_any_trouble_needs_no_remark(make_record: MakeRecord) -> None:
    asked = [make_record(0, result=[HEAD], hard=True, path=Path.CLOUD, bytes_sent=10)]
    assert (
        findings.remarks(
            [Run(Mode.JOINT, asked), Run(Mode.CLOUD_ONLY, asked)],
            compare([Run(Mode.JOINT, asked), Run(Mode.CLOUD_ONLY, asked)]),
        )
        == []
    )
