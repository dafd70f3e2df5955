"""Downloads from a real web server on loopback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
from pathlib import Path

import pytest

from tests.workers.storage_initializer.conftest import (
    Program,
    WebServer,
    body,
    dripping,
    not_found,
    sha256,
    silent,
    status,
    torn,
)
from workers.storage_initializer.http_source import server_digests

MODEL = b"model" * 1000


def test_a_file_keeps_its_name_and_is_readable_for_all(web: WebServer, program: Program) -> None:
    assert program.fetch(web.serve("/k/a%20b.pb", body(MODEL)) + "?token=1") == 0
    assert program.files == {"a b.pb": MODEL}
    assert (program.directory / "a b.pb").stat().st_mode & 0o444 == 0o444
    assert program.said == f"fetched {web.url('/k/a%20b.pb')}\n"


def test_several_pairs_are_fetched(web: WebServer, program: Program, tmp_path: Path) -> None:
    pairs = [web.serve("/a", body(b"1")), str(tmp_path / "x"), web.serve("/b", body(b"2")), str(tmp_path / "y")]
    assert program(*pairs) == 0
    assert ((tmp_path / "x" / "a").read_bytes(), (tmp_path / "y" / "b").read_bytes()) == (b"1", b"2")


def test_redirects_are_followed_and_the_name_stays(web: WebServer, program: Program) -> None:
    web.serve("/elsewhere", body(MODEL))
    assert program.fetch(web.serve("/model.pb", status(302, Location="/elsewhere"))) == 0
    assert program.files == {"model.pb": MODEL}


def test_an_openvino_model_brings_its_weights(web: WebServer, program: Program) -> None:
    web.serve("/m.bin", body(b"weights"))
    assert program.fetch(web.serve("/m.xml", body(b"<net/>"))) == 0
    assert program.files == {"m.xml": b"<net/>", "m.bin": b"weights"}


@pytest.mark.parametrize("code", [404, 403])
def test_an_xml_without_weights_is_no_error(web: WebServer, program: Program, code: int) -> None:
    web.serve("/m.bin", status(code))
    assert program.fetch(web.serve("/m.xml", body(b"<net/>"))) == 0
    assert program.files == {"m.xml": b"<net/>"}
    assert "no m.bin beside the .xml" in program.said


def test_weights_that_cannot_be_had_now_are_an_error(web: WebServer, program: Program) -> None:
    web.serve("/m.bin", status(500))
    assert program.fetch(web.serve("/m.xml", body(b"<net/>")), DOWNLOAD_ATTEMPTS="2") == 1
    assert "/m.bin answered 500" in program.error


@pytest.mark.parametrize(
    "bad",
    [
        status(500),
        status(503),
        status(429),
        torn(MODEL[:100], len(MODEL)),
        body(MODEL, Content_MD5=base64.b64encode(bytes(16)).decode()),
    ],
)
def test_what_may_go_better_is_tried_again(web: WebServer, program: Program, bad) -> None:
    assert program.fetch(web.serve("/m", bad, bad, body(MODEL))) == 0
    assert program.files == {"m": MODEL}
    assert len(web.asked) == 3
    assert program.said.count("trying again") == 2


@pytest.mark.parametrize(
    ("answer", "asked", "message"),
    [
        (not_found, 1, "/m answered 404 Not Found; write the URL of a file that exists in the Model's url"),
        (status(403), 1, "/m answered 403 Forbidden; write a URL that may be read without signing in"),
        (status(204), 1, "/m answered 204 No Content; write the URL of the file itself"),
        (status(302, Location="/m"), 6, "/m leads nowhere: Exceeded maximum allowed redirects."),
        (status(302, Location="ftp://h/m"), 1, "/m leads nowhere: "),
        (status(500), 3, "/m answered 500 Internal Server Error"),
        (torn(b"only this", 1000), 3, "/m cannot be fetched: peer closed connection"),
        (body(b"x" * 5001), 1, "/m is larger than 5000 bytes; raise DOWNLOAD_MAX_BYTES"),
        (torn(b"", 10**15), 1, "/m is larger than 5000 bytes; raise DOWNLOAD_MAX_BYTES"),
        (silent, 3, "/m cannot be fetched: timed out"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    web: WebServer, program: Program, answer, asked: int, message: str
) -> None:
    idle = "0.05" if answer is silent else "5"
    bounds = {"DOWNLOAD_ATTEMPTS": "3", "DOWNLOAD_MAX_BYTES": "5000", "DOWNLOAD_IDLE_TIMEOUT_S": idle}
    assert program.fetch(web.serve("/m", answer), **bounds) == 1
    assert message in program.error
    assert len(web.asked) == asked
    assert program.files == {}


def test_all_time_together_is_bounded(web: WebServer, program: Program) -> None:
    assert program.fetch(web.serve("/m", dripping), DOWNLOAD_TIMEOUT_S="0.05") == 1
    assert program.error == "not finished within 0.05 s; raise DOWNLOAD_TIMEOUT_S\n"
    assert program.files == {}


def test_a_pause_that_does_not_fit_into_the_time_is_not_made(
    web: WebServer, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.storage_initializer.fetch.FIRST_PAUSE_S", 60)
    assert program.fetch(web.serve("/m", status(503)), DOWNLOAD_TIMEOUT_S="10") == 1
    assert "answered 503" in program.error


def test_a_server_that_is_not_there_is_named_without_secrets(program: Program) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused for sure
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        assert program.fetch(f"http://user:secret@{address}/m?token=secret", DOWNLOAD_ATTEMPTS="2") == 1
    assert program.error.startswith(f"http://{address}/m cannot be fetched: ")
    assert "secret" not in program.error + program.said


@pytest.mark.parametrize(
    ("headers", "digests"),
    [
        ({}, {}),
        ({"content-md5": base64.b64encode(hashlib.md5(MODEL).digest()).decode()}, {"md5"}),
        (
            {"digest": "sha-256=" + base64.b64encode(hashlib.sha256(MODEL).digest()).decode() + ",unixsum=30637"},
            {"sha256"},
        ),
        ({"repr-digest": f"sha-512=:{base64.b64encode(hashlib.sha512(MODEL).digest()).decode()}:"}, {"sha512"}),
        ({"content-md5": "no base64!", "digest": "crc32c=AAAA"}, {}),
    ],
)
def test_the_servers_checksums_are_understood(headers: dict[str, str], digests: set[str]) -> None:
    assert server_digests(headers) == {name: hashlib.new(name, MODEL).hexdigest() for name in digests}


def test_a_demanded_checksum_is_verified(web: WebServer, program: Program) -> None:
    url = web.serve("/m", body(MODEL))
    assert program.fetch(f"{url}#sha256={sha256(MODEL).upper()}") == 0
    assert program.files == {"m": MODEL}


def test_another_checksum_is_an_error_and_keeps_the_old_file(web: WebServer, program: Program) -> None:
    program.directory.mkdir()
    (program.directory / "m").write_bytes(b"old")
    url = web.serve("/m", body(MODEL))
    assert program.fetch(f"{url}#sha256={'0' * 64}") == 1
    assert program.error == (
        f"{url} has sha256 {sha256(MODEL)}, and the Model's url demands {'0' * 64}; find out who changed it\n"
    )
    assert program.files == {"m": b"old"}
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param("m.pb", MODEL, id="m.pb"), pytest.param("m.gz", gzip.compress(MODEL, mtime=0), id="m.gz")],
)
def test_a_body_that_the_server_packed_is_unpacked(web: WebServer, program: Program, name: str, content: bytes) -> None:
    packed = gzip.compress(MODEL, mtime=0)
    headers = {"Content_Encoding": "gzip", "Content_MD5": base64.b64encode(hashlib.md5(packed).digest()).decode()}
    assert program.fetch(web.serve(f"/{name}", body(packed, **headers))) == 0
    assert program.files[name] == content


# --- a second run on the same volume


def test_what_is_there_is_not_fetched_again(web: WebServer, program: Program) -> None:
    url = web.serve("/m", body(MODEL, ETag='"1"'))
    assert program.fetch(url) == 0
    inode = (program.directory / "m").stat().st_ino
    assert program.fetch(url) == 0
    assert program.said == "m is here already\n"
    assert (program.directory / "m").stat().st_ino == inode


def test_with_a_demanded_checksum_nobody_is_asked_again(web: WebServer, program: Program) -> None:
    url = web.serve("/m", body(MODEL)) + f"#sha256={sha256(MODEL)}"
    assert [program.fetch(url), program.fetch(url)] == [0, 0]
    assert len(web.asked) == 1


@pytest.mark.parametrize("etag", ["", '"2"'])
def test_what_changed_or_may_have_changed_is_fetched_again(web: WebServer, program: Program, etag: str) -> None:
    headers = ({"ETag": '"1"'}, {"ETag": etag}) if etag else ({}, {})
    url = web.serve("/m", body(b"old", **headers[0]), body(b"new", **headers[1]))
    assert [program.fetch(url), program.fetch(url)] == [0, 0]
    assert program.files == {"m": b"new"}


@pytest.mark.parametrize("harm", ["damaged", "gone", "record damaged", "another url"])
def test_a_file_that_is_not_whole_is_fetched_again(web: WebServer, program: Program, harm: str) -> None:
    url = web.serve("/m", body(MODEL, ETag='"1"'))
    assert program.fetch(url) == 0
    path, record = program.directory / "m", program.directory / ".m.fetched"
    if harm == "damaged":
        path.write_bytes(MODEL[:-1])
    elif harm == "gone":
        path.unlink()
    elif harm == "record damaged":
        record.write_text("{")
    else:
        record.write_text(json.dumps({**json.loads(record.read_text()), "url": "http://other/m"}))
    assert program.fetch(url) == 0
    assert program.files == {"m": MODEL}
    assert program.said.startswith("fetched")


@pytest.mark.parametrize("answer", [status(500), status(403), not_found])
def test_after_a_restart_without_the_server_the_model_of_before_is_used(
    web: WebServer, program: Program, answer
) -> None:
    url = web.serve("/m", body(MODEL, ETag='"1"'), answer)
    assert [program.fetch(url), program.fetch(url)] == [0, 0]
    assert "going on with the m of before" in program.said
    assert len(web.asked) == 2


def test_the_record_has_no_secrets(web: WebServer, program: Program) -> None:
    web.serve("/m", body(MODEL))
    assert program.fetch(f"http://user:secret@{web.host}/m?token=secret") == 0
    assert "secret" not in (program.directory / ".m.fetched").read_text()


def test_what_a_killed_container_left_is_overwritten(web: WebServer, program: Program) -> None:
    program.directory.mkdir()
    (program.directory / ".m.part").write_bytes(b"x" * 10_000)
    assert program.fetch(web.serve("/m", body(MODEL))) == 0
    assert program.files == {"m": MODEL}
