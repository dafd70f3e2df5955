"""What the scenarios share: images on the nodes, the controller as users install it, models, a clip and a camera."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.errors import TierUnavailableError
from tests.e2e.running_sample import RunningSample, camera_answers, running_sample
from tests.images import archives
from tests.integration.controller_process import serves_our_kinds, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
FACE_EXAMPLE = Path(__file__).parents[2] / "examples" / "face_detection"
LONGEST_INSTALLATION_S = 120
SPARE_CAMERA_PORT = 8555


@pytest.fixture(scope="session")
def images_on_nodes(tier_unavailable: Callable[[str, str], NoReturn], e2e_cluster: E2eCluster) -> None:
    """Every image of ours, on both nodes."""
    try:
        found = archives(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("e2e", str(error))
    for archive in sorted(set(found.values())):
        e2e_cluster.load_image(archive)


@pytest.fixture(scope="session")
def sample_images(images_on_nodes: None) -> None:
    """The two images of the helmet sample; they are among ours."""


@pytest.fixture(scope="session")
def installed_controller(e2e_cluster: E2eCluster, images_on_nodes: None) -> None:
    """The controller as users install it."""
    install_controller(e2e_cluster.plane)


def install_controller(plane: ControlPlane) -> None:
    """`kubectl apply -k deploy`, and two replicas that run."""
    plane.kubectl("apply", "-k", str(DEPLOY))
    wait_until(lambda: serves_our_kinds(plane), "the API server to know the CRDs")
    words = ("rollout", "status", "deployment/sedna-controller", "-n", "sedna")
    plane.kubectl(*words, f"--timeout={LONGEST_INSTALLATION_S}s", timeout_s=LONGEST_INSTALLATION_S + 10)


@pytest.fixture(scope="session")
def node_root() -> Iterator[Path]:
    """A folder with the face example's files at the paths that its YAML has; pods may read it, whoever they run as."""
    sys.path.insert(0, str(FACE_EXAMPLE))
    try:
        assets = importlib.import_module("assets")  # the example's modules find each other by bare names
    finally:
        sys.path.remove(str(FACE_EXAMPLE))
    found = assets.prepare(assets.default_cache(os.environ), print)
    # Not below pytest's own folders, which nobody but their owner may enter.
    root = Path(tempfile.mkdtemp(prefix="sedna-e2e-node-", dir="/var/tmp"))
    try:
        shutil.copytree(found.host_root / "sedna", root / "sedna")
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def node_models(node_root: Path) -> Path:
    """The folder of the two models."""
    return node_root / "sedna" / "face_detection" / "models"


@pytest.fixture(scope="session")
def face_clip(node_root: Path) -> Path:
    """The clip of the walk."""
    return node_root / "sedna" / "face_detection" / "clips" / "walk.mp4"


@pytest.fixture(scope="session")
def sample_on_cluster(
    e2e_cluster: E2eCluster, installed_controller: None, node_models: Path, face_clip: Path
) -> Iterator[RunningSample]:
    """What the helmet sample needs, with a camera that plays; the test applies it."""
    with running_sample(e2e_cluster, face_clip, node_models) as running:
        yield running


@pytest.fixture
def camera_at_the_edge(e2e_cluster: E2eCluster, face_clip: Path) -> Iterator[str]:
    """The address of a camera at the edge, for pods there and in the cloud."""
    words = [sys.executable, "-m", "tests.e2e.camera", "--clip", str(face_clip), "--port", str(SPARE_CAMERA_PORT)]
    with e2e_cluster.run_in_edge_netns([*words, "--rate", "10"]) as camera:
        wait_until(lambda: camera_answers(e2e_cluster, SPARE_CAMERA_PORT, 10), "the camera at the edge")
        yield f"http://{e2e_cluster.edge_address}:{SPARE_CAMERA_PORT}/video"
        camera.kill()
