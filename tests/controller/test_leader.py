"""Leader election against a Lease on loopback; the clock runs ten times as fast as in life, and not on while all is held up."""

from __future__ import annotations

import asyncio
import json
import re
import selectors
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.leaderelection import leaderelection

from controller import leader as module
from controller.leader import Elector
from tests.controller.fakes import until as until_real_seconds

SPEED = 10
MOST_HELD_UP_S = 0.1  # the clock goes on by this, beside what was waited for, however long the machine was busy
DURATION_S = 4
NAME = "sedna-controller"


class FastClock:
    """Goes on whenever the loop looks around."""

    def __init__(self) -> None:
        self.now = self._looked = time.monotonic()

    def looked(self, waited_s: float) -> None:
        """Go on by the time since the last call; if there is much more of it than was waited for, the machine was busy."""
        real = time.monotonic()
        self.now += min((real - self._looked) * SPEED, waited_s + MOST_HELD_UP_S)
        self._looked = real


class FastSelector(selectors.DefaultSelector):
    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(timeout / SPEED if timeout else timeout)
        # What is found was there at once: both ends of every connection are in this loop.
        self._clock.looked(0.0 if found else timeout or 0.0)
        return found


class FastLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FastClock) -> None:
        super().__init__(FastSelector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FastClock:
    clock = FastClock()
    ahead = time.time() - clock.now
    monkeypatch.setattr(leaderelection, "time", SimpleNamespace(time=lambda: ahead + clock.now))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Leases:
    """The API server, for one Lease; `trouble` is asked first, and may answer or never return."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes: list[str] = []
        self.trouble: Callable[[web.Request], Awaitable[web.Response | None]] | None = None

    @property
    def holder(self) -> str | None:
        return self.lease["spec"].get("holderIdentity") if self.lease else None

    def set_holder(self, identity: str) -> None:
        assert self.lease is not None
        self.version += 1
        self.lease["spec"]["holderIdentity"] = identity
        self.lease["metadata"]["resourceVersion"] = str(self.version)

    async def handle(self, request: web.Request) -> web.Response:
        if self.trouble is not None and (answer := await self.trouble(request)) is not None:
            return answer
        if request.method == "GET":
            return answered(200, self.lease) if self.lease else refused(404)
        body = await request.json()
        sent = body["metadata"].get("resourceVersion")
        if (request.method == "POST") is bool(self.lease) or (self.lease and sent != str(self.version)):
            return refused(409)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.lease = body
        self.writes.append(f"{request.method} {body['spec'].get('holderIdentity')}")
        return answered(200, self.lease)


async def until(condition: Callable[[], bool]) -> None:
    await until_real_seconds(condition, 5 * SPEED)


def answered(status: int, body: Any) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")


def refused(code: int) -> web.Response:
    return answered(code, {"kind": "Status", "code": code, "message": "no", "reason": "No"})


async def away(_: web.Request) -> web.Response:
    return refused(503)


async def hanging(request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError(request)


class Field:
    """A server and the candidates of a test."""

    def __init__(self, client: ApiClient, leases: Leases) -> None:
        self.client = client
        self.leases = leases
        self.tasks: list[asyncio.Task[None]] = []

    def candidate(self, pod: str, *, runs: bool = True) -> Elector:
        holder = (pod, f"10.0.0.1:{len(self.tasks) + 9100}")
        elector = Elector(self.client, name=NAME, namespace="sedna", holder=holder, duration_s=DURATION_S)
        if runs:
            self.tasks.append(asyncio.create_task(elector.run()))
        return elector

    async def leader(self, pod: str) -> Elector:
        elector = self.candidate(pod)
        await asyncio.wait_for(elector.leading.wait(), 60)
        return elector


@pytest.fixture
def play(clock: FastClock) -> Iterator[Callable[[Callable[[Field], Awaitable[None]]], None]]:
    def run(scenario: Callable[[Field], Awaitable[None]]) -> None:
        async def main() -> None:
            leases = Leases()
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", leases.handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert site._server is not None
            port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            with mock.patch("ssl.create_default_context", return_value=tls):  # it reads all CAs of the machine
                client = ApiClient(Configuration(host=f"http://127.0.0.1:{port}"))
            field = Field(client, leases)
            try:
                await scenario(field)
            finally:
                for task in field.tasks:
                    task.cancel()
                await asyncio.gather(*field.tasks, return_exceptions=True)
                await client.close()
                await runner.cleanup()

        with asyncio.Runner(loop_factory=lambda: FastLoop(clock)) as runner:
            runner.run(main())

    return run


def test_the_first_candidate_makes_the_lease_and_leads(play: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        assert field.leases.writes[0] == f"POST {first.identity}"
        assert re.fullmatch(r"pod-1_10\.0\.0\.1:9100_[0-9a-f]{8}", first.identity)
        assert (first.leader(), first.leader_address()) == (first.identity, None)
        assert first.may_write()

    play(scenario)


def test_another_waits_knows_where_the_leader_is_and_may_not_write(play: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod_1")  # an underscore in a name does no harm
        second = field.candidate("pod-1")
        assert second.leader_address() is None
        await until(lambda: second.leader() is not None)
        assert second.leader() == first.identity
        assert second.leader_address() == "http://10.0.0.1:9100"
        await asyncio.sleep(DURATION_S * 1.5)
        assert first.leading.is_set()
        assert not second.leading.is_set()
        assert not second.may_write()

    play(scenario)


def test_a_lease_that_is_released_is_taken_before_it_has_run_out(play: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        await until(lambda: any(write.startswith("PUT") for write in field.leases.writes))  # renewed once at least
        second = field.candidate("pod-2")
        await until(lambda: second.leader() == first.identity)
        field.tasks[0].cancel()
        await asyncio.gather(field.tasks[0], return_exceptions=True)
        assert not first.leading.is_set()
        await first.release()
        assert not field.leases.holder
        begun = asyncio.get_running_loop().time()
        await asyncio.wait_for(second.leading.wait(), 60)
        assert asyncio.get_running_loop().time() - begun < DURATION_S * 0.75
        assert field.leases.holder == second.identity

    play(scenario)


@pytest.mark.parametrize("trouble", [away, hanging])
def test_who_cannot_renew_stops_before_anybody_else_may_lead(play: Any, trouble: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        field.leases.trouble = trouble
        last = first._lock.renewed_at
        await asyncio.wait_for(asyncio.shield(field.tasks[0]), 60)
        gone = module.time.monotonic()
        assert not first.leading.is_set()
        assert not first.may_write()
        assert gone - max(last, first._lock.renewed_at) < DURATION_S

    play(scenario)


def test_a_process_that_was_held_up_may_not_write_before_it_knows(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        later = module.time.monotonic() + DURATION_S
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: later))
        assert first.leading.is_set()
        assert not first.may_write()

    play(scenario)


def test_a_lease_that_another_took_is_lost_and_is_not_given_up(play: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        field.leases.set_holder("pod-2_10.0.0.2:9100_abc")
        await first.release()  # before it has noticed
        assert field.leases.holder == "pod-2_10.0.0.2:9100_abc"
        await asyncio.wait_for(asyncio.shield(field.tasks[0]), 60)
        assert first.leader_address() == "http://10.0.0.2:9100"
        writes = len(field.leases.writes)
        await first.release()
        assert len(field.leases.writes) == writes

    play(scenario)


@pytest.mark.parametrize("trouble", [away, hanging])
def test_a_release_without_a_server_ends_in_time(play: Any, trouble: Any) -> None:
    async def scenario(field: Field) -> None:
        first = await field.leader("pod-1")
        field.leases.trouble = trouble
        async with asyncio.timeout(DURATION_S):
            await first.release()

    play(scenario)


def test_who_never_ran_has_nothing_to_release(play: Any) -> None:
    async def scenario(field: Field) -> None:
        idle = field.candidate("pod-1", runs=False)
        await idle.release()
        assert (field.leases.lease, idle.leader(), idle.leader_address()) == (None, None, None)
        assert not idle.may_write()

    play(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: refused(403),
        lambda: refused(500),
        lambda: web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html"),
        lambda: web.Response(status=404, text="404 page not found"),
    ],
    ids=["403", "500", "a proxy's page", "404 that is no Status"],
)
def test_no_refusal_ends_the_candidacy(play: Any, answer: Callable[[], web.Response]) -> None:
    async def scenario(field: Field) -> None:
        asked = 0

        async def trouble(_: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            return answer()

        field.leases.trouble = trouble
        first = field.candidate("pod-1")
        await until(lambda: asked >= 2)
        assert not field.tasks[0].done()
        assert not first.leading.is_set()
        field.leases.trouble = None
        await asyncio.wait_for(first.leading.wait(), 60)

    play(scenario)


def test_a_defect_in_the_election_is_raised(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(module._BoundedLock, "get", broken)

    async def scenario(field: Field) -> None:
        elector = field.candidate("pod-1", runs=False)
        with pytest.raises(KeyError, match="a defect"):
            await elector.run()
        assert not elector.leading.is_set()

    play(scenario)
