"""A write that was decided on while this replica led and is sent when it may not lead any more."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from controller.children import ChildKey, ChildKind
from controller.cluster import Cluster, write_guard
from controller.errors import Unavailable

KEY = ChildKey(ChildKind.SERVICE, "s")
SETTLED = 5  # more questions than one request asks


async def ask(leads: Iterator[bool], client_of: Any) -> list[str]:
    """Return what reached the server of a write that is refused, and of a read that nobody is asked about."""
    carried_out: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        carried_out.append(request.method)
        return web.json_response({"metadata": {"annotations": {}}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = client_of(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
    cluster = Cluster(client, timeout_s=5, may_write=lambda: next(leads))
    try:
        with pytest.raises(Unavailable):
            await cluster.delete_child("shop", KEY, "uid")
        await cluster.secret_annotations("shop", "s")
    finally:
        await cluster.close()
        await runner.cleanup()
    return carried_out


def client_of(port: int) -> ApiClient:
    configuration = Configuration(host=f"http://127.0.0.1:{port}")
    configuration.trace_configs = [write_guard()]
    with mock.patch("ssl.create_default_context", return_value=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)):
        return ApiClient(configuration)


@pytest.mark.parametrize("yes", range(3))
def test_it_is_not_carried_out_whenever_the_lease_is_lost(yes: int) -> None:
    answers = iter([True] * yes + [False] * SETTLED)
    assert asyncio.run(ask(answers, client_of)) == ["GET"]
