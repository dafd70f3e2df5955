"""Secrets that services refer to: known before anything is made of them, and followed as long as somebody needs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from controller import secret_watch
from controller.errors import Forbidden, Unavailable
from controller.secret_watch import SecretWatch
from controller.store import ServiceKey, Store
from controller.work_queue import Backoff
from tests.controller.fakes import FakeCluster, until

SECRET = ("shop", "s")
GET, WATCH = "get Secret s", "watch Secret s"
HELMET = ServiceKey("shop", "helmet")


class Response:
    """A watch: it ends after its lines, or when `end` is called."""

    def __init__(self, *events: Any, status: int = 200, stays: bool = False) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        for event in events:
            self.tell(event)
        if not stays:
            self.end()
        self.status = status
        self.closed = False
        self.content = self._read()

    def tell(self, event: Any) -> None:
        self.lines.put_nowait(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n")

    def end(self) -> None:
        self.lines.put_nowait(None)

    async def _read(self) -> AsyncIterator[bytes]:
        while (line := await self.lines.get()) is not None:
            yield line

    def raise_for_status(self) -> None:
        if self.status >= 400:
            raise aiohttp.ClientPayloadError(str(self.status))

    def close(self) -> None:
        self.closed = True


def event(kind: str, **annotations: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": "s", "annotations": annotations}}}


class Desk:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.store = Store()
        self.changed: list[tuple[str, str]] = []
        self.secrets = SecretWatch(self.cluster, self.store, self.changed.append)  # type: ignore[arg-type]

    def watch(self, *responses: Response) -> None:
        async def answer(response: Response) -> Response:
            return response

        self.cluster.watches = [lambda *_, r=response: answer(r) for response in responses]  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_watch, "PAUSE", Backoff(first_s=0.001, most_s=0.001))


def run(scenario: Callable[[Desk], Awaitable[None]]) -> Desk:
    async def main() -> Desk:
        desk = Desk()
        desk.watch(*(Response(stays=True) for _ in range(300)))
        try:
            await scenario(desk)
        finally:
            await desk.secrets.close()
        assert [task for task in asyncio.all_tasks() if "secret" in task.get_name()] == []
        return desk

    return asyncio.run(main())


def test_a_secret_is_known_when_ensure_returns_and_asked_for_once() -> None:
    async def scenario(desk: Desk) -> None:
        desk.cluster.secrets[SECRET] = {"s3-endpoint": "store"}
        await desk.secrets.ensure(SECRET)
        assert desk.store.secrets == {SECRET: {"s3-endpoint": "store"}}
        await desk.secrets.ensure(SECRET)
        assert desk.cluster.calls == [GET]
        assert desk.changed == [SECRET]

    run(scenario)


def test_services_that_need_a_secret_at_the_same_time_share_one_watch() -> None:
    async def scenario(desk: Desk) -> None:
        await asyncio.gather(*(desk.secrets.ensure(SECRET) for _ in range(5)))
        await until(lambda: WATCH in desk.cluster.calls)
        assert desk.cluster.calls.count(WATCH) == 1

    run(scenario)


def test_a_secret_that_cannot_be_read_is_asked_for_again() -> None:
    async def scenario(desk: Desk) -> None:
        desk.cluster.failures[GET] = [Forbidden("no")]
        with pytest.raises(Forbidden):
            await desk.secrets.ensure(SECRET)
        await desk.secrets.ensure(SECRET)
        assert desk.cluster.calls == [GET, GET]

    run(scenario)


def test_events_are_followed_without_what_kubectl_keeps_of_the_data() -> None:
    async def scenario(desk: Desk) -> None:
        watch = Response(stays=True)
        desk.watch(watch)
        await desk.secrets.ensure(SECRET)
        assert (desk.store.secrets, desk.changed) == ({}, [])
        copy = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":"c2VjcmV0"}'}
        for told, known, changes in [
            (event("ADDED", a="1", **copy), {SECRET: {"a": "1"}}, 1),
            (event("MODIFIED", a="1"), {SECRET: {"a": "1"}}, 1),
            (event("BOOKMARK"), {SECRET: {"a": "1"}}, 1),
            (event("MODIFIED", a="2"), {SECRET: {"a": "2"}}, 2),
            (event("DELETED", a="2"), {}, 3),
        ]:
            watch.tell(told)
            await until(watch.lines.empty)
            await asyncio.sleep(0)
            assert desk.store.secrets == known, told
            assert len(desk.changed) == changes, told

    run(scenario)


@pytest.mark.parametrize(
    "ending",
    [
        Response,
        lambda: Response({"type": "ERROR", "object": {"code": 410}}, stays=True),
        lambda: Response(status=403),
        lambda: Response(b"{not json\n", stays=True),
        lambda: Response({"type": "ADDED"}, stays=True),  # with no object, which nobody foresaw
    ],
    ids=["ended", "ERROR", "refused", "no JSON", "no object"],
)
def test_a_watch_that_ends_in_any_way_is_closed_and_begun_anew(ending: Callable[[], Response]) -> None:
    async def scenario(desk: Desk) -> None:
        first, second = ending(), Response(stays=True)
        desk.watch(first, second)
        await desk.secrets.ensure(SECRET)
        await until(lambda: desk.cluster.calls.count(WATCH) == 2)
        assert first.closed
        desk.cluster.calls.clear()
        second.tell(event("ADDED", a="1"))
        await until(lambda: bool(desk.store.secrets))

    run(scenario)


def test_what_happened_between_two_watches_is_read() -> None:
    async def scenario(desk: Desk) -> None:
        desk.cluster.secrets[SECRET] = {"a": "1"}
        first, second = Response(stays=True), Response(stays=True)
        desk.watch(first, second)
        await desk.secrets.ensure(SECRET)
        await until(lambda: desk.cluster.calls.count(GET) == 2)
        del desk.cluster.secrets[SECRET]  # no event tells it
        first.end()
        await until(lambda: desk.store.secrets == {})
        assert desk.changed == [SECRET, SECRET]

    run(scenario)


def test_a_server_that_is_away_does_not_end_the_watching() -> None:
    async def scenario(desk: Desk) -> None:
        desk.cluster.failures[WATCH] = [Unavailable("away")] * 3
        await desk.secrets.ensure(SECRET)
        await until(lambda: desk.cluster.calls.count(WATCH) == 4)

    run(scenario)


def test_a_refresh_reads_what_is_used_and_forgets_the_rest() -> None:
    async def scenario(desk: Desk) -> None:
        other, refused = ("shop", "other"), ("shop", "refused")
        desk.cluster.secrets = {SECRET: {"a": "1"}, other: {"b": "1"}, refused: {}}
        desk.store.uses(HELMET, {("Secret", *SECRET), ("Secret", *refused)})
        for secret in desk.cluster.secrets:
            await desk.secrets.ensure(secret)
        desk.changed.clear()
        desk.cluster.secrets[SECRET] = {"a": "2"}
        desk.cluster.failures["get Secret refused"] = [Forbidden("no")]
        await desk.secrets.refresh()
        assert desk.store.secrets == {SECRET: {"a": "2"}, refused: {}}
        assert desk.changed == [SECRET]
        await desk.secrets.refresh()
        assert "get Secret other" not in desk.cluster.calls[-2:]
        await desk.secrets.ensure(other)  # somebody needs it again
        assert desk.store.secrets[other] == {"b": "1"}

    run(scenario)


def test_a_refresh_without_a_server_says_so() -> None:
    async def scenario(desk: Desk) -> None:
        desk.store.uses(HELMET, {("Secret", *SECRET)})
        await desk.secrets.ensure(SECRET)
        await until(lambda: WATCH in desk.cluster.calls)
        await asyncio.sleep(0.002)
        desk.cluster.failures[GET] = [Unavailable("away")]
        with pytest.raises(Unavailable):
            await desk.secrets.refresh()

    run(scenario)


def test_watches_are_bounded_in_number_and_the_others_are_read_with_each_refresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret_watch, "MOST_WATCHES", 2)

    async def scenario(desk: Desk) -> None:
        names = ["a", "b", "c"]
        desk.store.uses(HELMET, {("Secret", "shop", name) for name in names})
        for name in names:
            await desk.secrets.ensure(("shop", name))
        await until(lambda: sum(call.startswith("watch") for call in desk.cluster.calls) == 2)
        desk.cluster.secrets["shop", "c"] = {"new": "1"}
        await desk.secrets.refresh()
        assert desk.store.secrets == {("shop", "c"): {"new": "1"}}
        assert "watch Secret c" not in desk.cluster.calls

    run(scenario)
