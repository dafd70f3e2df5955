from __future__ import annotations

import signal

import pytest

from sedna_py.local.restart_policy import GiveUp, Restart, RestartPolicy, how_it_ended

KILLED = -signal.SIGKILL


def verdicts(*runs: tuple[int, float]) -> list[float | None]:
    """Return the pause after each run, None where it gives up."""
    policy = RestartPolicy(shortest_s=1, longest_s=4, settled_s=10, attempts=6, refusals=2)
    found = [policy.ended(status, ran_s) for status, ran_s in runs]
    return [verdict.delay_s if isinstance(verdict, Restart) else None for verdict in found]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(KILLED, 1)] * 6, [1, 2, 4, 4, 4, None]),
        ([(1, 1)] * 2, [1, None]),  # says what is wrong and goes: asked twice
        ([(1, 9.9), (1, 0)], [1, None]),
        ([(1, 1), (KILLED, 1), (1, 1), (1, 1)], [1, 2, 4, None]),  # a crash between two refusals
        ([(1, 10), *[(1, 1)] * 5], [1, 2, 4, 4, 4, None]),  # it was up once, so its settings are not to blame
        ([(KILLED, 1), (KILLED, 1), (KILLED, 10), (KILLED, 1)], [1, 2, 1, 2]),  # a long run starts the count anew
        ([(1, 60)] * 20, [1] * 20),
    ],
)
def test_pauses(runs: list[tuple[int, float]], expected: list[float | None]) -> None:
    assert verdicts(*runs) == expected


def test_by_default_a_refusal_costs_half_a_second_and_crashes_a_quarter_minute() -> None:
    assert RestartPolicy().ended(1, 0) == Restart(0.5, "ended with status 1")
    policy = RestartPolicy()
    found = [policy.ended(KILLED, 0) for _ in range(6)]
    assert sum(verdict.delay_s for verdict in found if isinstance(verdict, Restart)) == 15.5
    assert found[-1] == GiveUp("it ended 6 times in a row, the last time by SIGKILL")


def test_a_single_attempt() -> None:
    assert RestartPolicy(attempts=1).ended(3, 0) == GiveUp("it ended once, the last time with status 3")


@pytest.mark.parametrize(
    ("status", "expected"), [(0, "with status 0"), (137, "with status 137"), (-15, "by SIGTERM"), (-99, "by signal 99")]
)
def test_how_it_ended(status: int, expected: str) -> None:
    assert how_it_ended(status) == expected
