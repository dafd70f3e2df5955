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
from tests.integration.controller_process import running_controller
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.played_metrics import install_metrics_api
from tests.integration.service_on_cluster import Cluster, install_crds
from tests.integration.watched_service import CLOUD_NODE, EDGE_NODE, PlayedSite


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


@pytest.fixture(scope="session")
def played_site(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedSite]:
    """A control plane of its own with one controller for all namespaces, played nodes and a played metrics API."""
    folder = tmp_path_factory.mktemp("played_site")
    with ControlPlane(kubernetes_binaries, folder / "plane") as plane:
        install_crds(plane)
        cluster = Cluster.of(plane)
        install_metrics_api(plane, cluster)
        with (
            PlayedKubelet(plane) as kubelet,
            running_controller(folder, plane.kubeconfig, {"LEADER_ELECTION": "false"}) as controller,
        ):
            kubelet.register(EDGE_NODE, CLOUD_NODE)
            yield PlayedSite(plane, cluster, kubelet, controller)
            assert "Traceback" not in controller.log()
        cluster.http.close()
