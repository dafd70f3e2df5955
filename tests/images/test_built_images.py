"""The images as they are shipped: how big, what is in them, and that they work where nothing can be written."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import httpx
import pytest

from sedna_py.local.ports import free_port
from tests.images.containers import Container
from tests.images.oci_layout import UnpackedImage, unpack

MB = 1_000_000
LARGEST = {"controller": 250 * MB, "worker": 600 * MB, "storage-initializer": 200 * MB}
FACE_EXAMPLE = Path(__file__).parents[2] / "examples" / "face_detection"
# Programs that build or install Python packages, and what they leave.
UNWANTED = [
    "**/pip",
    "**/pip3",
    "**/pip-*.dist-info",
    "**/ensurepip",
    "**/setuptools",
    "**/bin/*gcc*",
    "**/bin/cc",
    "**/bin/ld",
]
UNWANTED += ["var/lib/apt/lists/*", "var/cache/apt/*", "root/.cache", "opt/sedna/**/tests", "mnt/*", "etc/pip.conf"]
START_S = 60
MODELS = "/home/data/models"

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def images(image_archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], UnpackedImage]:
    """Return images(name) -> the unpacked image."""
    made: dict[str, UnpackedImage] = {}

    def image(name: str) -> UnpackedImage:
        if name not in made:
            [reference] = [reference for reference in image_archives if reference.startswith(f"sedna-py/{name}:")]
            folder = tmp_path_factory.mktemp("image") / "root"
            made[name] = unpack(image_archives[reference], f"docker.io/{reference}", folder)
        return made[name]

    return image


@pytest.fixture(scope="module")
def assets() -> Any:
    """The models and clips of the face example."""
    module = example_module("assets")
    return module.prepare(module.default_cache(os.environ), print)


def example_module(name: str) -> ModuleType:
    sys.path.insert(0, str(FACE_EXAMPLE))  # the example's modules find each other by bare names
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FACE_EXAMPLE))


@pytest.mark.parametrize("name", LARGEST)
def test_an_image_is_small_and_has_nothing_that_builds_or_installs(images, name):
    image = images(name)
    assert 50 * MB < image.size < LARGEST[name]
    assert [str(path) for pattern in UNWANTED for path in image.root.glob(pattern)] == []


@pytest.mark.parametrize("name", LARGEST)
def test_every_module_of_an_image_is_compiled_once_and_for_all(images, name):
    """With a root that cannot be written each start would compile them anew; kubernetes' many classes are left out."""
    image = images(name)
    missing = [
        path
        for path in (image.root / "opt" / "sedna").rglob("*.py")
        if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) and "/kubernetes/" not in str(path)
    ]
    assert [path for path in missing if "lib2to3" not in path.parts] == []


@pytest.mark.parametrize("name", LARGEST)
def test_nobody_but_root_may_write_in_an_image(images, name):
    image = images(name)
    assert image.config["User"] == "65532:65532"
    loose = [
        path
        for path in image.root.rglob("*")
        if not path.is_symlink() and (path.lstat().st_uid == 65532 or path.lstat().st_mode & 0o002)
    ]
    assert {path.relative_to(image.root).as_posix() for path in loose} <= {"tmp", "var/tmp", "run/lock"}


@pytest.mark.parametrize("name", LARGEST)
def test_the_user_of_an_image_has_a_name_and_a_home(images, name, tmp_path):
    """Libraries ask for them, kopf for one."""
    script = "import getpass, os, pathlib; print(os.getuid(), getpass.getuser(), pathlib.Path.home())"
    container = Container(tmp_path, images(name), arguments=["-c", script])
    container.image = replace(container.image, config={**container.image.config, "Entrypoint": ["python"]})
    assert run_to_end(container) == 0, container.log
    assert container.log == "65532 sedna /tmp\n"


def run_to_end(container: Container) -> int:
    with container.running() as process:
        return process.wait(START_S)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("worker", "edge or cloud?"),
        ("controller", "set KUBECONFIG, or run it in a pod"),
        ("storage-initializer", "URL"),
    ],
)
def test_an_image_without_a_command_starts_its_program(images, name, says, tmp_path):
    container = Container(tmp_path, images(name), environment={"HTTP_PORT": "0"})
    assert run_to_end(container) == 1
    assert says in container.log
    assert "Traceback" not in container.log


def test_the_storage_initializer_takes_pairs_of_url_and_folder(images, tmp_path):
    container = Container(
        tmp_path, images("storage-initializer"), arguments=["https://127.0.0.1:9/y.xml", "/tmp/models"]
    )
    container.environment = {"DOWNLOAD_ATTEMPTS": "1"}
    assert run_to_end(container) == 1
    assert "127.0.0.1:9" in container.log
    assert "Traceback" not in container.log


def test_the_image_answers_requests_as_the_cloud_worker(images, assets, tmp_path):
    """With nothing but the controller's variables; the estimator lies beside the model."""
    port = free_port()
    container = Container(tmp_path, images("worker"), environment=model_of(assets.full_range, "FullRange"))
    container.environment |= {"BIG_MODEL_BIND_IP": "127.0.0.1", "BIG_MODEL_BIND_PORT": str(port)}
    container.folders = {MODELS: assets.full_range.parent}
    url = f"http://127.0.0.1:{port}"

    with container.running() as process, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        wait_until_ready(container, client)
        answer = client.post("/sedna/predict", content=a_face(assets.walk), headers={"Content-Type": "image/jpeg"})
        container.terminate()
        assert process.wait(START_S) == 0, container.log

    assert answer.status_code == http.client.OK, answer.text
    [face] = answer.json()["result"]
    assert face[4] > 0.5


def test_the_image_answers_every_frame_as_the_edge_worker(images, assets, tmp_path):
    (tmp_path / "output").mkdir()
    os.chown(tmp_path / "output", 65532, 65532)
    container = Container(tmp_path, images("worker"), environment=model_of(assets.short_range, "ShortRange"))
    container.environment |= {"HEM_NAME": "EdgeOnly", "SOURCE_FRAMES": "30", "video_url": f"/clips/{assets.walk.name}"}
    container.environment |= {"DECISIONS_FILE": "/output/decisions.jsonl"}
    container.folders = {MODELS: assets.short_range.parent, "/clips": assets.walk.parent}
    container.writable = {"/output": tmp_path / "output"}

    assert run_to_end(container) == 0, container.log

    lines = (tmp_path / "output" / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    frames = [json.loads(line) for line in lines]
    assert len(frames) == 30
    assert sum(bool(frame["result"]) for frame in frames) > 20


def model_of(path: Path, name: str) -> dict[str, str]:
    return {"MODEL_URL": f"{MODELS}/{path.name}", "ESTIMATOR": f"estimator.py:{name}"}


def wait_until_ready(container: Container, client: httpx.Client) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if client.get("/readyz").status_code == http.client.OK:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, container.log
        time.sleep(0.05)


def a_face(clip: Path) -> bytes:
    """Return the first picture of a clip as JPEG."""
    capture = cv2.VideoCapture(str(clip))
    _, frame = capture.read()
    capture.release()
    return cv2.imencode(".jpg", frame)[1].tobytes()
