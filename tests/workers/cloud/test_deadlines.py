"""One timer for all deadlines."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from workers.cloud.deadlines import STEP_S, DeadlineBook, Deadlines


def runs(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def test_only_those_whose_deadline_is_over_are_taken_out_and_only_once() -> None:
    book = DeadlineBook()
    told: list[str] = []
    for name, deadline in (("late", 2.0), ("early", 1.0), ("same", 1.0)):
        book.enter(deadline, lambda name=name: told.append(name))
    assert book.first == pytest.approx(1.0)

    assert book.pop_due(1.0 - STEP_S) == []
    for expire in book.pop_due(1.0 + STEP_S):
        expire()

    assert sorted(told) == ["early", "same"]
    assert (len(book), book.first) == (1, pytest.approx(2.0))


def test_what_was_struck_out_is_not_told_and_leaves_nothing_behind() -> None:
    book = DeadlineBook()
    step = book.enter(1.0, print)
    book.strike(step, print)
    book.strike(step, print)

    assert book.pop_due(1e6) == []
    assert (len(book), book.first) == (0, None)


def test_no_deadline_is_over_before_its_time() -> None:
    book = DeadlineBook()
    book.enter(0.5 * STEP_S, print)
    assert book.pop_due(0.4 * STEP_S) == []
    assert book.pop_due(1.0 * STEP_S) == [print]


@runs
async def test_a_block_that_takes_too_long_is_told_and_one_that_does_not_is_not() -> None:
    deadlines = Deadlines()
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    never: list[str] = []
    begun = loop.time()
    with deadlines.calling(begun + 0.02, lambda: never.append("left in time")):
        pass
    with deadlines.calling(begun + 30, lambda: never.append("far away")), deadlines.calling(begun + 0.03, told.set):
        await asyncio.wait_for(told.wait(), 5)
    assert loop.time() - begun >= 0.03
    assert never == []


@runs
async def test_a_deadline_that_is_over_already_is_told_at_once_but_not_before_the_block_waits() -> None:
    told = asyncio.Event()
    with Deadlines().calling(asyncio.get_running_loop().time() - 1, told.set):
        assert not told.is_set()
        await asyncio.wait_for(told.wait(), 5)


@runs
async def test_an_earlier_deadline_is_not_kept_waiting_by_a_later_one_that_came_first() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    later: list[str] = []
    told = asyncio.Event()
    now = loop.time()
    with deadlines.calling(now + 30, lambda: later.append("told")), deadlines.calling(now + 0.02, told.set):
        await asyncio.wait_for(told.wait(), 5)
    assert later == []
