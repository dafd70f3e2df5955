"""The window's rule, with hand-fed times."""

from __future__ import annotations

import pytest

from sedna_py.client.offload_window import OffloadWindow


def test_it_opens_by_a_place_an_answer_up_to_its_bound():
    window = OffloadWindow(16)
    opened = []
    for _ in range(20):
        opened.append(window.places)
        window.answered(0.1, deadline_s=2.0)
    assert opened == [*range(2, 16), *[16] * 6]
    assert OffloadWindow(1).places == 1


def test_a_cloud_that_is_slow_from_the_first_answer_on_gets_no_more():
    window = OffloadWindow(16)
    for _ in range(20):
        window.answered(1.2, deadline_s=2.0)
    assert window.places == 2


def test_one_jam_is_one_cut():
    window = OffloadWindow(16, start=16)
    for started in (0.0, 0.1, 0.9):  # all on their way before the first of them was given up
        window.missed(started, now=2.0)
    assert window.places == 8
    window.missed(2.5, now=4.5)
    assert window.places == 4


def test_it_keeps_one_place():
    window = OffloadWindow(4, start=4)
    for second in range(1, 20):
        window.missed(second, now=second + 0.5)
    assert window.places == 1


@pytest.mark.parametrize(("took_s", "places"), [(1.0, 5), (1.01, 4)])
def test_only_quick_answers_widen_it_by_a_place_a_round_trip(took_s, places):
    window = OffloadWindow(16, start=16)
    window.missed(0.0, now=2.0)
    window.missed(3.0, now=5.0)
    for _ in range(5):  # a window of 4 has gone round once, and a bit
        window.answered(took_s, deadline_s=2.0)
    assert window.places == places


@pytest.mark.parametrize("start", [2, 16])
def test_a_slow_cloud_is_given_what_it_can_answer(start):
    """2.4 answers a second, deadline 2 s: five are in time. Simulated: each round sends a full window."""
    window, now, answered, sent = OffloadWindow(16, start), 0.0, 0, 0
    for _ in range(40):
        places, started, now = window.places, now + 0.01, now + 2.0
        for place in range(places):
            took = (place + 1) / 2.4
            sent += 1
            if took <= 2.0:
                answered += 1
                window.answered(took, deadline_s=2.0)
            else:
                window.missed(started, now)
    assert window.places <= 5
    assert answered / sent > 0.85


@pytest.mark.parametrize(("took_s", "places"), [(0.85, 2), (0.95, 1)])
def test_a_second_place_is_opened_only_where_two_answers_are_in_time(took_s, places):
    window = OffloadWindow(16, start=1)
    window.answered(took_s, deadline_s=2.0)
    assert window.places == places
