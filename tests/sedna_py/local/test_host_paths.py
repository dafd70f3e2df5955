from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sedna_py.api.model_mount import model_mount
from sedna_py.api.pod_template import Container, PodSpec
from sedna_py.local.host_paths import HostDirectory, PathMap, absolute, host_directories, map_paths

MOUNTS = {
    PurePosixPath("/data"): PurePosixPath("/joint/output"),
    PurePosixPath("/data/models"): PurePosixPath("/opt/models"),
    PurePosixPath("/video"): PurePosixPath("/joint/video"),
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/data/output", "/host/joint/output/output"),
        ("/data", "/host/joint/output"),
        ("/data/", "/host/joint/output/"),
        ("/data/models/a.xml", "/host/opt/models/a.xml"),  # the longest mount wins
        ("/data/modelsx/a.xml", "/host/joint/output/modelsx/a.xml"),  # whole names only
        ("/datax", "/datax"),
        ("//data//output", "/host/joint/output/output"),
        ("/data/../video/a.mp4", "/host/joint/video/a.mp4"),
        ("/data/../etc/passwd", "/data/../etc/passwd"),  # leaves the mount
        ("/elsewhere/a", "/elsewhere/a"),
        ("file://video/a.mp4", "file:/host/joint/video/a.mp4"),  # as FFmpeg reads it
        ("file:///video/a.mp4", "file:/host/joint/video/a.mp4"),
        ("file:/video/a.mp4", "file:/host/joint/video/a.mp4"),
        ("file:video/a.mp4", "file:video/a.mp4"),
        ("file:///other/a.mp4", "file:///other/a.mp4"),
        ("data/output", "data/output"),
        ("416,736", "416,736"),
        ("rtsp://localhost/data", "rtsp://localhost/data"),
        ("", ""),
    ],
)
def test_translate(value: str, expected: str) -> None:
    assert PathMap(Path("/host"), MOUNTS).translate(value) == expected


def test_without_mounts_nothing_changes() -> None:
    assert PathMap().translate("/data/output") == "/data/output"


def test_on_the_real_root_paths_are_those_of_the_node() -> None:
    assert PathMap(Path("/"), MOUNTS).translate("/video/a.mp4") == "/joint/video/a.mp4"


@pytest.mark.parametrize("path", ["/data/x", "//data/x", "data/x", "/data//x/", PurePosixPath("/data/y/../x")])
def test_absolute(path: str | PurePosixPath) -> None:
    assert absolute(path) == PurePosixPath("/data/x")


def pod(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> tuple[PodSpec, Container]:
    container = {"name": "c", "image": "i", "volumeMounts": mounts}
    spec = PodSpec.model_validate({"containers": [container], "volumes": volumes})
    return spec, spec.containers[0]


def test_mounts_of_a_container() -> None:
    spec, container = pod(
        [
            {"name": "out", "hostPath": {"path": "/joint/output/"}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "odd", "hostPath": {"path": "//odd"}},
        ],
        [
            {"name": "out", "mountPath": "/data/"},
            {"name": "out", "mountPath": "/logs", "subPath": "logs"},
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "odd", "mountPath": "/odd"},
            {"name": "gone", "mountPath": "/gone"},
        ],
    )
    paths = map_paths(spec, container, model_mount("/models/yolo.xml"), Path("/root"))
    assert {str(inside): str(host) for inside, host in paths.mounts.items()} == {
        "/data": "/joint/output",
        "/logs": "/joint/output/logs",
        "/odd": "/odd",
        "/home/data/models": "/models",
    }
    assert paths.translate("/home/data/models/yolo.xml") == "/root/models/yolo.xml"
    assert paths.translate("/odd/x") == "/root/odd/x"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/models/yolo.xml", "/root/models/yolo.xml"),
        ("/yolo.xml", "/root/yolo.xml"),
        ("/models/dir/", "/root/models/dir"),
        ("s3://bucket/k/y.xml", "/root/downloads/bucket/k/y.xml"),
        ("hf://org/model", "hf://org/model"),
    ],
)
def test_where_the_model_is(url: str, expected: str) -> None:
    mount = model_mount(url)
    spec, container = pod([], [])
    assert map_paths(spec, container, mount, Path("/root")).translate(mount.model_url) == expected


def test_directories_that_the_worker_needs() -> None:
    kinds = {"a": "Directory", "b": "DirectoryOrCreate", "c": "", "d": None, "e": "File", "f": "Socket"}
    volumes = [{"name": name, "hostPath": {"path": f"/{name}", "type": kind}} for name, kind in kinds.items()]
    spec, _ = pod([*volumes, {"name": "scratch", "emptyDir": {}}], [])
    assert host_directories(spec, PathMap(Path("/root"))) == [
        HostDirectory(Path("/root/a"), must_exist=True),
        HostDirectory(Path("/root/b"), must_exist=False),
        HostDirectory(Path("/root/c"), must_exist=False),
        HostDirectory(Path("/root/d"), must_exist=False),
    ]
