"""Fixtures of the tests of shared streams."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.edge.sharing.redis_server import RedisServer
from tests.workers.edge.sharing.replicas import ExchangeAt


@pytest.fixture
def redis_server(tmp_path: Path, tier_unavailable) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        tier_unavailable("Redis", "redis-server is not installed: run `python -m tests.cluster packages` as root")
    server = RedisServer(program, tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["directory", "redis"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> ExchangeAt:
    """Makes one more replica's end: by both ways, of which everything that is true of one is true of the other.

    It is patient; where a death is to be noticed, a test makes an impatient one of it.
    """
    where = str(tmp_path) if request.param == "directory" else request.getfixturevalue("redis_server").url
    return ExchangeAt(where, patient=True)
