"""A folder that pictures arrive in: order, wholeness, broken ones, and memory."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import PATIENCE_S, number_of, picture, until
from workers.edge.sources import WatchedFolder, files, open_source
from workers.edge.sources.arrivals import AT_ONCE, SETTLE_S, Arrivals, Entry
from workers.edge.sources.watched import read_picture


def png(number: int) -> bytes:
    return cv2.imencode(".png", picture(number))[1].tobytes()


def jpeg(number: int) -> bytes:
    return cv2.imencode(".jpg", picture(number, (64, 64, 3)))[1].tobytes()


@contextmanager
def watching(folder: Path) -> Iterator[tuple[WatchedFolder, list[int]]]:
    """Read a watched folder in a thread; the list grows by what the pictures show."""
    source = open_source(f"watch:{folder}")
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(number_of(shown) for shown in source), daemon=True)
    thread.start()
    try:
        yield source, seen
    finally:
        source.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_what_arrives_is_taken_once_in_its_order_and_what_was_there_is_not(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "old.png").write_bytes(png(9))
    with watching(folder) as (source, seen):
        assert (source.name, source.live, source.endless) == ("in", False, True)
        (folder / "z.png").write_bytes(png(1))
        (folder / "notes.txt").write_text("no picture")
        (folder / ".hidden.png").write_bytes(png(8))
        (folder / "folder.png").mkdir()
        os.mkfifo(folder / "pipe.png")
        until(lambda: seen == [1], "the first")
        (tmp_path / "a.png").write_bytes(png(2))
        shutil.move(tmp_path / "a.png", folder / "a.png")  # a name before the first one's
        until(lambda: seen == [1, 2], "the second")
        (folder / "z.png").write_bytes(png(3))
        until(lambda: seen == [1, 2, 3], "the one that changed")


def test_half_a_picture_waits_for_its_other_half_and_a_broken_one_harms_nothing(tmp_path, caplog):
    whole = jpeg(200)
    with watching(tmp_path) as (source, seen):
        (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "wrong.png").write_bytes(b"\x89PNG, but not really")
        (tmp_path / "odd.bmp").write_bytes(b"BM and no more")
        until(lambda: source.broken == 3, "the broken ones to be found")
        (tmp_path / "good.png").write_bytes(png(1))
        until(lambda: seen == [1], "the good one")
        with (tmp_path / "half.jpg").open("ab") as file:
            file.write(whole[len(whole) // 2 :])
        until(lambda: len(seen) == 2, "the other half")
        assert seen[1] == pytest.approx(200, abs=3)
    for name in ("half.jpg", "wrong.png", "odd.bmp"):
        assert sum(f"{name} is left out" in message for message in caplog.messages) == 1


def test_a_folder_that_goes_away_is_waited_for(tmp_path, caplog):
    folder = tmp_path / "in"
    folder.mkdir()
    with watching(folder) as (source, seen):
        folder.rmdir()
        until(lambda: not source.up, "the loss")
        folder.mkdir()
        until(lambda: source.up, "the return")
        (folder / "a.png").write_bytes(png(4))
        until(lambda: seen == [4], "a picture")
        assert source.outages == 1
    assert caplog.text.count("cannot be read: No such file") == 1


def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(SourceError, match=r"no folder at .*; make it, or write watch: and the path of one"):
        open_source(f"watch:{tmp_path}/none")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_was_cut_off_is_not_filled_with_grey(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    body = cv2.imencode(suffix, picture(7, (64, 64, 3)))[1].tobytes()
    path.write_bytes(body[:-20])
    with pytest.raises(ValueError, match="cut off"):
        read_picture(path)
    path.write_bytes(body)
    assert read_picture(path).shape == (64, 64, 3)


def look(arrivals: Arrivals, entries: list[Entry], now: float) -> list[str]:
    return [entry.name for entry in arrivals.look(entries, now)]


def test_a_file_that_still_grows_is_overtaken_and_one_that_only_just_came_is_not():
    arrivals = Arrivals((5, "x"))
    old, b = Entry(5, "w", 1), Entry(11, "b", 1)
    assert look(arrivals, [old, Entry(10, "a", 1), b], 0.0) == []
    # a was written on, so it is the younger one now; c came before b and was not seen then.
    entries = [old, Entry(12, "a", 2), b, Entry(10, "c", 1)]
    assert look(arrivals, entries, SETTLE_S) == []
    assert look(arrivals, entries, 2 * SETTLE_S) == ["c", "b", "a"]
    assert look(arrivals, entries, 9.0) == []


def test_an_empty_file_is_not_whole_and_holds_no_other_up():
    arrivals = Arrivals()
    empty, other = Entry(1, "a", 0), Entry(2, "b", 7)
    assert look(arrivals, [empty, other], 0.0) == []
    assert look(arrivals, [empty, other], 9.0) == ["b"]
    written = Entry(3, "a", 7)
    assert look(arrivals, [written, other], 10.0) == []
    assert look(arrivals, [written, other], 11.0) == ["a"]


def test_many_files_are_taken_in_order_with_bounded_memory():
    entries = [Entry(1 + number // 3, f"{number:06d}", 1) for number in range(5 * AT_ONCE)]
    shuffled = random.Random(3).sample(entries, len(entries))
    arrivals, taken, now = Arrivals(), [], 0.0
    while len(taken) < len(entries):
        taken += look(arrivals, shuffled, now)
        assert len(arrivals._since) <= AT_ONCE
        now += SETTLE_S
        assert now < 30
    assert taken == [entry.name for entry in entries]


def test_a_plain_folder_of_many_is_read_in_order_some_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "NAMES_AT_ONCE", 3)
    for number in (5, 3, 8, 1, 7, 2, 6, 4):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    assert [number_of(shown) for shown in open_source(str(tmp_path))] == [1, 2, 3, 4, 5, 6, 7, 8]
