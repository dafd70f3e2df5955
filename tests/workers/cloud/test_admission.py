"""Slots, the line in front of them, and the bytes: what is taken is given back, whoever gives up when."""

from __future__ import annotations

import asyncio
import random

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
        admission.leave(0.0)
        await settle()
        assert served == [0, 1, 2]
        admission.leave(0.0)
        await settle()
        assert served == [0, 1, 2, 3]
        admission.leave(0.0)
        admission.leave(0.0)
        assert counts(admission) == (0, 0)

    asyncio.run(scenario())


def test_nobody_overtakes_the_line() -> None:
    async def scenario() -> None:
        admission = Admission(1, 2)
        await admission.enter()
        first = asyncio.create_task(admission.enter())
        await settle()
        admission.leave(0.0)
        # The slot is free but promised: a newcomer takes a place in the line, not the slot.
        newcomer = asyncio.create_task(admission.enter())
        await settle()
        assert first.done()
        assert not newcomer.done()
        admission.leave(0.0)
        await settle()
        assert newcomer.done()
        admission.leave(0.0)
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
            admission.leave(0.0)
            leaver.cancel()
        else:
            leaver.cancel()
            await settle()
            assert counts(admission) == (1, 1)
            admission.leave(0.0)
        await settle()
        assert leaver.cancelled()
        assert stayer.done()
        assert counts(admission) == (1, 0)
        admission.leave(0.0)
        await asyncio.wait_for(admission.enter(), 1)
        assert counts(admission) == (1, 0)

    asyncio.run(scenario())


def test_urgent_requests_overtake_and_may_take_a_place() -> None:
    async def scenario() -> None:
        admission = Admission(1, 4)
        await admission.enter()
        served: list[str] = []

        async def request(name: str) -> None:
            await admission.enter(urgent=name.startswith("u"))
            served.append(name)

        audits = [asyncio.create_task(request(f"b{n}")) for n in range(4)]
        await settle()
        alarm = asyncio.create_task(request("u"))
        await settle()
        with pytest.raises(Refused, match="of the other class took its place"):
            await audits[3]
        assert counts(admission) == (1, 4)
        for _ in range(4):
            admission.leave(0.0)
            await settle()
        assert served == ["u", "b0", "b1", "b2"]
        assert alarm.done()
        admission.leave(0.0)
        assert counts(admission) == (0, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(("bound", "left", "refused"), [(0.0, 1.0, False), (0.05, 9.0, True), (0.0, 0.05, True)])
def test_who_would_wait_too_long_is_told_at_once(bound: float, left: float, *, refused: bool) -> None:
    async def scenario() -> None:
        now = 0.0
        admission = Admission(1, 50, bound, clock=lambda: now)
        await admission.enter()
        tasks = [asyncio.create_task(admission.enter()) for _ in range(20)]
        await settle()
        for _ in range(10):  # one leaves every 10 ms
            now += 0.01
            admission.leave(now - 0.01)
            await settle()
        assert admission.waiting == 10  # the next one would wait for 110 ms
        if refused:
            with pytest.raises(Refused, match="it would wait for 110 ms"):
                admission.check(left_s=left)
            with pytest.raises(Refused, match="it would wait for 110 ms"):
                await admission.enter(left_s=left)
        else:
            admission.check(left_s=left)
        for task in tasks:
            task.cancel()
        await settle()
        assert admission.waiting == 0

    asyncio.run(scenario())


def test_who_is_refused_hears_when_the_line_will_be_gone() -> None:
    async def scenario() -> None:
        now = 0.0
        admission = Admission(1, 3, clock=lambda: now)
        await admission.enter()
        for _ in range(4):
            line = [asyncio.create_task(admission.enter()) for _ in range(3 - admission.waiting)]
            await settle()
            now += 1.5
            admission.leave(now - 1.5)
            await settle()
        line = [asyncio.create_task(admission.enter()) for _ in range(3 - admission.waiting)]
        await settle()
        with pytest.raises(Refused) as caught:
            await admission.enter()
        assert caught.value.retry_after_s == 5  # three of them, a second and a half each
        for task in line:
            task.cancel()

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


def test_it_is_pressed_only_where_somebody_may_be_refused() -> None:
    async def scenario() -> None:
        now = 0.0
        admission = Admission(1, 20, clock=lambda: now)
        assert not admission.is_pressed
        entered = await admission.enter()
        now = 0.02
        waiting = [asyncio.create_task(admission.enter()) for _ in range(2)]
        await settle()
        admission.leave(entered)  # it took 20 ms
        await settle()
        assert counts(admission) == (1, 1)
        assert not admission.is_pressed  # the next would wait for 40 ms: no bound is likely to be so short
        waiting += [asyncio.create_task(admission.enter()) for _ in range(4)]
        await settle()
        assert admission.is_pressed  # for 120 ms
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("waiting", "in_line", "pressed"), [(20, 17, False), (20, 20, True), (0, 0, True), (2, 2, True)]
)
def test_a_full_line_presses_whatever_the_wait(waiting: int, in_line: int, pressed: bool) -> None:
    async def scenario() -> None:
        admission = Admission(1, waiting, clock=lambda: 0.0)
        await admission.enter()
        tasks = [asyncio.create_task(admission.enter()) for _ in range(in_line)]
        await settle()
        assert admission.is_pressed is pressed
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


