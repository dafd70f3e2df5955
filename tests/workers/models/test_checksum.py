"""Checksums that somebody wrote beside a model are compared; those of other models are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sedna_py.errors import ModelError
from workers.models import checksum
from workers.models.checksum import parse_sums, verify
from workers.models.listing import look
from workers.models.version_folder import Candidate, ModelPlace

DIGEST = "0123456789abcdef" * 4


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def candidate_at(url: Path) -> Candidate:
    return look(ModelPlace(str(url))).candidates[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "m.xml").write_text("graph")
    (tmp_path / "m.bin").write_text("weights")
    return tmp_path


def test_without_checksums_there_is_nothing_to_verify(model: Path) -> None:
    assert verify(candidate_at(model)) == ()


@pytest.mark.parametrize(
    ("name", "text", "files"),
    [
        ("SHA256SUMS", f"{digest('graph')}  m.xml\n{digest('weights')} *m.bin\n\n", ("m.xml", "m.bin")),
        ("m.sha256", f"{digest('graph').upper()}  ./m.xml\r\n{digest('weights')}  m.bin", ("m.xml", "m.bin")),
        ("m.bin.sha256", digest("weights"), ("m.bin",)),
        ("SHA256SUMS", f"{DIGEST}  another.xml\n{digest('weights')}  m.bin", ("m.bin",)),
    ],
)
@pytest.mark.parametrize("url", ["", "m.xml"])
def test_right_checksums_are_verified(model: Path, name: str, text: str, files: tuple[str, ...], url: str) -> None:
    (model / name).write_text(text)
    assert verify(candidate_at(model / url)) == files


def test_a_wrong_checksum_names_the_file_and_both_digests(model: Path) -> None:
    (model / "SHA256SUMS").write_text(f"{digest('graph')}  m.xml\n{DIGEST}  m.bin\n")
    wanted = rf"m\.bin' has sha256 {digest('weights')[:12]}, and SHA256SUMS wants 0123456789ab;"
    with pytest.raises(ModelError, match=wanted):
        verify(candidate_at(model))


def test_a_file_that_has_not_been_copied_yet_is_refused(model: Path) -> None:
    (model / "m.bin").unlink()
    (model / "m.sha256").write_text(f"{DIGEST}  m.bin\n")
    with pytest.raises(ModelError, match=r"m\.bin' cannot be read: No such file.* wants 0123456789ab"):
        verify(candidate_at(model))


def test_in_a_version_folder_every_line_counts_and_names_are_relative_to_the_checksums(tmp_path: Path) -> None:
    (tmp_path / "1" / "parts").mkdir(parents=True)
    (tmp_path / "1" / "m.onnx").write_text("graph")
    (tmp_path / "1" / "parts" / "a").write_text("weights")
    sums = tmp_path / "1" / "parts" / "SHA256SUMS"
    sums.write_text(f"{digest('weights')}  a\n")
    assert verify(candidate_at(tmp_path)) == ("parts/a",)
    sums.write_text(f"{digest('weights')}  a\n{DIGEST}  b\n")
    with pytest.raises(ModelError, match=r"parts/b' cannot be read"):
        verify(candidate_at(tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("not a digest  m.bin", "has the line 'not a digest  m.bin'; write 64 hexadecimal digits"),
        (f"{DIGEST[:-1]}  m.bin", "has the line"),
        (f"{DIGEST} m.bin", "has the line"),
        (f"{DIGEST}  ../m.bin", r"names '\.\./m.bin'; run sha256sum inside"),
        (f"{DIGEST}  /etc/passwd", "names '/etc/passwd'"),
        (f"{DIGEST}  m.bin\n{'0' * 64}  m.bin", "has two checksums for 'm.bin'"),
    ],
)
def test_unreadable_checksums_are_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ModelError, match=f"m.sha256 {says}"):
        parse_sums(text, "m.sha256")


def test_a_file_of_checksums_is_bounded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "LARGEST_SUMS", 100)
    (model / "SHA256SUMS").write_text(f"{digest('graph')}  m.xml\n" * 2)
    with pytest.raises(ModelError, match="more than 100 bytes"):
        verify(candidate_at(model))
