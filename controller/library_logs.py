"""What the libraries may say in our log: warnings, and each of them once a minute.

While the API server is away, every watch fails every few seconds with the same words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

REPEAT_S: Final = 60.0
MOST_KINDS: Final = 500

_NO_NEWS: Final = re.compile(
    # The framework trips over its own feet when it is stopped between two requests or in an event.
    r"request_cancel_callback|asynchronous generator <async_generator object infinite_watch"
    # Where watches, or its questions for what the server has, fail at the same time, it asks only the first for its error.
    r"|Task exception was never retrieved[^>]*coro=<(?:guard|_read_\w+)\(\)[^>]*/kopf/"
)

# Its requests notice by this that it has closed their connections: at its end, or when another one of them had to log in again.
_CLOSED_BY_ITSELF: Final = "TCP closed; will re-authenticate"

_GOES_ON: Final = ("will retry", "will re-authenticate")

_NUMBER: Final = re.compile(r"\d+")


class OncePerPeriod(logging.Filter):
    """Let a message pass that was not said in this period, whatever numbers are in it."""

    def __init__(self, clock: Callable[[], float], period_s: float = REPEAT_S) -> None:
        super().__init__()
        self._clock = clock
        self._period_s = period_s
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is logged."""
        kind = _NUMBER.sub("#", record.getMessage())
        now = self._clock()
        if now - self._said.get(kind, -self._period_s) < self._period_s:
            return False
        if len(self._said) >= MOST_KINDS:
            self._said.clear()
        self._said[kind] = now
        return True


def as_warning(record: logging.LogRecord) -> None:
    """Take a request that is tried again for no error: the framework does that for as long as it takes."""
    if record.levelno == logging.ERROR and any(words in record.getMessage() for words in _GOES_ON):
        record.levelno, record.levelname = logging.WARNING, "WARNING"


def _is_an_answer(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return kind is not None and kind.__module__.split(".")[0] in {"kopf", "aiohttp"}


def quieten_libraries(clock: Callable[[], float]) -> None:
    """Keep the play-by-play of the libraries out of the log."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It logs every lost race for the lease with a traceback; the elector says who leads.
    logging.getLogger("kubernetes.aio.leaderelection").setLevel(logging.CRITICAL)
    sparing = OncePerPeriod(clock)

    def passes(record: logging.LogRecord) -> bool:
        if record.name == "asyncio" and _NO_NEWS.search(record.getMessage()):
            return False
        if not record.name.startswith("kopf"):
            return True
        if _CLOSED_BY_ITSELF in record.getMessage():
            return False
        as_warning(record)
        if _is_an_answer(record):
            record.exc_info = None  # only the way through the libraries; what was answered is in the message
        return sparing.filter(record)

    for handler in logging.getLogger().handlers:
        handler.addFilter(passes)
