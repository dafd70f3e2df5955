"""From arguments to jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedna_py.api.model_mount import model_mount
from workers.storage_initializer.errors import TransferError
from workers.storage_initializer.job import Job, read_jobs

SUM = "0aB" * 21 + "0"


@pytest.mark.parametrize(
    ("url", "job"),
    [
        ("s3://b/k/y.pb", Job("s3://b/k/y.pb", Path("/d"), "y.pb")),
        ("https://h/a%20b.pb?token=1", Job("https://h/a%20b.pb?token=1", Path("/d"), "a b.pb")),
        (f"https://h/y.pb#sha256={SUM}", Job("https://h/y.pb", Path("/d"), "y.pb", SUM.lower())),
        ("https://h/y.pb#other", Job("https://h/y.pb", Path("/d"), "y.pb")),
        ("https://h/m.tar.gz", Job("https://h/m.tar.gz", Path("/d"), "m.tar.gz", is_archive=True)),
        ("s3://b/k/", Job("s3://b/k/", Path("/d"), "k")),
        ("/a/b#c%20.pb", Job("/a/b#c%20.pb", Path("/d"), "b#c%20.pb")),
        ("file:///a/b%20c", Job("file:///a/b%20c", Path("/d"), "b c")),
    ],
)
def test_a_url_becomes_a_job(url: str, job: Job) -> None:
    assert read_jobs([url, "/d"], {}, "@") == [job]


@pytest.mark.parametrize(
    "url",
    ["s3://b/k/y.pb", "https://u:p@h:80/a%20b.pb?t=1", f"http://h/k%2Fy.pb#sha256={SUM}", "s3://b/k/", "S3://b/y"],
)
def test_a_file_arrives_where_model_url_says(url: str) -> None:
    mount = model_mount(url)
    [job] = read_jobs(mount.download_args, {}, "@")
    assert str(job.place) == mount.model_url


@pytest.mark.parametrize("url", ["https://h/k/m.zip", f"s3://b/k/m.tar.gz?versionId=1#sha256={SUM}"])
def test_an_archive_is_unpacked_where_model_url_says(url: str) -> None:
    mount = model_mount(url)
    [job] = read_jobs(mount.download_args, {}, "@")
    assert job.is_archive
    assert str(job.directory) == mount.model_url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "write pairs: URL DIRECTORY"),
        (["/a"], "write pairs: URL DIRECTORY"),
        (
            ["hf://u:secret@org/model", "/d"],
            "hf://org/model cannot be fetched; write an s3, http or https URL, or a path",
        ),
        (["https://h/", "/d"], "https://h/ names no file; write the URL of a file"),
        (["https://h/k/..", "/d"], "names no file"),
        ([f"https://h/k#sha256={SUM[1:]}", "/d"], "is no checksum; write #sha256= and 64 hexadecimal digits"),
        (["@MODEL", "/d"], "the variable MODEL is not set; set it, or write the URL or folder itself"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(TransferError) as caught:
        read_jobs(arguments, {}, "@")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_marked_argument_names_a_variable() -> None:
    environment = {"FROM": "https://h/y.pb", "TO": "/d"}
    assert read_jobs(["@FROM", "@TO"], environment, "@") == [Job("https://h/y.pb", Path("/d"), "y.pb")]
    assert read_jobs(["%FROM", "/d"], environment, "%") == [Job("https://h/y.pb", Path("/d"), "y.pb")]


@pytest.mark.parametrize(
    ("job", "weights"),
    [
        (Job("https://h/m.xml?t=x.xml", Path("/d"), "m.xml", SUM), Job("https://h/m.bin?t=x.xml", Path("/d"), "m.bin")),
        (Job("s3://b/m.xml", Path("/d"), "m.xml"), Job("s3://b/m.bin", Path("/d"), "m.bin")),
        (Job("/a/m.xml", Path("/d"), "m.xml"), Job("/a/m.bin", Path("/d"), "m.bin")),
        (Job("https://h/m.onnx", Path("/d"), "m.onnx"), None),
        (Job("https://h/xml", Path("/d"), "xml"), None),
    ],
)
def test_weights_lie_beside_an_xml(job: Job, weights: Job | None) -> None:
    assert job.weights() == weights
