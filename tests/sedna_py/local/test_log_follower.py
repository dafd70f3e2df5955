from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.errors import MalformedBody
from sedna_py.local import log_follower
from sedna_py.local.log_follower import LogFollower

MakeRecord = Callable[..., DecisionRecord]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def append(log: Path, text: str | bytes) -> None:
    with log.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def frames(follower: LogFollower) -> list[int]:
    return [record.frame for record in follower.poll()]


def test_records_come_once_and_whole(log: Path, make_record: MakeRecord) -> None:
    follower = LogFollower(log)
    assert follower.poll() == []  # not there yet
    append(log, make_record(0).to_line())
    assert follower.poll() == [make_record(0)]
    assert follower.poll() == []
    append(log, make_record(1).to_line() + make_record(2).to_line())
    assert frames(follower) == [1, 2]


def test_a_line_written_in_pieces_is_one_record(log: Path, make_record: MakeRecord) -> None:
    record = make_record(0, source="Überwachung.mp4")
    line = record.to_line().replace("\\u00dc", "Ü").encode()
    follower, cut = LogFollower(log), line.index("Ü".encode()) + 1  # in the middle of a character
    append(log, line[:cut])
    assert follower.poll() == []
    append(log, line[cut:-1])
    assert follower.poll() == []
    append(log, b"\n")
    assert follower.poll() == [record]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_starts_anew_is_read_from_its_start(log: Path, make_record: MakeRecord, replaced: bool) -> None:
    append(log, make_record(0).to_line() + make_record(1).to_line() + '{"torn')
    follower = LogFollower(log)
    assert frames(follower) == [0, 1]
    if replaced:
        other = log.with_suffix(".new")
        append(other, "".join(make_record(n).to_line() for n in (7, 8, 9)))
        other.replace(log)
        assert frames(follower) == [7, 8, 9]
    else:
        log.write_text(make_record(7).to_line())
        assert frames(follower) == [7]


def test_a_log_that_went_away_may_come_back(log: Path, make_record: MakeRecord) -> None:
    append(log, make_record(0).to_line())
    follower = LogFollower(log)
    assert frames(follower) == [0]
    log.unlink()
    assert follower.poll() == []
    append(log, make_record(1).to_line())
    assert frames(follower) == [1]


@pytest.mark.parametrize("bad", [b"no json", b"{}", b"[1]", b"\xff\xfe", b""])
def test_a_bad_line_is_said_once_and_loses_nothing(log: Path, make_record: MakeRecord, bad: bytes) -> None:
    append(log, make_record(0).to_line().encode() + bad + b"\n" + make_record(1).to_line().encode())
    follower = LogFollower(log)
    assert frames(follower) == [0]
    with pytest.raises(MalformedBody, match=r"decisions\.jsonl:2 is not a decision record"):
        follower.poll()
    assert frames(follower) == [1]
    assert follower.poll() == []


def test_a_poll_reads_a_bounded_piece(log: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [make_record(n).to_line() for n in range(10)]
    monkeypatch.setattr(log_follower, "MOST_BYTES", len(lines[0]) * 3)
    append(log, "".join(lines))
    follower, pieces = LogFollower(log), []
    while piece := frames(follower):
        pieces.append(piece)
    assert len(pieces) > 1
    assert [frame for piece in pieces for frame in piece] == list(range(10))


def test_an_endless_line_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "LONGEST_LINE", 100)
    append(log, "x" * 101)
    with pytest.raises(MalformedBody, match="more than 100 bytes"):
        LogFollower(log).poll()
