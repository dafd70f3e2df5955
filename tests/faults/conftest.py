"""Fixtures of the tests of bad links."""

from __future__ import annotations

import os

import pytest

from sedna_py.local.ports import free_port
from tests.cluster.errors import TierUnavailableError
from tests.faults.far_cloud import far_cloud
from tests.faults.program import locate
from tests.faults.toxiproxy import running
from tests.workers.edge.programs import Programs


@pytest.fixture
def proxy(tier_unavailable):
    """A Toxiproxy; without the program the test is skipped with the reason, in CI it fails."""
    try:
        program = locate(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("bad-link", str(error))
    with running(program) as server:
        yield server


@pytest.fixture
def cloud():
    """A cloud that answers after 20 ms."""
    with far_cloud(free_port(), seconds=0.02) as server:
        yield server


@pytest.fixture
def programs(tmp_path):
    """Starts real workers; all of them are ended with the test."""
    made = Programs(tmp_path)
    yield made
    made.end()