def test_a_bound_of_the_wait_presses_as_soon_as_it_is_reached() -> None:
    async def scenario() -> None:
        now = 0.0
        admission = Admission(1, 20, 0.03, clock=lambda: now)
        entered = await admission.enter()
        now = 0.02
        admission.leave(entered)
        await admission.enter()
        assert not admission.is_pressed  # 20 ms
        line = asyncio.create_task(admission.enter())
        await settle()
        assert admission.is_pressed  # 40 ms, of which 30 are allowed
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)

    asyncio.run(scenario())


def test_whatever_becomes_of_a_request_is_counted_once_and_its_time_to_the_moment() -> None:
    """Requests come, are refused, wait, give up, lose their place, are served or given up, by dice; beside it simple sums."""

    async def scenario(dice: random.Random) -> None:
        now, came, lost = 0.0, 0, 0
        admission = Admission(2, 6, clock=lambda: now)
        admission.resize(3, streams=2)
        sums, served = [0.0, 0.0, 0.0], [0, 0]
        waiting: set[asyncio.Task[None]] = set()
        inside: list[float] = []

        async def request(urgent: bool, left_s: float) -> None:
            nonlocal came, lost
            came += 1
            try:
                inside.append(await admission.enter(urgent=urgent, left_s=left_s))
            except (Refused, asyncio.CancelledError):
                lost += 1

        for _ in range(400):
            passed = dice.uniform(0, 0.1)
            working, in_line = counts(admission)
            for i, level in enumerate((working + in_line, in_line, min(working, admission.streams))):
                sums[i] += level * passed
            now += passed
            match dice.choice(("come", "come", "leave", "cancel", "resize")):
                case "come":
                    task = asyncio.ensure_future(request(dice.random() < 0.6, dice.choice((1000.0, 1000.0, 0.05))))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                case "leave" if inside:
                    gave_up = dice.random() < 0.2
                    served[gave_up] += 1
                    admission.leave(inside.pop(0), given_up=gave_up)
                case "cancel" if waiting:
                    dice.choice(sorted(waiting, key=id)).cancel()
                case "resize":
                    admission.resize(dice.randint(1, 4), dice.randint(1, 3))
            if dice.random() < 0.7:
                await settle()
            assert admission.load() == pytest.approx(tuple(sums))
        await settle()
        assert lost > 0
        assert served[True] > 0
        assert (admission.offered, admission.done, admission.dropped) == (came, served[False], lost + served[True])
        for task in waiting:
            task.cancel()

    for seed in range(20):
        asyncio.run(scenario(random.Random(seed)))


def test_a_place_is_not_taken_from_who_has_just_given_up() -> None:
    async def scenario() -> None:
        admission = Admission(1, 4)
        await admission.enter()
        waiting = [asyncio.create_task(admission.enter(urgent=False)) for _ in range(4)]
        await settle()
        waiting[-1].cancel()  # the youngest of the background, who would lose its place; it has not run since
        newcomer = asyncio.ensure_future(admission.enter())
        await settle()
        assert not newcomer.done()
        assert waiting[-1].cancelled()
        assert (admission.offered, admission.dropped) == (6, 1)
        for task in (*waiting, newcomer):
            task.cancel()

    asyncio.run(scenario())


def test_what_the_bytes_have_no_room_for_counts_as_refused() -> None:
    admission = Admission(1, 1)
    budget = ByteBudget(10, admission.refused_elsewhere)
    with budget.account() as account, pytest.raises(Refused):
        account.take(11)
    assert (admission.offered, admission.dropped) == (1, 1)
