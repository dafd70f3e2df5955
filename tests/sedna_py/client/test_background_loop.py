"""A loop in a thread: results, errors, time-outs and its end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from queue import Queue

import pytest

from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.errors import SednaError


@pytest.fixture
def background():
    loop = BackgroundLoop("test-background")
    yield loop
    loop.close()


async def _double(value):
    await asyncio.sleep(0)
    return 2 * value


async def _fail():
    raise KeyError("reason")


def test_results_and_errors_come_back(background):
    assert background.run(_double(21), 1.0) == 42
    assert background.submit(_double(4)).result(1.0) == 8
    with pytest.raises(KeyError, match="reason"):
        background.run(_fail(), 1.0)


def test_many_threads_share_it(background):
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(background.run(_double(n), 1.0))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2 * n for n in range(20)]


def test_a_timeout_cancels_the_coroutine(background):
    begun, cancelled = threading.Event(), threading.Event()

    async def endless():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    while not begun.is_set():  # one whose time was over before the loop came to it is never begun
        with pytest.raises(TimeoutError):
            background.run(endless(), 0.02)
    assert cancelled.wait(20)


def test_run_inside_the_loop_is_refused_instead_of_hanging(background):
    async def nested():
        return background.run(_double(1), 1.0)

    with pytest.raises(SednaError, match="use await"):
        background.run(nested(), 1.0)


def test_close_cancels_what_runs_and_ends_the_thread():
    loop = BackgroundLoop("test-closing")
    started = threading.Event()

    async def endless():
        started.set()
        await asyncio.Event().wait()

    future = loop.submit(endless())
    assert started.wait(1.0)
    loop.close()
    with pytest.raises(CancelledError):
        future.result(1.0)
    assert "test-closing" not in [thread.name for thread in threading.enumerate()]
    loop.close()
    with pytest.raises(SednaError, match="closed"):
        loop.submit(_double(1))
    with pytest.raises(SednaError, match="closed"):
        loop.run(_double(1))


def test_it_may_be_closed_from_inside():
    loop = BackgroundLoop("test-inside")

    async def close():
        loop.close()

    loop.submit(close()).result(1.0)
    loop.close()
    assert "test-inside" not in [thread.name for thread in threading.enumerate()]


def test_the_thread_never_keeps_the_process_alive(background):
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "test-background"]
    assert thread.daemon


def test_a_function_is_called_in_the_loops_thread_and_none_after_close():
    loop, called = BackgroundLoop("called"), Queue()
    loop.call_soon(lambda said: called.put((said, threading.current_thread().name)), "this")
    assert called.get(timeout=10) == ("this", "called")
    loop.close()
    with pytest.raises(SednaError):
        loop.call_soon(called.put, "more")
    assert called.empty()
