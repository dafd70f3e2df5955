"""Where a Model's url appears in the worker."""

from __future__ import annotations

import pytest

from sedna_py.api.model_mount import ModelMount, MountKind, model_mount, url_problem
from sedna_py.errors import ManifestError


@pytest.mark.parametrize(
    ("url", "model_url", "host", "container", "volume"),
    [
        pytest.param(
            "/data/big-model/y.pb",
            "/home/data/data/big-model/y.pb",
            "/data/big-model/",
            "/home/data/data/big-model/",
            "data-big-modelz",
            id="file",
        ),
        pytest.param(
            "/model/frozen.pb", "/home/data/model/frozen.pb", "/model/", "/home/data/model/", "modelz", id="one"
        ),
        pytest.param(
            "/models/dir", "/home/data/models/dir", "/models/", "/home/data/models/", "modelsz", id="directory"
        ),
        pytest.param(
            "/models/dir/",
            "/home/data/models/dir",
            "/models/dir/",
            "/home/data/models/dir/",
            "models-dirz",
            id="trailing slash",
        ),
        pytest.param("/y.pb", "/home/data/y.pb", "/", "/home/data/", "sedna-default-volume-name", id="root"),
        pytest.param(
            "/Qwen/Qwen2.5", "/home/data/Qwen/Qwen2.5", "/Qwen/", "/home/data/Qwen/", "qwenz", id="capital letters"
        ),
        pytest.param("//a//b/y", "/home/data/a/b/y", "/a/b/", "/home/data/a/b/", "a-bz", id="repeated slashes"),
        pytest.param(
            "/a b/c%20d.pb",
            "/home/data/a b/c%20d.pb",
            "/a b/",
            "/home/data/a b/",
            "a-bz",
            id="file name as on the host",
        ),
        pytest.param(
            "/a%20b/y.pb", "/home/data/a b/y.pb", "/a%20b/", "/home/data/a b/", "a-20bz", id="escape in the directory"
        ),
        pytest.param(
            "/m?v=1/y", "/home/data/m?v=1/y", "/m?v=1/", "/home/data/m?v=1/", "m-v-1z", id="no query in a path"
        ),
        pytest.param(
            f"/{'x' * 70}/y",
            f"/home/data/{'x' * 70}/y",
            f"/{'x' * 70}/",
            f"/home/data/{'x' * 70}/",
            "x" * 63,
            id="long",
        ),
    ],
)
def test_host_path(url: str, model_url: str, host: str, container: str, volume: str) -> None:
    assert model_mount(url) == ModelMount(MountKind.HOST_PATH, model_url, host, container, volume)


@pytest.mark.parametrize(
    ("url", "model_url", "directory"),
    [
        ("s3://b/k/y.pb", "/downloads/b/k/y.pb", "/downloads/b/k/"),
        ("S3://b/k/y.pb", "/downloads/b/k/y.pb", "/downloads/b/k/"),
        ("http://h:80/k/y.pb", "/downloads/h:80/k/y.pb", "/downloads/h:80/k/"),
        ("https://user:word@h/k/y.pb?token=1", "/downloads/h/k/y.pb", "/downloads/h/k/"),
        ("https://h/a%20b.pb", "/downloads/h/a b.pb", "/downloads/h/"),
        ("s3://b/k/", "/downloads/b/k", "/downloads/b/"),
        ("https://h/k/model.tar.gz", "/downloads/h/k", "/downloads/h/k/"),
        ("https://h/k/model.zip", "/downloads/h/k", "/downloads/h/k/"),
        (f"https://h/k/y.pb?v=1#sha256={'0aB' * 21}0", "/downloads/h/k/y.pb", "/downloads/h/k/"),
        (f"s3://b/k/model.tar#sha256={'0' * 64}", "/downloads/b/k", "/downloads/b/k/"),
        ("https://h/k/y.pb#other", "/downloads/h/k/y.pb", "/downloads/h/k/"),
    ],
)
def test_download(url: str, model_url: str, directory: str) -> None:
    assert model_mount(url) == ModelMount(
        MountKind.DOWNLOAD,
        model_url,
        container_directory="/downloads",
        volume_name="sedna-storage-initializer",
        download_args=(url, directory),
    )


@pytest.mark.parametrize("url", ["hf://org/model", "file:///m/y.pb", "gs://b/k", "obs://b/k", "ovms+grpc://h:9000/m"])
def test_other_schemes_are_passed_through(url: str) -> None:
    assert model_mount(url) == ModelMount(MountKind.PASSTHROUGH, url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is empty; write a path on the node such as /models/yolo.xml, or an s3, http or https URL"),
        ("/a%zz", 'is "/a%zz", where %zz is not an escape; write %25 for a percent sign'),
        ("/a%", 'is "/a%", where % is not an escape; write %25 for a percent sign'),
        ("hf://a%z", 'is "hf://a%z", where %z is not an escape; write %25 for a percent sign'),
        ("m/y.pb", 'is "m/y.pb", a relative path; write an absolute path on the node, such as /models/yolo.xml'),
        ("/a/../b", "is \"/a/../b\"; write the path without '..'"),
        ("/%2e%2e/%2e%2e/etc/x", "is \"/%2e%2e/%2e%2e/etc/x\"; write the path without '..'"),
        ("https://h/../../etc/x", "is \"https://h/../../etc/x\"; write the path without '..'"),
        ("/a\nb", 'is "/a\\nb", which has control characters; remove them'),
        ("/a%00b", 'is "/a%00b", which has control characters; remove them'),
        ("s3:///k", 'is "s3:///k", which has no usable host; write it as s3://bucket/path/model.xml'),
        ("http://[::1/k", 'is "http://[::1/k", which has no usable host; write it as https://host/path/model.xml'),
        ("http://h:port/k", 'is "http://h:port/k", which has no usable host; write it as https://host/path/model.xml'),
        (
            "https://h/k#sha256=12",
            'is "https://h/k#sha256=12", whose checksum cannot be read; write #sha256= and 64 hexadecimal digits',
        ),
        ("http://a b/k", 'is "http://a b/k", which has no usable host; write it as https://host/path/model.xml'),
    ],
)
def test_unusable_url(url: str, reason: str) -> None:
    assert url_problem(url) == reason
    with pytest.raises(ManifestError) as caught:
        model_mount(url)
    assert caught.value.problems == [f"url: {reason}"]
