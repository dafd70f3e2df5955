"""Since when nobody has asked: two witnesses, and nothing is believed of a pod that nobody could read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.zero.quiet import FRESH_S, HEARD_S, MOST_EDGES, Quiet
from sedna_py.autoscaling.snapshot import Snapshot

RESTING = Snapshot(
    at=0, began=1000, offered=7, done=5, dropped=2, present_s=3, waiting_s=1, busy_s=2, streams=2
)  # nobody is inside


def read(at: float, **changes: float) -> Snapshot:
    return replace(RESTING, at=at, **changes)


def watched(until: int, quiet: Quiet | None = None, start: int = 0, **changes: float) -> Quiet:
    """Read one pod every two seconds."""
    quiet = quiet or Quiet()
    for second in range(start, until + 1, 2):
        quiet.look({"pod": read(second, **changes)}, second)
    return quiet


def test_the_time_runs_from_the_first_reading_as_long_as_nothing_changes() -> None:
    assert Quiet().idle_s(100) == 0
    quiet = watched(60)
    assert quiet.idle_s(60) == 60
    assert quiet.idle_s(61.5) == 61.5


@pytest.mark.parametrize(
    "change",
    [
        {"offered": 8, "done": 6},  # one was answered between two readings
        {"offered": 8, "dropped": 3},
        {"offered": 8},  # one is inside
        {"began": 2000},  # another process: nobody knows what the one before had
        {"began": 2000, "offered": 0, "done": 0, "dropped": 0},
    ],
)
def test_whatever_a_pod_has_counted_lets_it_begin_anew(change: dict[str, float]) -> None:
    quiet = watched(60)
    quiet.look({"pod": read(62, **change)}, 62)
    assert quiet.idle_s(62) == 0


def test_a_request_that_stays_inside_holds_the_time_however_long_it_takes() -> None:
    quiet = watched(120, offered=8)
    assert quiet.idle_s(120) == 0
    watched(180, quiet, start=122, offered=8, done=6)
    assert quiet.idle_s(180) == 58


@pytest.mark.parametrize("reading", [None, read(60 - FRESH_S - 1)], ids=["none", "old"])
def test_without_a_fresh_reading_nothing_is_known(reading: Snapshot | None) -> None:
    quiet = watched(58)
    quiet.look({"pod": reading}, 60)
    assert quiet.idle_s(60) == 0
    watched(80, quiet, start=62)
    assert quiet.idle_s(80) == 18


def test_every_pod_has_to_be_read_and_one_that_comes_or_goes_is_news() -> None:
    quiet = watched(60)
    quiet.look({"pod": read(62), "other": None}, 62)
    assert quiet.idle_s(62) == 0
    quiet.look({"pod": read(64), "other": read(64)}, 64)
    quiet.look({"pod": read(70), "other": read(70)}, 70)
    assert quiet.idle_s(70) == 6
    quiet.look({"pod": read(72)}, 72)
    assert quiet.idle_s(72) == 0
    quiet.look({}, 74)
    assert quiet.idle_s(74) == 0


def test_who_asked_while_the_time_ran_lets_it_begin_anew() -> None:
    quiet = watched(60)
    quiet.disturbed(61)
    assert quiet.idle_s(70) == 9
    never = Quiet()
    never.disturbed(61)
    assert never.idle_s(70) == 0


def test_an_edge_that_reports_is_waited_for_after_the_last_request_but_not_one_that_is_offline() -> None:
    """Its next report may tell of a hard frame from before; else a cloud that has just gone to sleep would be woken for it."""
    quiet = Quiet()
    quiet.heard("edge", -5)
    watched(20, quiet)
    assert quiet.idle_s(20) == 0
    quiet.heard("edge", 21)
    assert quiet.idle_s(22) == 22
    quiet.disturbed(23)
    assert quiet.idle_s(30) == 0
    assert quiet.idle_s(21 + HEARD_S) == HEARD_S - 2


def test_it_remembers_no_more_edges_than_it_may() -> None:
    quiet = Quiet()
    for number in range(2 * MOST_EDGES):
        quiet.heard(f"edge-{number}", number)
    assert len(quiet._heard) == MOST_EDGES
