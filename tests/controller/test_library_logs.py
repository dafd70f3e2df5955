"""What of the libraries' log comes through."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator

import kopf
import pytest
from kopf._cogs.aiokits.aiotasks import create_guarded_task
from kopf._cogs.clients import api
from kopf._cogs.clients.auth import APIContext
from kopf._cogs.clients.errors import APISessionClosed
from kopf._cogs.clients.scanning import scan_resources

from controller.library_logs import MOST_KINDS, OncePerPeriod, as_warning, quieten_libraries


def record(message: str, name: str = "kopf.x", *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "f.py", 1, message, arguments, None)


def test_the_same_words_come_once_in_a_period_whatever_their_numbers() -> None:
    now = 0.0
    sparing = OncePerPeriod(lambda: now, period_s=60)
    assert sparing.filter(record("attempt %d failed: %s", "kopf", 1, "refused"))
    assert not sparing.filter(record("attempt %d failed: %s", "kopf", 2, "refused"))
    assert sparing.filter(record("attempt 3 failed: timeout"))
    now = 59.9
    assert not sparing.filter(record("attempt 4 failed: refused"))
    now = 60.0
    assert sparing.filter(record("attempt 5 failed: refused"))
    assert not sparing.filter(record("attempt 6 failed: refused"))


def test_it_remembers_a_bounded_number_of_messages() -> None:
    sparing = OncePerPeriod(lambda: 0.0)
    words = [f"{chr(97 + first)}{chr(97 + second)}" for first in range(26) for second in range(26)]
    assert all(sparing.filter(record(word)) for word in words)
    assert len(sparing._said) <= MOST_KINDS < len(words)


@pytest.fixture
def root_handler() -> Iterator[list[str]]:
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(f"{record.name}: {record.getMessage()}")

    handler = Keep()
    names = ("kopf", "kubernetes.aio.leaderelection")
    levels = {name: logging.getLogger(name).level for name in names}
    root = logging.getLogger()
    others, before = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    yield said
    root.handlers[:] = others
    root.setLevel(before)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_the_framework_is_spared_and_our_own_log_is_not(root_handler: list[str]) -> None:
    quieten_libraries(lambda: 0.0)
    for _ in range(2):
        logging.getLogger("kopf.activities").info("play by play")
        logging.getLogger("kopf._cogs.clients.watching").warning("the watch failed after 1 s")
        logging.getLogger("kubernetes.aio.leaderelection.leaderelection").error("Failed to update lock")
        logging.getLogger("controller.term").warning("cannot list yet")
    assert root_handler == [
        "kopf._cogs.clients.watching: the watch failed after 1 s",
        "controller.term: cannot list yet",
        "controller.term: cannot list yet",
    ]


def test_a_watch_that_is_closed_in_an_event_is_no_news_and_any_other_trouble_of_the_loop_is(
    root_handler: list[str],
) -> None:
    quieten_libraries(lambda: 0.0)
    said = "an error occurred during closing of asynchronous generator <async_generator object %s at 0x7f8ef68a9d20>"
    for name in ("infinite_watch", "of_our_own"):
        logging.getLogger("asyncio").error(said, name)
    (left,) = root_handler
    assert "of_our_own" in left


def test_a_watch_whose_failure_the_framework_has_logged_is_not_told_again_by_the_loop(root_handler: list[str]) -> None:
    quieten_libraries(lambda: 0.0)

    async def fails(what: str) -> None:
        raise OSError(what)

    async def two_tasks_that_nobody_asks() -> None:
        tasks = {create_guarded_task(fails("of the framework"), "watcher"), asyncio.create_task(fails("of our own"))}
        await asyncio.wait(tasks)

    asyncio.run(two_tasks_that_nobody_asks())
    gc.collect()
    told = [line for line in root_handler if "never retrieved" in line]
    assert len(told) == 1
    assert "of our own" in told[0]


def test_of_its_first_questions_that_fail_the_framework_raises_one_and_the_loop_is_silent_about_the_others(
    root_handler: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quieten_libraries(lambda: 0.0)

    async def closed(*_: object, **__: object) -> None:
        raise OSError("Connection closed")

    monkeypatch.setattr(api, "get", closed)
    scan = scan_resources(settings=kopf.OperatorSettings(), logger=logging.getLogger("kopf.objects"))
    with pytest.raises(OSError, match="Connection closed"):
        asyncio.run(scan)
    gc.collect()
    assert [line for line in root_handler if "never retrieved" in line] == []


def test_connections_that_the_framework_has_closed_itself_are_no_news(root_handler: list[str]) -> None:
    quieten_libraries(lambda: 0.0)
    logger = logging.getLogger("kopf.objects")

    async def ask_after_the_end() -> None:
        context = APIContext(kopf.ConnectionInfo(server="http://127.0.0.1:1"))
        await context.session.close()
        with pytest.raises(APISessionClosed):
            await api.request("get", "/apis", settings=kopf.OperatorSettings(), logger=logger, context=context)

    asyncio.run(ask_after_the_end())
    assert [line for line in root_handler if line.startswith("kopf")] == []


def test_a_request_that_is_made_again_is_no_error() -> None:
    said = ("failed; will retry: GET x", "failed; SSL closed; will re-authenticate: GET x", "failed; escalating: GET x")
    records = [logging.LogRecord("kopf.api", logging.ERROR, "f", 1, f"Request attempt #1 {s}", (), None) for s in said]
    for told in records:
        as_warning(told)
    assert [told.levelname for told in records] == ["WARNING", "WARNING", "ERROR"]
