"""The listening socket and the probes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sedna_py.errors import SettingsError
from workers.listening import listen


def test_what_is_accepted_has_nagle_switched_off(serve: Callable[..., Any]) -> None:
    worker = serve(None)
    assert worker.client.get("/healthz").status_code == 200
    [connection] = worker.server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_listener_says_that_it_is_tcp() -> None:
    with listen("127.0.0.1", 0, setting="PORT") as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert not listener.getblocking()
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_has_one_listener(host: str) -> None:
    with listen(host, 0, setting="THE_PORT") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            listen(host, port, setting="THE_PORT")
    assert str(caught.value) == (
        f"cannot listen on {host or '*'}:{port}: Address already in use; "
        "end what uses that port, or write another port in THE_PORT"
    )
    with listen(host, port, setting="THE_PORT"):  # and is free again at once
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 70])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on .*; write another address, or another port in P"):
        listen(host, 0, setting="P")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    try:
        listener = listen("::1", 0, setting="P")
    except SettingsError:
        pytest.skip("no IPv6 loopback address here")
    with listener:
        assert listener.family == socket.AF_INET6


def test_readiness_follows_the_model(serve: Callable[..., Any]) -> None:
    worker = serve(None)

    def ready() -> httpx.Response:
        response: httpx.Response = worker.client.get("/readyz")
        return response

    assert (ready().status_code, ready().json()["detail"]) == (503, "the model is being loaded")
    worker.model.drain()
    assert (ready().status_code, ready().json()["detail"]) == (503, "the worker is shutting down")
    assert worker.client.get("/healthz").status_code == 200
