"""One asyncio loop in a daemon thread, for programs that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from sedna_py.errors import SednaError

T = TypeVar("T")

_GRACE_S: Final = 1.0


class BackgroundLoop:
    """Run coroutines from any thread; started by its constructor, ended by `close` or with the process."""

    def __init__(self, name: str = "sedna-background") -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, coro: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine and return at once; cancelling the future cancels it. Raises SednaError after `close`."""
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coro, self._loop)
        coro.close()
        raise SednaError("the background loop is closed; make a new one")

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Have a function called in the loop's thread; cheaper than a coroutine. Raises SednaError after `close`."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(callback, *args)
                return
        raise SednaError("the background loop is closed; make a new one")

    def run(self, coro: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Wait for a coroutine's result; after `timeout_s` seconds it is cancelled and TimeoutError raised."""
        if threading.current_thread() is self._thread:
            coro.close()
            raise SednaError("run() was called inside the background loop, which would wait for itself; use await")
        future = self.submit(coro)
        try:
            return future.result(timeout_s)
        finally:
            # A no-op on a finished one; else nobody is left to want the result (time-out, Ctrl-C).
            future.cancel()

    def close(self, timeout_s: float = 2.0) -> None:
        """Cancel what runs, end the thread and wait for it `timeout_s` seconds at most; may be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel_others())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE_S)
