"""The tier of tests that need real nodes: one cluster for all of them, started when the first asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster.binaries import locate_with_nodes
from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.errors import TierUnavailableError
from tests.cluster.machine_picture import left_behind, machine_picture
from tests.cluster.packages import require_machine
from tests.e2e.cluster_dump import write_dump
from tests.e2e.fixtures import (  # noqa: F401 - pytest finds fixtures by the names that are here
    camera_at_the_edge,
    face_clip,
    images_on_nodes,
    installed_controller,
    node_models,
    node_root,
    sample_images,
    sample_on_cluster,
)

# Seconds; the first test's includes the start of the cluster. Tests that need more say so themselves.
TEST_TIMEOUT_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that nobody has to remember, and put them behind all others.

    The cluster and what runs on it stay until the session's end; no other test is to share the processors with them.
    """
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.is_relative_to(here))
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("e2e")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down what the cluster looked like when a test of it failed."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("e2e_cluster")
    if report.failed and isinstance(cluster, E2eCluster):
        report.sections.append(("e2e cluster", f"its pods, events and logs: {write_dump(cluster, item.name)}"))
    return report


@pytest.fixture(scope="session")
def e2e_cluster(
    tier_unavailable: Callable[[str, str], NoReturn], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[E2eCluster]:
    """The session's cluster; whoever cuts the link or removes a route puts it back."""
    try:
        require_machine()
        binaries = locate_with_nodes(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("e2e", str(error))
    before = machine_picture()
    with E2eCluster(binaries, tmp_path_factory.mktemp("e2e_cluster")) as cluster:
        print(f"cluster with nodes: {', '.join(f'{part} {taken:.1f} s' for part, taken in cluster.timings.items())}")
        yield cluster
    assert left_behind(before) == []


@pytest.fixture
def e2e_namespace(e2e_cluster: E2eCluster) -> Iterator[str]:
    """A fresh namespace; it goes after the test, which does not wait for that."""
    name = e2e_cluster.plane.create_namespace("e2e-")
    yield name
    e2e_cluster.plane.delete_namespace(name)
