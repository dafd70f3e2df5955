"""The exact timer, and what stands in for it where there is none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sedna_py.load_test import wake_up
from sedna_py.load_test.runner import event_loop_factory


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, event_loop_factory()])
def test_it_rings_once_when_the_last_time_given_is_over_and_never_when_closed(monkeypatch, factory, exact):
    if not exact:
        monkeypatch.setattr(wake_up, "_library", lambda: None)

    async def story() -> None:
        rung: list[float] = []
        event = asyncio.Event()

        def back() -> None:
            rung.append(time.perf_counter())
            event.set()

        open_before = descriptors()
        timer = wake_up.WakeUp(back)
        begun = time.perf_counter()
        timer.after(0.001)
        timer.after(0.03)
        await asyncio.wait_for(event.wait(), 5)
        assert rung[0] - begun >= 0.028
        event.clear()
        timer.after(-1.0)
        await asyncio.wait_for(event.wait(), 5)
        timer.after(0.001)
        timer.close()
        timer.after(0.001)
        await asyncio.sleep(0.03)
        assert len(rung) == 2
        timer.close()
        assert descriptors() == open_before

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(story())


def test_this_machine_has_exact_timers():
    assert wake_up._library() is not None
