"""Downloads from a real S3 server that checks keys and signatures, and from one that breaks off."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from tests.environments import NoEnvironment
from tests.workers.storage_initializer.conftest import Program, WebServer, body, dripping, sha256, status, torn
from tests.workers.storage_initializer.object_store import Store, serving

MODEL = b"model" * 1000


def packed() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("m.pb")
        info.size = len(MODEL)
        archive.addfile(info, io.BytesIO(MODEL))
    return stream.getvalue()


OBJECTS = {
    "k/y.pb": MODEL,
    "k/a b%.pb": MODEL,
    "ir/m.xml": b"<net/>",
    "ir/m.bin": b"weights",
    "alone/m.xml": b"<net/>",
    "folder/a": b"1",
    "folder/deep/b.zip": b"not unpacked",
    "folder/deep/": b"",
    "folder-other/c": b"3",
    "m.tar.gz": packed(),
    "evil/../../x": b"x",
}


@pytest.fixture(scope="module")
def store(tier_unavailable: Callable[[str, str], NoReturn]) -> Iterator[Store]:
    try:
        with serving(OBJECTS) as running:
            yield running
    except NoEnvironment as error:
        tier_unavailable("S3", str(error))


@pytest.fixture
def reader(program: Program, store: Store) -> Program:
    """The program with the keys of who may read and list."""
    program.environment |= {"S3_ENDPOINT_URL": store.url, **store.users["reader"], "DOWNLOAD_ATTEMPTS": "2"}
    return program


pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("url", "files"),
    [
        ("s3://models/k/y.pb", {"y.pb": MODEL}),
        ("s3://models/k/a%20b%25.pb", {"a b%.pb": MODEL}),
        ("s3://models/ir/m.xml", {"m.xml": b"<net/>", "m.bin": b"weights"}),
        ("s3://models/alone/m.xml", {"m.xml": b"<net/>"}),
        ("s3://models/folder", {"folder/a": b"1", "folder/deep/b.zip": b"not unpacked"}),
        ("s3://models/folder/", {"folder/a": b"1", "folder/deep/b.zip": b"not unpacked"}),
        ("s3://models/m.tar.gz", {"m.pb": MODEL}),
        (f"s3://models/k/y.pb#sha256={sha256(MODEL)}", {"y.pb": MODEL}),
    ],
)
def test_objects_folders_and_archives_are_fetched(reader: Program, url: str, files: dict[str, bytes]) -> None:
    assert reader.fetch(url) == 0, reader.error
    assert reader.files == files


def test_an_object_that_was_uploaded_in_parts_is_fetched(reader: Program) -> None:
    assert reader.fetch("s3://models/parts.bin") == 0
    assert reader.files == {"parts.bin": b"\1" * 5 * 2**20 + b"\2" * 5 * 2**20}


def test_what_is_there_is_not_fetched_again(reader: Program) -> None:
    assert [reader.fetch("s3://models/k/y.pb"), reader.fetch("s3://models/k/y.pb")] == [0, 0]
    assert reader.said == "y.pb is here already\n"


def test_keys_that_may_only_read_are_enough(reader: Program, store: Store) -> None:
    assert reader.fetch("s3://models/k/y.pb", **store.users["getter"]) == 0


@pytest.mark.parametrize(
    ("url", "keys", "message"),
    [
        ("s3://models/none.pb", {}, "s3://models/none.pb does not exist; write the URL of an object"),
        ("s3://models/none.zip", {}, "the store says NoSuchKey; write the URL of an object"),
        ("s3://no-such-bucket/y.pb", {}, "the store says NoSuchBucket; write the name of a bucket that exists"),
        ("s3://B/y.pb", {}, "write s3://bucket/key and http(s)://host:port"),
        ("s3://models/evil", {}, "which would leave its folder; rename it"),
        (f"s3://models/k/y.pb#sha256={'0' * 64}", {}, "and the Model's url demands 0000"),
        ("s3://models/k/y.pb", {"DOWNLOAD_MAX_BYTES": "10"}, "is larger than 10 bytes"),
        (
            "s3://models/folder",
            {"DOWNLOAD_MAX_BYTES": "5"},
            "s3://models/folder has more than 10000 objects or 5 bytes",
        ),
        (
            "s3://models/k/y.pb",
            {"ACCESS_KEY_ID": "nobody"},
            "InvalidAccessKeyId; the store does not know ACCESS_KEY_ID",
        ),
        (
            "s3://models/k/y.pb",
            {"SECRET_ACCESS_KEY": "geheim"},
            "SignatureDoesNotMatch; SECRET_ACCESS_KEY is not the one",
        ),
        (
            "s3://models/k/y.pb",
            {"S3_ENDPOINT_URL": "http://127.0.0.1:1"},
            "cannot be fetched from http://127.0.0.1:1: ",
        ),
        ("s3://models/k/y.pb", {"S3_ENDPOINT_URL": "http://"}, "write s3://bucket/key and http(s)://host:port"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    reader: Program, url: str, keys: dict[str, str], message: str
) -> None:
    assert reader.fetch(url, **keys) == 1
    assert message in reader.error
    assert reader.files == {}
    secret = keys.get("SECRET_ACCESS_KEY", reader.environment["SECRET_ACCESS_KEY"])
    assert secret not in reader.error + reader.said


def test_keys_without_the_right_to_read_are_told_so(reader: Program, store: Store) -> None:
    assert reader.fetch("s3://models/k/y.pb", **store.users["nobody"]) == 1
    assert "the store says AccessDenied; name a Secret with keys that may read it" in reader.error


# --- a store that misbehaves


@pytest.fixture
def anonymous(program: Program, web: WebServer) -> Program:
    program.environment |= {"S3_ENDPOINT_URL": f"http://{web.host}", "DOWNLOAD_ATTEMPTS": "3"}
    return program


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def test_without_keys_the_request_is_anonymous(anonymous: Program, web: WebServer) -> None:
    web.serve("/models/y.pb", body(MODEL, ETag=etag(MODEL)))
    assert anonymous.fetch("s3://models/y.pb") == 0
    assert web.asked == ["/models/y.pb"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(torn(MODEL[:10], len(MODEL)), id="torn"),
        pytest.param(status(503), id="busy"),
        pytest.param(body(MODEL, ETag=etag(b"other")), id="damaged"),
    ],
)
def test_what_may_go_better_is_tried_again(anonymous: Program, web: WebServer, bad) -> None:
    web.serve("/models/y.pb", bad, bad, body(MODEL, ETag=etag(MODEL)))
    assert anonymous.fetch("s3://models/y.pb") == 0
    assert anonymous.files == {"y.pb": MODEL}


@pytest.mark.parametrize("etag_text", ['"0123456789abcdef0123456789abcdef-2"', '"not hexadecimal"'])
def test_an_etag_that_is_no_md5_is_not_compared(anonymous: Program, web: WebServer, etag_text: str) -> None:
    web.serve("/models/y.pb", body(MODEL, ETag=etag_text))
    assert anonymous.fetch("s3://models/y.pb") == 0


def test_a_key_of_ones_own_makes_the_etag_no_md5(anonymous: Program, web: WebServer) -> None:
    web.serve("/models/y.pb", body(MODEL, ETag=etag(b"other"), x_amz_server_side_encryption="aws:kms"))
    assert anonymous.fetch("s3://models/y.pb") == 0


def test_a_slow_store_is_left_when_the_time_is_over(anonymous: Program, web: WebServer) -> None:
    web.serve("/models/y.pb", dripping)
    assert anonymous.fetch("s3://models/y.pb", DOWNLOAD_TIMEOUT_S="0.1") == 1
    assert anonymous.error == "not finished within 0.1 s; raise DOWNLOAD_TIMEOUT_S\n"
