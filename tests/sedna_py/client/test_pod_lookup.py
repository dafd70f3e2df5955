"""Names into addresses."""

from __future__ import annotations

import asyncio
import random
import socket
import threading

import pytest

from sedna_py.client.pod_lookup import MOST_ADDRESSES, PodLookup, PodSource, bounded, resolve
from sedna_py.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("helmet-cloud-pods.default:5000", "helmet-cloud-pods.default", 5000),
        ("helmet-cloud-pods.default", "helmet-cloud-pods.default", 5000),
        ("10.0.0.1:80", "10.0.0.1", 80),
    ],
)
def test_a_source(text, host, port):
    source = PodSource.parse(text)
    assert (source.host, source.port) == (host, port)


@pytest.mark.parametrize(
    "text", ["", ":5000", "a b:5000", "a:0", "a:70000", "a:b", "http://a:5000", "u:p@a:1", "a..b:1"]
)
def test_what_is_no_source(text):
    with pytest.raises(
        SettingsError, match=r"^BIG_MODEL_PODS is .*; write the name of a headless Service as host:port"
    ):
        PodSource.parse(text)


def answers(*addresses: str):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 5000)) for address in addresses]


def test_addresses_of_both_families_once_each(monkeypatch):
    found = answers("10.1.0.1", "fd00::1", "10.1.0.1", "fe80::1%eth0")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    assert resolve("x", 5000) == ["10.1.0.1:5000", "[fd00::1]:5000"]


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_dns_does_not_have_has_no_pods(monkeypatch, code):
    monkeypatch.setattr("socket.getaddrinfo", raiser(socket.gaierror(code, "no")))
    assert resolve("x", 5000) == []


def raiser(error):
    def fail(*_: object, **__: object) -> list[str]:
        raise error

    return fail


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "later"), UnicodeError("label too long")])
def test_a_resolver_that_fails_is_an_oserror(error):
    async def main():
        with pytest.raises(OSError, match=r"later|label too long"):
            await PodLookup(PodSource("x", 1, raiser(error)), 1.0, random.Random(1)).look_up(())

    asyncio.run(main())


def test_one_lookup_at_a_time_and_a_late_answer_serves_the_next_call():
    go_on, threads = threading.Event(), []

    def slow(host: str, port: int) -> list[str]:
        threads.append(threading.current_thread())
        go_on.wait(20)
        return [f"{host}:{port}"]

    async def main():
        lookup = PodLookup(PodSource("x", 1, slow), 0.02, random.Random(1))
        for _ in range(2):
            with pytest.raises(TimeoutError, match=r"DNS has no answer for x after 0\.02 s"):
                await lookup.look_up(())
        lookup._timeout_s = 20  # the resolver's thread may wake late
        go_on.set()
        assert await lookup.look_up(()) == ["x:1"]
        assert len(threads) == 1
        assert threads[0].daemon
        assert await lookup.look_up(()) == ["x:1"]

    asyncio.run(main())
    assert len(threads) == 2


def test_an_answer_after_closing_harms_nobody():
    go_on = threading.Event()
    threads = []

    def slow(host: str, port: int) -> list[str]:
        threads.append(threading.current_thread())
        go_on.wait(20)
        return []

    async def main():
        lookup = PodLookup(PodSource("x", 1, slow), 0.01, random.Random(1))
        with pytest.raises(TimeoutError):
            await lookup.look_up(())
        lookup.close()

    asyncio.run(main())
    go_on.set()
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_of_too_many_addresses_the_known_ones_stay():
    found = [f"10.0.{i // 250}.{i % 250}:5000" for i in range(500)]
    first = bounded(found, (), random.Random(1))
    assert len(set(first)) == MOST_ADDRESSES
    assert first != bounded(found, (), random.Random(2))
    again = bounded(found, first, random.Random(3))
    assert set(again) == set(first)
    gone = set(first[:10])
    later = bounded([address for address in found if address not in gone], first, random.Random(4))
    assert set(first[10:]) < set(later)
    assert len(set(later)) == MOST_ADDRESSES
    assert bounded(found[:3], (), random.Random(1)) == found[:3]


def test_a_file_may_say_the_addresses(tmp_path):
    file = tmp_path / "pods"
    file.write_text("127.0.0.1:5001\n127.0.0.1:5002\n")
    source = PodSource.parse(f"file:{file}")
    assert str(source) == f"file:{file}"

    async def main():
        lookup = PodLookup(source, 5.0, random.Random(1))
        assert await lookup.look_up(()) == ["127.0.0.1:5001", "127.0.0.1:5002"]
        file.unlink()
        with pytest.raises(OSError, match="pods"):
            await lookup.look_up(())

    asyncio.run(main())
