"""The model's volume: where it is mounted, and what a template may have there already."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controller.wanted_objects import CLOUD_POD, pod, problem, wanted

HOST = "/data/big-model/y.pb"
MOUNT = {"name": "data-big-modelz", "mountPath": "/home/data/data/big-model/"}
VOLUME = {"name": "data-big-modelz", "hostPath": {"path": "/data/big-model/", "type": "Directory"}}
DOWNLOAD = "https://host:81/k/y.pb"
DOWNLOAD_MOUNT = {"name": "sedna-storage-initializer", "mountPath": "/downloads", "readOnly": True}
DOWNLOAD_VOLUME = {"name": "sedna-storage-initializer", "emptyDir": {}}
OWN_VOLUME = {"name": "own", "emptyDir": {}}
OWN_MOUNT = {"name": "own", "mountPath": "/own"}


def written(mounts: list[Any] | None = None, volumes: list[Any] | None = None) -> dict[str, Any]:
    return {
        CLOUD_POD: {
            "containers": [
                {"name": "a", "image": "i", "volumeMounts": mounts or []},
                {"name": "b", "image": "i"},
            ],
            "volumes": volumes or [],
        }
    }


@pytest.mark.parametrize(
    ("url", "mount", "volume"), [(HOST, MOUNT, VOLUME), (DOWNLOAD, DOWNLOAD_MOUNT, DOWNLOAD_VOLUME)]
)
def test_every_container_has_the_model_behind_its_own_volumes(
    url: str, mount: dict[str, Any], volume: dict[str, Any]
) -> None:
    made = pod(wanted(written([OWN_MOUNT], [OWN_VOLUME]), url=url))
    assert [container["volumeMounts"] for container in made["containers"]] == [[OWN_MOUNT, mount], [mount]]
    assert made["volumes"] == [OWN_VOLUME, volume]


def test_a_url_that_the_worker_deals_with_itself_needs_no_volume() -> None:
    made = pod(wanted(url="hf://models/yolo"))
    assert made.keys() == {"containers"}
    assert "volumeMounts" not in made["containers"][0]


@pytest.mark.parametrize(
    ("url", "volume"),
    [
        (HOST, {"name": "data-big-modelz", "hostPath": {"path": "/data/big-model", "type": "DirectoryOrCreate"}}),
        (DOWNLOAD, {"name": "sedna-storage-initializer", "emptyDir": {"sizeLimit": "2Gi"}}),
    ],
)
def test_the_same_volume_in_the_template_is_used(url: str, volume: dict[str, Any]) -> None:
    assert pod(wanted(written(volumes=[volume]), url=url))["volumes"] == [volume]


@pytest.mark.parametrize(
    ("url", "mount", "volumes"),
    [
        (HOST, {"name": "data-big-modelz", "mountPath": "/home/data/data/big-model"}, []),
        (
            HOST,
            {"name": "mine", "mountPath": "/home/data/data/big-model/", "readOnly": True},
            [{"name": "mine", "hostPath": {"path": "/data/big-model"}}],
        ),
        (DOWNLOAD, {"name": "sedna-storage-initializer", "mountPath": "/downloads"}, []),
    ],
    ids=["same name", "same directory by another name", "download"],
)
def test_a_container_that_has_the_model_there_keeps_its_mount(
    url: str, mount: dict[str, Any], volumes: list[Any]
) -> None:
    made = pod(wanted(written([mount], volumes), url=url))
    assert made["containers"][0]["volumeMounts"] == [mount]
    assert len(made["containers"][1]["volumeMounts"]) == 1
    assert len(made["volumes"]) == len(volumes) + 1


PLACE = "InvalidSpec: spec.cloudWorker.template.spec"
HELD = "where the model's volume (hostPath /data/big-model/) is mounted; write another path"


@pytest.mark.parametrize(
    ("url", "mounts", "volumes", "message"),
    [
        (
            HOST,
            [],
            [OWN_VOLUME, {"name": "data-big-modelz", "hostPath": {"path": "/else"}}],
            '.volumes[1].name is "data-big-modelz", the name of the model\'s volume, which is hostPath /data/big-model/;'
            " write another name",
        ),
        (
            DOWNLOAD,
            [],
            [{"name": "sedna-storage-initializer", "hostPath": {"path": "/cache"}}],
            '.volumes[0].name is "sedna-storage-initializer", the name of the model\'s volume, which is an emptyDir;'
            " write another name",
        ),
        (
            HOST,
            [{"name": "own", "mountPath": "/home/data/data/big-model"}],
            [OWN_VOLUME],
            f'.containers[0].volumeMounts[0].mountPath is "/home/data/data/big-model", {HELD}',
        ),
        (
            HOST,
            [{"name": "data-big-modelz", "mountPath": "/home/data/data/big-model/", "subPath": "x"}],
            [],
            f'.containers[0].volumeMounts[0].mountPath is "/home/data/data/big-model/", {HELD}',
        ),
        (
            DOWNLOAD,
            [OWN_MOUNT, {"name": "own", "mountPath": "/downloads/"}],
            [OWN_VOLUME],
            '.containers[0].volumeMounts[1].mountPath is "/downloads/", where the model\'s volume (an emptyDir) is mounted;'
            " write another path",
        ),
    ],
)
def test_something_else_in_its_place_says_what_to_write(
    url: str, mounts: list[Any], volumes: list[Any], message: str
) -> None:
    assert problem(wanted(written(mounts, volumes), url=url)) == PLACE + message
