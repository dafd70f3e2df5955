"""Slots, the line in front of them, and the bytes: what is taken is given back, whoever gives up when."""

from __future__ import annotations

import asyncio

import pytest

from workers.cloud.admission import Admission, ByteBudget, Refused


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def counts(admission: Admission) -> tuple[int, int]:
    return admission.in_flight, admission.waiting


def test_first_come_first_served_and_one_more_is_refused() -> None:
    async def scenario() -> None:
        admission = Admission(2, 2)
        served: list[int] = []

        async def request(number: int) -> None:
            await admission.enter()
            served.append(number)

        tasks = [asyncio.create_task(request(number)) for number in range(5)]
        await settle()
        assert counts(admission) == (2, 2)
        with pytest.raises(Refused, match="2 requests are waiting already") as caught:
            tasks[4].result()
        assert caught.value.retry_after_s == 1
        admission.leave()
        await settle()
        assert served == [0, 1, 2]
        admission.leave()
        await settle()
        assert served == [0, 1, 2, 3]
        admission.leave()
        admission.leave()
        assert counts(admission) == (0, 0)

    asyncio.run(scenario())


def test_nobody_overtakes_the_line() -> None:
    async def scenario() -> None:
        admission = Admission(1, 2)
        await admission.enter()
        first = asyncio.create_task(admission.enter())
        await settle()
        admission.leave()
        # The slot is free but promised: a newcomer takes a place in the line, not the slot.
        newcomer = asyncio.create_task(admission.enter())
        await settle()
        assert first.done()
        assert not newcomer.done()
        admission.leave()
        await settle()
        assert newcomer.done()
        admission.leave()
        assert counts(admission) == (0, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("when", ["waiting", "just promised a slot"])
def test_who_gives_up_in_the_line_costs_no_slot(when: str) -> None:
    async def scenario() -> None:
        admission = Admission(1, 2)
        await admission.enter()
        leaver, stayer = (asyncio.create_task(admission.enter()) for _ in range(2))
        await settle()
        if when == "just promised a slot":
            admission.leave()
            leaver.cancel()
        else:
            leaver.cancel()
            await settle()
            assert counts(admission) == (1, 1)
            admission.leave()
        await settle()
        assert leaver.cancelled()
        assert stayer.done()
        assert counts(admission) == (1, 0)
        admission.leave()
        await asyncio.wait_for(admission.enter(), 1)
        assert counts(admission) == (1, 0)

    asyncio.run(scenario())


def test_bytes_are_given_back_also_after_an_error() -> None:
    budget = ByteBudget(100)

    def second() -> None:
        with budget.account() as account:
            account.take(30)
            account.take(11)

    with budget.account() as first:
        first.take(60)
        with pytest.raises(Refused, match="hold 90 bytes already"):
            second()
        assert budget.used == 60
        with budget.account() as third:
            third.take(40)
            assert budget.used == 100
    assert budget.used == 0
