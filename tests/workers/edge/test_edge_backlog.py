"""Who goes next and who gives way: the index of the offline queue, without a disk and without a clock."""

from __future__ import annotations

import random

import pytest

from workers.edge.offline_queue.backlog import BLOCK, LONGEST_REST_S, REST_S, Backlog, Waiting, value

ROOM_FOR = 8


def item(name, score=0.5, captured=0.0, size=BLOCK):
    return Waiting(str(name), score, captured, size)


def filled(*items, room_for=ROOM_FOR, age_s=100.0):
    backlog = Backlog(room_for * BLOCK, age_s)
    for one in items:
        assert backlog.add(one) == []
    return backlog


def drained(backlog, now=0.0):
    names = []
    while (one := backlog.lend(now)) is not None:
        names.append(one.name)
        backlog.remove(one)
    return names


def test_the_most_uncertain_goes_first_then_the_newest_and_before_all_what_has_no_score():
    backlog = filled(item("sure", 0.9), item("old", 0.2, 1), item("new", 0.2, 2), item("none", None), item("zero", 0.0))
    assert drained(backlog) == ["none", "zero", "new", "old", "sure"]
    assert (len(backlog), backlog.bytes, backlog.oldest) == (0, 0, None)


def test_the_least_uncertain_gives_way():
    backlog = filled(*(item(n, n / 10) for n in range(ROOM_FOR)))
    assert [one.name for one in backlog.add(item("new", 0.15))] == ["7"]
    assert drained(backlog) == ["0", "1", "new", "2", "3", "4", "5", "6"]


def test_the_new_one_gives_way_if_it_is_that():
    backlog = filled(*(item(n, 0.1) for n in range(ROOM_FOR)))
    sure = item("sure", 0.9)
    assert not backlog.would_keep(sure)
    assert backlog.add(sure) == [sure]
    assert len(backlog) == ROOM_FOR


def test_a_large_one_takes_the_room_of_several():
    backlog = filled(*(item(n, n / 10) for n in range(ROOM_FOR)))
    assert {one.name for one in backlog.add(item("large", 0.0, size=3 * BLOCK - 1))} == {"5", "6", "7"}
    assert backlog.bytes == ROOM_FOR * BLOCK


def test_one_that_is_larger_than_all_the_room_leaves_the_others_alone():
    backlog = filled(item("small", 0.9))
    huge = item("huge", 0.0, size=(ROOM_FOR + 1) * BLOCK)
    assert not backlog.would_keep(huge)
    assert backlog.add(huge) == [huge]
    assert drained(backlog) == ["small"]


def test_bytes_are_counted_in_blocks():
    backlog = filled(item("a", size=1), item("b", size=BLOCK + 1))
    assert backlog.bytes == 3 * BLOCK


def test_what_is_too_old_goes():
    backlog = filled(item("old", 0.0, 10), item("new", 0.9, 20))
    assert backlog.oldest == 10
    assert backlog.expire(110) == []
    assert [one.name for one in backlog.expire(110.5)] == ["old"]
    assert backlog.oldest == 20


def test_what_is_on_its_way_counts_but_gives_no_way():
    backlog = filled(*(item(n, n / 10) for n in range(ROOM_FOR)))
    lent = [backlog.lend(0) for _ in range(ROOM_FOR)]
    new = item("new", 0.0)
    assert not backlog.would_keep(new)
    assert backlog.add(new) == [new]
    assert backlog.expire(1e9) == []
    assert len(backlog) == ROOM_FOR
    backlog.give_back(lent[0], 0, tried=False)
    assert backlog.lend(0) == lent[0]


def test_one_that_was_tried_in_vain_rests_longer_each_time_and_holds_up_no_other():
    backlog = filled(item("bad", 0.1), item("good", 0.2))
    now, rest = 0.0, REST_S
    for _ in range(10):
        bad = backlog.lend(now)
        assert bad.name == "bad"
        backlog.give_back(bad, now, tried=True)
        good = backlog.lend(now + rest - 0.1)
        assert good.name == "good"
        backlog.give_back(good, now, tried=False)
        now, rest = now + rest, min(rest * 2, LONGEST_REST_S)
    assert rest == LONGEST_REST_S


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_a_plain_list(seed):
    """Any order of operations: never over the bound, and who is left is who a sorted list would have kept."""
    chance, backlog = random.Random(seed), Backlog(10 * BLOCK, 50)
    plain: list[Waiting] = []
    for step in range(600):
        now = step / 2
        new = item(step, chance.choice([None, 0.1, 0.2, chance.random()]), now, chance.randint(1, 3 * BLOCK))
        kept = backlog.would_keep(new)
        gone = backlog.add(new)
        assert kept == (new not in gone)
        plain = sorted([*plain, new], key=value)
        while sum(one.room for one in plain) > 10 * BLOCK:
            assert plain.pop() in gone
        gone = backlog.expire(now)
        assert {one for one in plain if now - one.captured > 50} == set(gone)
        plain = [one for one in plain if one not in gone]
        if chance.random() < 0.3 and plain:
            assert backlog.lend(now) == plain[0]
            backlog.remove(plain.pop(0))
        assert (len(backlog), backlog.bytes) == (len(plain), sum(one.room for one in plain))
        assert backlog.oldest == min((one.captured for one in plain), default=None)
    assert drained(backlog) == [one.name for one in plain]
