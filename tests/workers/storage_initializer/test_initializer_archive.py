"""Archives: unpacked into their folder, never outside, never without bound."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.workers.storage_initializer.conftest import Program, WebServer, body, sha256, status


def tar(files: dict[str, bytes], kind: str = "w:gz", **attributes: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=kind) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


FILES = {"m.xml": b"<net/>", "deep/m.bin": b"weights"}


@pytest.mark.parametrize(
    ("name", "data"), [("m.tar", tar(FILES, "w")), ("m.tar.gz", tar(FILES)), ("m.zip", zipped(FILES))]
)
def test_an_archive_is_unpacked_and_deleted(web: WebServer, program: Program, name: str, data: bytes) -> None:
    program.directory.mkdir()
    (program.directory / "deep").mkdir()
    (program.directory / "deep" / "kept").write_bytes(b"kept")
    (program.directory / "m.xml").write_bytes(b"old")
    assert program.fetch(web.serve(f"/{name}", body(data))) == 0
    assert program.files == {**FILES, "deep/kept": b"kept"}


def test_the_checksum_is_that_of_the_archive(web: WebServer, program: Program) -> None:
    data = zipped(FILES)
    url = web.serve("/m.zip", body(data)) + f"#sha256={sha256(data)}"
    assert [program.fetch(url), program.fetch(url)] == [0, 0]
    assert program.files == FILES
    assert len(web.asked) == 1


def test_an_archive_that_was_unpacked_is_enough_without_the_server(web: WebServer, program: Program) -> None:
    url = web.serve("/m.zip", body(zipped(FILES), ETag='"1"'), status(503))
    assert [program.fetch(url), program.fetch(url)] == [0, 0]
    assert program.files == FILES


def test_files_are_readable_for_a_worker_of_another_user(web: WebServer, program: Program) -> None:
    assert program.fetch(web.serve("/m.tar", body(tar({"run": b"#!"}, "w", mode=0o700)))) == 0
    assert (program.directory / "run").stat().st_mode & 0o777 == 0o755
    assert program.fetch(web.serve("/m.tar", body(tar({"m": b"x"}, "w", mode=0o600)))) == 0
    assert (program.directory / "m").stat().st_mode & 0o777 == 0o644


LINK = {"type": tarfile.SYMTYPE, "size": 0}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("m.tar.gz", tar({"../evil": b"x"}), "OutsideDestinationError", id="tar, a parent"),
        pytest.param("m.tar", tar({"a/../../evil": b"x"}, "w"), "OutsideDestinationError", id="tar, a hidden parent"),
        pytest.param("m.tar", tar({"l": b""}, "w", linkname="../..", **LINK), "LinkOutside", id="tar, a link"),
        pytest.param(
            "m.tar", tar({"l": b""}, "w", linkname="/etc", **LINK), "AbsoluteLink", id="tar, an absolute link"
        ),
        pytest.param("m.tar", tar({"d": b""}, "w", type=tarfile.CHRTYPE), "SpecialFileError", id="tar, a device"),
        pytest.param("m.zip", zipped({"../evil": b"x"}), "has a file '../evil' outside its folder", id="zip, a parent"),
        pytest.param("m.zip", zipped({"/evil": b"x"}), "has a file '/evil' outside its folder", id="zip, absolute"),
        pytest.param("m.zip", zipped({"a\\..\\..\\evil": b"x"}), "outside its folder", id="zip, backslashes"),
        pytest.param("m.zip", zipped({"big": bytes(20_000)}), "unpacks to more than 15000 bytes", id="zip, a bomb"),
        pytest.param("m.tar.gz", tar({"a": bytes(9000), "b": bytes(9000)}), "unpacks to more than", id="tar, a bomb"),
        pytest.param("m.zip", b"no zip", "BadZipFile: File is not a zip file; pack it anew", id="no zip"),
        pytest.param("m.tar.gz", b"no tar", "ReadError", id="no tar"),
        pytest.param("m.tar.gz", tar({"a": bytes(range(256)) * 30})[:-60], "cannot be unpacked", id="tar, cut off"),
    ],
)
def test_a_bad_archive_is_refused_and_leaves_nothing(
    web: WebServer, program: Program, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    assert program.fetch(web.serve(f"/{name}", body(data)), DOWNLOAD_MAX_BYTES="15000") == 1
    assert message in program.error
    assert [path for path in tmp_path.rglob("*") if "evil" in path.name] == []
    assert [path for path in program.directory.iterdir() if path.name != name] == []


def test_the_number_of_files_is_bounded(web: WebServer, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.storage_initializer.archive.MOST_FILES", 2)
    assert program.fetch(web.serve("/m.zip", body(zipped(dict.fromkeys("abc", b""))))) == 1
    assert "unpacks to more than" in program.error


def test_a_link_that_an_archive_brought_is_not_followed_by_the_next(
    web: WebServer, program: Program, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    program.directory.mkdir()
    (program.directory / "d").symlink_to(outside)
    assert program.fetch(web.serve("/m.zip", body(zipped({"d/f": b"x"})))) == 0
    assert list(outside.iterdir()) == []
    assert program.files == {"d/f": b"x"}
