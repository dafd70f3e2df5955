"""The client among several pods, real sockets throughout: pods are servers on 127.0.0.2 and so on."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from sedna_py.client.balancer import BalancerPolicy
from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.pod_watch import WatchPolicy
from sedna_py.client.route import RetryCause, Route
from sedna_py.errors import CloudUnavailable
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from tests.sedna_py.client.played_pods import (
    BOXES,
    PATIENCE_S,
    Names,
    PlayedPod,
    ask,
    client_of,
    failures,
    pods,
    ready,
    until,
)

NOWHERE = "http://127.0.0.1:9"


def spread(servers: list[PlayedPod]) -> float:
    """Return how far the busiest and the idlest pod are from the mean, as a part of it."""
    counts = [pod.predictions for pod in servers]
    mean = sum(counts) / len(counts)
    return max(abs(count - mean) for count in counts) / mean


@pytest.mark.parametrize("at_once", [1, 8])
def test_requests_are_spread_evenly_over_the_pods(at_once):
    async def main():
        async with pods("ok", "ok", "ok") as three, client_of(NOWHERE, Names([p.address for p in three])) as client:
            await ready(client, 3)
            results = await ask(client, 1500, at_once)
            assert failures(results) == []
            assert client.figures().attempts == {(Route.PODS, "ok"): 1500}
            assert spread(three) < 0.2
            assert sum(pod.connections for pod in three) <= 3 * at_once + 3  # each is kept

    asyncio.run(main())


def test_a_slow_pod_gets_fewer_requests():
    async def main():
        async with pods("ok", "slow", "ok") as three, client_of(NOWHERE, Names([p.address for p in three])) as client:
            await ready(client, 3)
            three[1].delay_s = 0.3
            assert failures(await ask(client, 300)) == []
            assert three[1].predictions < 0.5 * min(three[0].predictions, three[2].predictions)

    asyncio.run(main())


def test_requests_go_to_the_pod_that_says_that_it_works_faster_whatever_its_line(loopback):
    """Server-Timing of real answers; with one request at a time no pod is ever busy, so only what they say tells them apart."""
    asked = {"fast": 0, "slow": 0}

    def pod(name, timing):
        async def handler(reader, writer):
            while True:
                request = await loopback.read(reader)
                asked[name] += request.line.startswith("POST")
                writer.write(loopback.answer(200, BOXES, Server_Timing=timing))
                await writer.drain()

        return handler

    async def main():
        async with (
            loopback.serve(
                pod("fast", "read;dur=700, queue;dur=500, decode;dur=1, infer;dur=9, cdn;dur=900"), host="127.0.0.2"
            ) as fast,
            loopback.serve(pod("slow", "infer;dur=30"), host="127.0.0.3") as slow,
            client_of(NOWHERE, Names([f"127.0.0.2:{fast}", f"127.0.0.3:{slow}"])) as client,
        ):
            await ready(client, 2)
            while min(asked.values()) < 10:  # as many as it takes to be believed
                assert failures(await ask(client, 1)) == []
            before = dict(asked)
            assert failures(await ask(client, 20, at_once=1)) == []
            assert (asked["fast"] - before["fast"], asked["slow"] - before["slow"]) == (20, 0)

    asyncio.run(main())


@pytest.mark.parametrize("end", ["killed", "drained", "drained, then killed"])
def test_a_pod_that_goes_away_costs_no_request(end):
    async def main():
        async with pods("slow", "slow", "slow") as three:
            names = Names([pod.address for pod in three])
            async with client_of(NOWHERE, names) as client:
                await ready(client, 3)
                asking = asyncio.create_task(ask(client, 600))
                await until(lambda: three[0].predictions > 20, "the pod to be busy")
                if "drained" in end:
                    three[0].mode = "drain"
                    await until(lambda: client.figures().pods["draining"], "the drain to be noticed")
                    seen = three[0].predictions
                    names.addresses = names.addresses[1:]
                if "killed" in end:
                    await three[0].kill()
                    seen = three[0].predictions
                assert failures(await asking) == []
                assert three[0].predictions - seen <= 8  # what was on its way
                retries = client.figures().retries
                assert sum(retries.values()) <= 8
                if end == "drained":
                    assert retries == {}

    asyncio.run(main())


def test_new_pods_are_used_within_two_seconds_and_vanished_ones_no_more():
    async def main():
        async with pods("ok", "ok") as two:
            names = Names([two[0].address])
            async with client_of(NOWHERE, names) as client:
                await ready(client, 1)
                await ask(client, 20)
                names.addresses = [two[1].address]
                asked = names.asked
                while not two[1].answered:
                    await ask(client, 1)
                    await asyncio.sleep(0.01)
                # By lookups and not by a clock, which goes on while the machine is busy.
                assert names.asked - asked <= 2
                assert WatchPolicy().lookup_s <= 1.0
                before = two[0].predictions
                await ask(client, 20)
                assert two[0].predictions == before

    asyncio.run(main())


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("breaks", RetryCause.CONNECTION_LOST),
        ("not_ready", RetryCause.NOT_READY),
        ("overloaded", RetryCause.OVERLOADED),
    ],
)
def test_what_one_pod_cannot_take_another_takes(mode, cause):
    async def main():
        async with pods("ok", "ok") as two, client_of(NOWHERE, Names([p.address for p in two])) as client:
            await ready(client, 2)
            # However long this takes, a pod that is set aside does not come back meanwhile.
            client._balancer._policy = BalancerPolicy(quarantine_s=60.0)
            for pod in client._balancer._pods.values():
                pod.quarantine_s = 60.0
            two[0].mode = mode
            # As many as the retry budget has tokens for, should chance send every one of them to the wrong pod first.
            assert failures(await ask(client, 20, at_once=1)) == []
            retries = client.figures().retries
            assert set(retries) == {cause}
            assert two[1].answered == 20
            # A pod that cannot be used is asked no more; one that is full stays in the game.
            assert (retries[cause] == 1) == (mode != "overloaded")

    asyncio.run(main())


def test_all_pods_overloaded_is_said_after_two_of_them():
    async def main():
        modes = ["overloaded"] * 3
        async with (
            pods(*modes) as three,
            PlayedService() as service,
            client_of(service, Names([pod.address for pod in three])) as client,
        ):
            await ready(client, 3)
            (error,) = await ask(client, 1)
            assert error.cause is OffloadCause.OVERLOADED
            assert sum(pod.predictions for pod in three) == 2
            assert service.predictions == 0

    asyncio.run(main())


class PlayedService(PlayedPod):
    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        await self.kill()


@pytest.mark.parametrize("names", [[], OSError("no server answers"), UnicodeError("no such name"), ["127.0.0.9:9"]])
def test_the_service_is_used_where_no_pod_is_known_or_none_answers(names):
    async def main():
        async with PlayedService() as service, client_of(service, Names(names)) as client:
            await until(lambda: client.figures().pods["quarantined"] or not isinstance(names, list), "a probe")
            assert failures(await ask(client, 20)) == []
            figures = client.figures()
            assert figures.route is Route.SERVICE
            assert figures.attempts == {(Route.SERVICE, "ok"): 20}

    if names == []:
        names = OSError(-2, "empty")
    asyncio.run(main())


def test_a_dns_that_hangs_delays_no_request_and_is_asked_once():
    hanging, asked = threading.Event(), []

    def hang(host: str, port: int) -> list[str]:
        asked.append(host)
        hanging.wait(30)
        return []

    async def main():
        async with PlayedService() as service, client_of(service, hang) as client:
            results = await ask(client, 200, at_once=1)
            assert failures(results) == []
            assert sorted(reply.latency_s for reply in results)[-3] < 0.25
            # Longer than a lookup may take: nothing new is begun while the old one hangs.
            await asyncio.sleep(2.3)
            assert len(asked) == 1
            assert failures(await ask(client, 20)) == []

    try:
        asyncio.run(main())
    finally:
        hanging.set()


def test_pods_to_service_to_nothing_and_back_says_each_step_once(caplog):
    caplog.set_level("INFO")

    async def main():
        async with pods("ok", "ok") as two, PlayedService() as service:
            names = Names([pod.address for pod in two])
            async with client_of(service, names, failure_threshold=2, cooldown_s=0.05, max_cooldown_s=0.05) as client:
                client._news._quiet_s = 0.0
                await ready(client, 2)
                await ask(client, 10)
                for pod in two:
                    await pod.kill()
                assert failures(await ask(client, 10)) == []
                assert client.route is Route.SERVICE
                await service.kill()
                await ask(client, 10)
                assert client.route is Route.NONE
                assert client.breaker_state is BreakerState.OPEN
                for server in (*two, service):
                    await server.start()
                await ready(client, 2)
                await until(lambda: not client.would_refuse(), "a probe to be due")
                assert failures(await ask(client, 1)) == []
                assert failures(await ask(client, 10)) == []
                assert client.route is Route.PODS

    asyncio.run(main())
    said = [record.message for record in caplog.records if record.name.endswith("cloud_client")]
    assert len(said) == 3, said
    assert "the pods of app-cloud-pods.test:5000 are unreachable (connect" in said[0]
    assert "using the Service http://127.0.0.1:" in said[0]
    assert "does not answer (connect_failed" in said[1]
    assert "the edge's own answers stand" in said[1]
    assert said[2] == "cloud: the pods of app-cloud-pods.test:5000 answer, using them"


def test_silent_pods_are_left_after_three_deadlines():
    async def main():
        async with (
            pods("ok", "ok") as two,
            client_of(NOWHERE, Names([p.address for p in two]), deadline_s=0.4) as client,
        ):
            await ready(client, 2)
            two[0].mode = "silent"
            asked = two[0].predictions
            while not client.figures().pods["quarantined"]:
                await ask(client, 8, at_once=4)
            assert 3 <= two[0].predictions - asked <= 6  # what was on its way to it
            asked = two[0].predictions
            await ask(client, 20)
            assert two[0].predictions == asked

    asyncio.run(main())


def test_a_reply_that_began_is_not_asked_for_elsewhere(loopback):
    async def half(reader, writer):
        while True:
            request = await loopback.read(reader)
            if request.line.startswith("POST"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
                await writer.drain()
                return
            writer.write(loopback.answer())
            await writer.drain()

    async def main():
        async with (
            loopback.serve(half, host="127.0.0.2") as port,
            PlayedService() as service,
            client_of(service, Names([f"127.0.0.2:{port}"])) as client,
        ):
            await ready(client, 1)
            with pytest.raises(CloudUnavailable) as caught:
                await client.predict(b"frame", JPEG)
            assert caught.value.cause is OffloadCause.CONNECTION_LOST
            assert service.predictions == 0
            assert client.figures().retries == {}

    asyncio.run(main())


def test_retries_have_a_budget():
    """Pods that answer probes but break every prediction: requests are not doubled for ever."""

    async def main():
        modes = ["breaks"] * 8
        async with pods(*modes) as eight, PlayedService(mode="breaks") as service:
            options = {"max_connections": 1, "failure_threshold": 1000}
            async with client_of(service, Names([pod.address for pod in eight]), **options) as client:
                await ready(client, 8)
                client._balancer._quarantine = lambda pod, now: None
                results = await ask(client, 100, at_once=1)
                assert len(failures(results)) == 100
                assert sum(client.figures().retries.values()) <= 10 + 100 * 0.2

    asyncio.run(main())


def test_a_service_address_follows_new_pods_by_new_connections():
    """One address, two servers in turn behind it, as a node port does it: the old one is left although it still answers."""

    async def main():
        async with pods("ok", "ok") as two:
            async with client_of(two[0], None, connection_age_s=60.0) as client:
                assert failures(await ask(client, 5, at_once=1)) == []
                assert two[0].connections == 1
            async with client_of(two[0], None, connection_age_s=0.2) as client, asyncio.timeout(PATIENCE_S):
                while two[0].connections < 5:
                    assert failures(await ask(client, 1)) == []
                    await asyncio.sleep(0.01)
                assert len(two[0]._writers) <= 2  # old ones are closed

    asyncio.run(main())


def test_a_connection_is_never_replaced_under_a_request():
    async def main():
        async with PlayedService(mode="slow") as service, client_of(service, None, connection_age_s=0.01) as client:
            assert failures(await ask(client, 100)) == []
            assert service.answered == 100
            assert client.figures().retries == {}

    asyncio.run(main())


def test_a_pod_that_is_still_loading_behind_the_service_is_asked_again_once():
    async def main():
        async with PlayedService(mode="not_ready") as service, client_of(service, None) as client:
            (error,) = await ask(client, 1)
            assert error.cause is OffloadCause.OVERLOADED
            assert service.predictions == 2
            assert service.connections == 2
            assert client.figures().retries == {RetryCause.NOT_READY: 1}

    asyncio.run(main())


def test_nothing_goes_on_after_closing():
    before = threading.active_count()

    async def main():
        async with pods("ok", "silent") as two, client_of(NOWHERE, Names([p.address for p in two])) as client:
            await ready(client, 1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if "watch" in repr(task)]

    asyncio.run(main())
    limit = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < limit:
        time.sleep(0.01)
    assert threading.active_count() <= before  # one of an earlier test may have ended meanwhile


def test_an_ipv6_pod():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def main():
        pod = PlayedPod("::1")
        try:
            await pod.start()
        except OSError:
            pytest.skip("no IPv6 loopback here")
        try:
            async with client_of(NOWHERE, Names([f"[::1]:{pod.port}"])) as client:
                await ready(client, 1)
                assert failures(await ask(client, 3)) == []
        finally:
            await pod.kill()

    asyncio.run(main())
