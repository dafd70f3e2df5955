"""The controller's HTTP side, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import CollectorRegistry

from controller.errors import ControllerError
from controller.http_api import FORWARDED, HttpApi, HttpApiHooks, HttpApiLimits
from controller.metrics import ControllerMetrics
from controller.reports import RoutedReport
from sedna_py.metrics import names

POD = "helmet-deployment-edge-6d4f8b-x2x4z"
PATH = f"/sedna/workers/{POD}/info"
OK = {"Status": 200, "Message": "OK"}


def report(name: str = POD, inferences: int = 120) -> dict[str, object]:
    counts = {"inferenceNumber": inferences, "hardExampleNumber": 30}
    owner = {"ownerName": "sedna", "ownerKind": "jointinferenceservice", "ownerInfo": counts}
    return {"name": name, "namespace": "prod", **owner}


@dataclass
class Replica:
    """One controller's HTTP side, with what it is told of the cluster."""

    limits: HttpApiLimits = field(default_factory=HttpApiLimits)
    leads: bool = True
    leader: str | None = None
    not_alive: str | None = None
    not_ready: str | None = None
    accepted: list[RoutedReport] = field(default_factory=list)

    async def __aenter__(self) -> Replica:
        self.registry = CollectorRegistry()
        hooks = HttpApiHooks(
            not_alive=lambda: self.not_alive,
            not_ready=lambda: self.not_ready,
            leads=lambda: self.leads,
            leader_address=lambda: self.leader,
            accept=self.accept,
            service_of_pod=lambda _, pod: "helmet" if pod.startswith("helmet-") else None,
        )
        self.api = HttpApi(hooks, ControllerMetrics(self.registry), self.limits)
        self.port = await self.api.start("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        await self.api.stop()

    def accept(self, report: RoutedReport) -> bool:
        self.accepted.append(report)
        return report.hard_examples <= report.inferences

    def counted(self, outcome: str) -> float:
        return self.registry.get_sample_value(names.CONTROLLER_REPORTS, {"outcome": outcome}) or 0

    async def raw(self, head: str, body: bytes = b"") -> bytes:
        """Send what is no whole request, and return all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.replace("\n", "\r\n").encode() + body)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def with_replica(scenario: Callable[[Replica], Awaitable[None]], **options: object) -> None:
    async def main() -> None:
        async with Replica(**options) as replica:
            await scenario(replica)

    asyncio.run(main())


@pytest.mark.parametrize(("path", "reason"), [("/healthz", "not_alive"), ("/readyz", "not_ready")])
def test_probes_say_what_is_wrong(path: str, reason: str):
    async def scenario(replica: Replica) -> None:
        answer = await replica.client.get(path)
        assert (answer.status_code, answer.text) == (200, "ok\n")
        setattr(replica, reason, "no watch of pods for 60 s")
        answer = await replica.client.get(path)
        assert (answer.status_code, answer.text) == (503, "no watch of pods for 60 s\n")

    with_replica(scenario)


def test_metrics_are_prometheus_text():
    async def scenario(replica: Replica) -> None:
        answer = await replica.client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert "sedna_controller_leader 0.0" in answer.text
        assert "process_resident_memory_bytes" in answer.text

    with_replica(scenario)


def test_the_leader_takes_a_report():
    async def scenario(replica: Replica) -> None:
        answer = await replica.client.post(PATH, json=report())
        assert (answer.status_code, answer.json()) == (200, OK)
        assert replica.accepted == [RoutedReport("prod", "helmet", POD, 120, 30)]
        assert replica.counted("accepted") == 1

    with_replica(scenario)


def test_signals_that_cannot_be_used_cost_no_counts_and_their_sender_is_told():
    async def scenario(replica: Replica) -> None:
        lying = report()
        lying["ownerInfo"]["signals"] = {"at": -1}
        answer = await replica.client.post(PATH, json=lying)
        assert (answer.status_code, answer.json()["Status"]) == (200, 200)
        assert answer.json()["Message"].startswith("the counts are taken, the signals are not: ownerInfo.signals.at: ")
        assert replica.accepted == [RoutedReport("prod", "helmet", POD, 120, 30)]

    with_replica(scenario)


def test_a_report_of_no_known_service_is_counted_and_answered_as_any_other():
    async def scenario(replica: Replica) -> None:
        answer = await replica.client.post("/sedna/workers/edgeworker-x7k2m/info", json=report("edgeworker-x7k2m"))
        assert (answer.status_code, answer.json()) == (200, OK)
        assert replica.accepted == []
        assert replica.counted("unrouted") == 1

    with_replica(scenario)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (json.dumps(report("other")).encode(), 400, "the report's name is not the one in the path"),
        (b"{", 400, "the report cannot be used: Invalid JSON"),
        (b"\x1f\x8b\x08 no gzip is unpacked", 400, "the report cannot be used: "),
        (b" " * 70_000, 413, "the report is larger than 16384 bytes"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_no_report_is_refused(body: bytes, status: int, message: str, chunked: bool):
    async def pieces():
        yield body

    async def scenario(replica: Replica) -> None:
        headers = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f") else {}
        answer = await replica.client.post(PATH, content=pieces() if chunked else body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["Status"] == status
        assert answer.json()["Message"].startswith(message)
        assert replica.counted("refused") == 1

    with_replica(scenario)


def test_a_standby_passes_a_report_on_to_the_leader():
    async def scenario(leader: Replica) -> None:
        async with Replica(leads=False, leader=leader.url + "/") as standby:
            answer = await standby.client.post(PATH, json=report())
            assert (answer.status_code, answer.json()) == (200, OK)
            assert standby.accepted == []
            assert standby.counted("forwarded") == 1
        assert leader.accepted == [RoutedReport("prod", "helmet", POD, 120, 30)]

    with_replica(scenario)


def test_a_standby_refuses_what_is_no_report_itself():
    async def scenario(leader: Replica) -> None:
        async with Replica(leads=False, leader=leader.url) as standby:
            assert (await standby.client.post(PATH, json=report("other"))).status_code == 400
        assert leader.counted("refused") == 0

    with_replica(scenario)


def test_two_replicas_that_take_each_other_for_the_leader_end_it_at_once():
    async def scenario(one: Replica) -> None:
        async with Replica(leads=False, leader=one.url) as other:
            one.leader = other.url
            answer = await one.client.post(PATH, json=report())
            assert answer.status_code == 503
            assert (one.counted("unavailable"), other.counted("unavailable")) == (1, 1)

    with_replica(scenario, leads=False)


@pytest.mark.parametrize("leader", [None, "http://127.0.0.1:1", "no address", "http://127.0.0.1:99999"])
def test_without_a_leader_the_worker_is_asked_to_come_again(leader: str | None):
    async def scenario(standby: Replica) -> None:
        answer = await standby.client.post(PATH, json=report())
        assert answer.status_code == 503
        assert answer.json()["Message"].endswith("send it again later")
        assert int(answer.headers["Retry-After"]) > 0
        assert standby.counted("unavailable") == 1

    with_replica(scenario, leads=False, leader=leader)


def test_a_leader_that_hangs_costs_a_bounded_time():
    async def scenario(standby: Replica) -> None:
        async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await held.wait()
            writer.close()

        held = asyncio.Event()
        silent = await asyncio.start_server(hang, "127.0.0.1", 0)
        standby.leader = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        assert (await standby.client.post(PATH, json=report())).status_code == 503
        held.set()
        silent.close()

    with_replica(scenario, leads=False, limits=HttpApiLimits(forward_s=0.05))


def test_the_leaders_absence_is_said_once(caplog: pytest.LogCaptureFixture):
    async def scenario(leader: Replica) -> None:
        async with Replica(leads=False, leader="http://127.0.0.1:1") as standby:
            for _ in range(3):
                await standby.client.post(PATH, json=report())
            standby.leader = leader.url
            await standby.client.post(PATH, json=report())

    caplog.set_level("INFO", "controller.http_api")
    with_replica(scenario)
    said = [record.message for record in caplog.records if record.name == "controller.http_api"]
    assert len(said) == 2
    assert said[0].startswith("reports cannot be passed on to the leader at http://127.0.0.1:1: ClientConnectorError")
    assert said[1].endswith("again")


def test_a_forwarded_report_is_taken_by_the_leader():
    async def scenario(replica: Replica) -> None:
        await replica.client.post(PATH, json=report(), headers={FORWARDED: "1"})
        assert len(replica.accepted) == 1

    with_replica(scenario)


def test_a_slow_body_is_cut_off():
    async def scenario(replica: Replica) -> None:
        answer = await replica.raw(f"POST {PATH} HTTP/1.1\nHost: x\nContent-Length: 100\n\n", b"{")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'{"Status": 408' in answer

    with_replica(scenario, limits=HttpApiLimits(body_s=0.05))


@pytest.mark.parametrize("head", ["", "POST /sed", "GET /healthz HTTP/1.1\nHost: x\n"])
def test_a_slow_head_is_cut_off(head: str):
    async def scenario(replica: Replica) -> None:
        assert await replica.raw(head) == b""

    with_replica(scenario, limits=HttpApiLimits(idle_s=0.05))


def test_reports_at_once_are_bounded_and_probes_go_on():
    async def scenario(replica: Replica) -> None:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
        writer.write(head.encode())
        await asyncio.wait_for(reader.readuntil(b"100 Continue\r\n\r\n"), 5)  # it is being handled now
        assert (await replica.client.post(PATH, json=report())).status_code == 503
        assert (await replica.client.get("/healthz")).status_code == 200
        writer.close()

    with_replica(scenario, limits=HttpApiLimits(reports_at_once=1))


def test_connections_are_bounded():
    async def scenario(replica: Replica) -> None:
        held = await asyncio.open_connection("127.0.0.1", replica.port)
        held[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await held[0].readline() == b"HTTP/1.1 200 OK\r\n"
        assert await replica.raw("GET /healthz HTTP/1.1\nHost: x\n\n") == b""
        held[1].close()

    with_replica(scenario, limits=HttpApiLimits(connections=1))


def test_a_taken_port_is_one_line():
    async def scenario(replica: Replica) -> None:
        second = HttpApi(
            HttpApiHooks(
                accept=lambda _: False,
                service_of_pod=lambda *_: None,
                not_alive=lambda: None,
                not_ready=lambda: None,
            ),
            ControllerMetrics(CollectorRegistry()),
        )
        with pytest.raises(
            ControllerError, match=r"cannot listen on 127\.0\.0\.1:\d+: .+; write another address or port"
        ):
            await second.start("127.0.0.1", replica.port)

    with_replica(scenario)


def test_stopping_closes_idle_connections():
    async def main() -> None:
        async with Replica() as replica:
            reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"ok\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    asyncio.run(main())
