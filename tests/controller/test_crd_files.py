"""The CRDs in the checkout are those that the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from controller.crd_files import CRD_DIRECTORY, crd_files, write_crd_files


def test_files_are_up_to_date() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in CRD_DIRECTORY.iterdir()}
    assert written == crd_files(), "run `make crds`"


@pytest.mark.parametrize("name", crd_files())
def test_file_is_small_and_has_no_anchors(name: str) -> None:
    text = crd_files()[name]
    assert len(text.encode()) < 100_000
    assert not any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(text))


def test_same_code_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_crd_files(folder)
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == sorted(crd_files())
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
