"""Who answers in the place of a worker that sleeps: over real sockets, one port a service."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from aiohttp import web

from controller.store import ServiceKey
from controller.zero.activator import Activator, ActivatorLimits, NoPortLeft
from sedna_py.client.cloud_client import CloudClient
from sedna_py.errors import CloudUnavailable
from sedna_py.protocol.asleep import says_asleep
from sedna_py.protocol.causes import OffloadCause

HELMET, FACE = ServiceKey("shop", "helmet"), ServiceKey("shop", "face")
BODY = b"\xff\xd8 a picture " * 20_000
Scenario = Callable[["Stage"], Awaitable[None]]


def free_range(size: int) -> range:
    """Return as many ports next to each other that nobody has just now."""
    for first in range(21_000, 32_000, size):
        try:
            for port in range(first, first + size):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return range(first, first + size)
    raise AssertionError("no free ports")


class Stage:
    def __init__(self, size: int, limits: ActivatorLimits) -> None:
        self.asked: list[ServiceKey] = []
        self.reports: list[str] = []
        self.ports = free_range(size)
        self.activator = Activator("127.0.0.1", self.ports, self.asked.append, self._report, limits)
        self.client = httpx.AsyncClient(trust_env=False, timeout=5)

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append(f"{request.match_info['name']}: {(await request.read()).decode()}")
        return web.json_response({"Status": 200})

    async def ask(self, port: int, path: str = "/sedna/predict", method: str = "POST", **more: Any) -> httpx.Response:
        return await self.client.request(method, f"http://127.0.0.1:{port}{path}", **more)


def play(scenario: Scenario, size: int = 4, limits: ActivatorLimits | None = None) -> None:
    async def main() -> None:
        stage = Stage(size, limits or ActivatorLimits(body_s=0.5))
        try:
            await scenario(stage)
        finally:
            await stage.client.aclose()
            await stage.activator.stop()

    asyncio.run(main())


def test_a_request_to_predict_wakes_its_own_service_and_is_told_to_ask_again() -> None:
    async def scenario(stage: Stage) -> None:
        first, second = await stage.activator.open(HELMET), await stage.activator.open(FACE)
        assert first != second
        paths = ["/sedna/predict", "/face/predict", "/v2/models/big/infer", "/v2/models/big/versions/1/infer"]
        for path in paths:
            answer = await stage.ask(second, path, content=BODY, headers={"Content-Type": "image/jpeg"})
            assert says_asleep(answer.status_code, answer.content)
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Connection"] == "close"
            assert "has been woken" in answer.json()["detail"]
        assert stage.asked == [FACE] * len(paths)

    play(scenario)


def test_who_only_looks_wakes_nobody() -> None:
    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PUT"):
            for path in ("/sedna", "/v2/health/ready", "/readyz", "/metrics", "/"):
                assert (await stage.ask(port, path, method)).status_code == 503
        assert stage.asked == []

    play(scenario)


def test_reports_of_edges_are_taken_as_at_the_controllers_own_address() -> None:
    """Edges send them to the address of the cloud worker, which is asleep; what they tell decides who is woken."""

    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        answer = await stage.ask(port, "/sedna/workers/edge-1/info", content=b"{}")
        assert (answer.status_code, answer.json()) == (200, {"Status": 200})
        assert answer.headers["Connection"] == "close"
        assert stage.reports == ["edge-1: {}"]
        assert stage.asked == []

    play(scenario)


def test_a_port_is_kept_as_long_as_it_is_open_and_not_soon_given_to_another() -> None:
    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        assert await stage.activator.open(HELMET) == port == stage.activator.port(HELMET)
        stage.activator.close(HELMET)
        stage.activator.close(HELMET)
        assert stage.activator.port(HELMET) is None
        with pytest.raises(httpx.ConnectError):
            await stage.ask(port)
        assert await stage.activator.open(FACE) != port

    play(scenario)


def test_ports_that_others_have_are_left_and_where_none_is_free_it_is_said() -> None:
    async def scenario(stage: Stage) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", stage.ports[0]))
            other.listen()
            assert await stage.activator.open(HELMET) == stage.ports[1]
            with pytest.raises(NoPortLeft, match="ACTIVATOR_PORTS"):
                await stage.activator.open(FACE)
        stage.activator.close(HELMET)
        assert await stage.activator.open(FACE) in stage.ports

    play(scenario, size=2)


def test_a_body_that_never_ends_is_answered_at_once_and_held_no_longer_than_it_may() -> None:
    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nxx")
        async with asyncio.timeout(20):
            assert b"503" in await reader.readline()
            await reader.read()  # to the end of the connection
        assert stage.asked == [HELMET]
        writer.close()

    play(scenario)


def test_more_connections_than_it_may_hold_are_ended_and_the_others_go_on() -> None:
    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.TransportError):
            await stage.ask(port)
        held[0][1].close()
        async with asyncio.timeout(5):
            while True:
                try:
                    assert (await stage.ask(port)).status_code == 503
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
        for _, writer in held:
            writer.close()

    play(scenario, limits=ActivatorLimits(connections=3))


@pytest.mark.parametrize("model", ["", "big"], ids=["sedna", "open inference"])
def test_our_client_hears_it_also_while_it_is_still_sending(model: str) -> None:
    async def scenario(stage: Stage) -> None:
        port = await stage.activator.open(HELMET)
        body = b"\xff\xd8" + b"x" * 3_000_000
        for _ in range(3):
            client = CloudClient(f"http://127.0.0.1:{port}", model=model)
            try:
                with pytest.raises(CloudUnavailable) as caught:
                    await client.predict(body, "image/jpeg")
                assert caught.value.cause is OffloadCause.CLOUD_ASLEEP
                assert client.asleep()
            finally:
                await client.aclose()
        assert stage.asked == [HELMET] * 3

    play(scenario)
