"""The tier of tests that need a real control plane: one for all of them, started when the first asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster.binaries import Binaries, locate
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import TierUnavailableError


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that nobody has to remember."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("integration")


@pytest.fixture(scope="session")
def kubernetes_binaries(tier_unavailable: Callable[[str, str], NoReturn]) -> Binaries:
    """The programs; never built here, where no progress could be seen and a test's time limit runs."""
    try:
        return locate(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("integration", str(error))


@pytest.fixture(scope="session")
def control_plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The session's control plane; a test that stops its API server must start it again."""
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("control_plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace of the session's control plane; it goes after the test, which does not wait for that."""
    name = control_plane.create_namespace()
    yield name
    control_plane.delete_namespace(name)
