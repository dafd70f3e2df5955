"""A thread for what blocks, which nobody has to wait for at the end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(
    function: Callable[[], T], name: str, unwanted: Callable[[T], None] | None = None
) -> asyncio.Future[T]:
    """Run `function` in a thread that neither the event loop nor the interpreter waits for when it ends.

    Cancel the future to wait no more: what `function` returns all the same goes to `unwanted`, in a thread.
    """
    promise: concurrent.futures.Future[T] = concurrent.futures.Future()  # not marked as running: it can be cancelled

    def work() -> None:
        try:
            outcome = function()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the future is awaited
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                promise.set_exception(error)
            return
        try:
            promise.set_result(outcome)
        except concurrent.futures.InvalidStateError:
            if unwanted is not None:
                unwanted(outcome)

    def gave_up(future: asyncio.Future[T]) -> None:
        # The outcome may have come between the last look at the future and its cancellation.
        if future.cancelled() and not promise.cancel() and promise.exception() is None and unwanted is not None:
            threading.Thread(target=unwanted, args=(promise.result(),), name=name, daemon=True).start()

    threading.Thread(target=work, name=name, daemon=True).start()
    future = asyncio.wrap_future(promise)
    future.add_done_callback(gave_up)
    return future
