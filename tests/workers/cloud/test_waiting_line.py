"""Who is next, who gets a place, who loses one."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sedna_py.service_time import ServiceTime
from workers.cloud.waiting_line import WaitingLine


def filled(places: int, words: str) -> WaitingLine[str]:
    """`u1 b1 ...`: urgent and background ones in the order in which they come."""
    line: WaitingLine[str] = WaitingLine(places)
    for word in words.split():
        assert line.takes(urgent=word[0] == "u")
        line.push(word, urgent=word[0] == "u")
    return line


def drained(line: WaitingLine[str]) -> list[str]:
    return [line.pop() for _ in range(len(line))]


def test_urgent_ones_go_first_and_each_class_in_its_order() -> None:
    assert drained(filled(9, "b1 u1 b2 u2 u3")) == ["u1", "u2", "u3", "b1", "b2"]


def test_every_tenth_turn_is_the_backgrounds_while_both_wait() -> None:
    line = filled(100, " ".join(["b"] * 5 + ["u"] * 40))
    served = drained(line)
    assert [turn for turn, who in enumerate(served) if who == "b"][:4] == [9, 19, 29, 39]


def test_turns_are_counted_only_while_the_background_waits() -> None:
    line = filled(100, " ".join(["u"] * 30))
    assert [line.pop() for _ in range(20)] == ["u"] * 20
    line.push("b", urgent=False)
    assert drained(line) == ["u"] * 9 + ["b", "u"]


def test_an_urgent_one_takes_the_youngest_backgrounds_place_but_not_its_last_tenth() -> None:
    line = filled(10, " ".join(f"b{n}" for n in range(10)))
    lost = [line.push(f"u{number}", urgent=True) for number in range(12) if line.takes(urgent=True)]
    assert lost == [f"b{n}" for n in range(9, 0, -1)]
    assert not line.takes(urgent=True)
    assert len(line) == 10


def test_the_background_gets_its_tenth_of_a_line_full_of_urgent_ones() -> None:
    line = filled(10, " ".join(f"u{n}" for n in range(10)))
    assert line.takes(urgent=False)
    assert line.push("b", urgent=False) == "u9"
    assert not line.takes(urgent=False)
    assert not line.takes(urgent=True)


@pytest.mark.parametrize("places", [0, 1, 3])
def test_in_a_line_too_short_for_a_tenth_nobody_loses_a_place_to_the_background(places: int) -> None:
    line = filled(places, " ".join(["u"] * places))
    assert not line.takes(urgent=False)
    assert not line.takes(urgent=True)


def test_under_any_load_the_background_keeps_a_tenth() -> None:
    chance, line, served = random.Random(6), WaitingLine[str](30), Counter[str]()
    for _ in range(5000):
        for _ in range(3):  # three come for one that is served, nine of ten of them urgent
            who = "b" if chance.random() < 0.1 else "u"
            if line.takes(urgent=who == "u"):
                line.push(who, urgent=who == "u")
        served[line.pop()] += 1
        assert len(line) <= 30
    assert served["b"] / served.total() >= 0.099


def test_who_gives_up_is_gone() -> None:
    line = filled(9, "b1 u1 b2 u2")
    for gone in ("u1", "b1", "nobody"):
        line.remove(gone)
    assert drained(line) == ["u2", "b2"]
    with pytest.raises(IndexError):
        line.pop()


def test_the_wait_is_the_line_times_what_a_request_takes_shared_by_the_places() -> None:
    service = ServiceTime()
    assert service.wait_s(100, 1) == 0  # nothing is known
    for _ in range(20):
        service.left(0.02)
    assert service.wait_s(10, 1) == pytest.approx(0.2)
    assert service.wait_s(10, 4) == pytest.approx(0.05)


def test_a_bad_time_is_forgotten() -> None:
    service = ServiceTime()
    for _ in range(50):
        service.left(5.0)
    for _ in range(60):
        service.left(0.01)
    assert service.wait_s(1, 1) == pytest.approx(0.01, rel=1)
