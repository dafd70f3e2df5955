from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sedna_py.decision_log import DecisionRecord, Emit, Latency, Path, closing, read_records
from sedna_py.errors import MalformedBody
from sedna_py.protocol.causes import OffloadCause

EASY = DecisionRecord(
    frame=1, source="a ü.mp4", captured=1.5, emitted=1.75, width=640, height=480, filter="IBT", hard=False,
    reason="a line\nwith a break", score=None, path=Path.EDGE, cause=None, edge=[[1, 2, 3, 4, 0.5, 0]], cloud=None,
    result=[[1, 2, 3, 4, 0.5, 0]],
)  # fmt: skip
HARD = replace(
    EASY, frame=2, hard=True, score=0.25, path=Path.FALLBACK, cause=OffloadCause.DEADLINE_EXCEEDED, edge=[], result=[],
    bytes_sent=1234, latency_ms=Latency(wait=1, edge=2.5, encode=0.5, cloud=None, total=9), frames_waiting=3,
    offloads_waiting=4,
)  # fmt: skip


def lines(*records: DecisionRecord) -> list[str]:
    return [record.to_line() for record in records]


def test_round_trip() -> None:
    found = list(read_records(lines(EASY, HARD)))
    assert found == [EASY, HARD]
    assert isinstance(found[1].path, Path)
    assert isinstance(found[1].cause, OffloadCause)
    assert isinstance(found[1].latency_ms, Latency)


def test_a_log_from_before_there_were_runs() -> None:
    assert list(read_records([without("run")])) == [EASY]
    assert replace(EASY, run="1f2e3d4c").to_line() != EASY.to_line()


def test_one_of_a_frames_records_closes_it() -> None:
    answers = [replace(HARD, emit=emit) for emit in Emit]
    assert list(read_records(lines(*answers))) == answers
    assert [record.emit for record in closing(answers)] == [Emit.FINAL, Emit.CORRECTION]


def test_a_log_from_before_there_were_several_answers() -> None:
    assert list(read_records([without("emit")])) == [EASY]


def test_a_record_is_one_line_of_plain_json() -> None:
    line = HARD.to_line()
    assert (line.count("\n"), line[-1]) == (1, "\n")
    values = json.loads(line)
    assert (values["path"], values["cause"], values["latency_ms"]["cloud"]) == ("fallback", "deadline_exceeded", None)


def test_there_is_no_nan_in_a_log() -> None:
    (found,) = read_records([replace(EASY, score=float("nan"), edge=[[0, 0, 1, 1, float("inf"), 0]]).to_line()])
    assert (found.score, found.edge) == (None, [[0, 0, 1, 1, None, 0]])


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_torn_last_line_is_left_out(kept: int) -> None:
    assert list(read_records([*lines(EASY), HARD.to_line()[:kept]])) == [EASY]


def test_an_empty_log_has_no_records() -> None:
    assert list(read_records([])) == []


def without(name: str) -> str:
    values = json.loads(EASY.to_line())
    del values[name]
    return json.dumps(values) + "\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("\n", "Expecting value"),
        ("not json\n", "Expecting value"),
        (EASY.to_line()[:40] + "\n", ""),
        ("[]\n", "it is a JSON list, not an object"),
        ("null\n", "it is a JSON NoneType, not an object"),
        ("{}\n", "it has no 'path'"),
        (without("cause"), "it has no 'cause'"),
        (without("frame"), "'frame'"),
        (EASY.to_line().replace('"edge"', '"moon"', 1), ""),
        (EASY.to_line().replace('"path":"edge"', '"path":"moon"'), "'moon' is not a valid Path"),
        (HARD.to_line().replace("deadline_exceeded", "bad_luck"), "'bad_luck' is not a valid OffloadCause"),
        (EASY.to_line().replace('"frame":1', '"frame":1,"new":2'), "'new'"),
        (EASY.to_line().replace('"total":0.0', '"sum":0.0'), "'sum'"),
    ],
)
def test_any_other_bad_line_is_named_by_its_number(line: str, why: str) -> None:
    reading = read_records([*lines(EASY), line, *lines(HARD)])
    assert next(reading) == EASY
    with pytest.raises(MalformedBody, match=r"^line 2 is not a decision record: ") as caught:
        next(reading)
    assert why in str(caught.value)
