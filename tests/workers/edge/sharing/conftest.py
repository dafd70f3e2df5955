"""Fixtures of the tests of shared streams."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workers.edge.sharing.redis_server import RedisServer
from workers.edge.sharing.directory import SharedDirectory
from workers.edge.sharing.exchange import Exchange
from workers.edge.sharing.node_local import NodeLocal
from workers.edge.sharing.redis_exchange import RedisExchange, RedisQueue
from workers.inference.image_codec import decode_image, encode_png

MakeExchange = Callable[[], Exchange]


@pytest.fixture
def redis_server(tmp_path: Path, tier_unavailable) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        tier_unavailable("Redis", "redis-server is not installed: run `python -m tests.cluster packages` as root")
    server = RedisServer(program, tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["directory", "redis"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> MakeExchange:
    """Makes one more replica's end: by both ways, of which everything that is true of one is true of the other."""
    if request.param == "directory":
        return lambda: NodeLocal(SharedDirectory(tmp_path, "shop.helmet-1"))
    url = request.getfixturevalue("redis_server").url
    return lambda: RedisExchange(redis_queue(url))


def redis_queue(url: str, *, alive_s: float = 30, lease_s: float = 5) -> RedisQueue:
    return RedisQueue(url, "shop.helmet-1", encode_png, decode_image, alive_s=alive_s, lease_s=lease_s)
