"""Images that are written without any image tool."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cluster.errors import BuildError
from tests.cluster.node_images import PAUSE, provide_image, write_archive


def read_members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_an_archive_holds_one_program_that_no_root_runs(tmp_path):
    write_archive(tmp_path / "image.tar", "here.test/thing:1", b"code")
    members = read_members((tmp_path / "image.tar").read_bytes())
    (manifest,) = json.loads(members["manifest.json"])
    config = json.loads(members[manifest["Config"]])
    assert manifest["RepoTags"] == ["here.test/thing:1"]
    layer = members[manifest["Layers"][0]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"] == {"Entrypoint": ["/program"], "User": "65532:65532"}
    assert read_members(layer) == {"program": b"code"}


def test_the_same_program_makes_the_same_archive(tmp_path):
    for name in ("one", "two"):
        write_archive(tmp_path / name, "here.test/thing:1", b"code")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def put_compiler(folder: Path, text: str) -> dict[str, str]:
    compiler = folder / "bin" / "gcc"
    compiler.parent.mkdir()
    compiler.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    compiler.chmod(0o755)
    return {"PATH": f"{compiler.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}


def test_a_program_is_compiled_once(tmp_path, monkeypatch):
    environ = put_compiler(tmp_path, f'echo "$*" >> {tmp_path}/calls; echo code > "$4"')
    monkeypatch.setitem(os.environ, "PATH", environ["PATH"])
    first = provide_image(PAUSE, environ)
    second = provide_image(PAUSE, environ)
    assert first == second
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    assert (tmp_path / "calls").read_text(encoding="utf-8").count("\n") == 1


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    environ = put_compiler(tmp_path, "echo no luck >&2; exit 1")
    monkeypatch.setitem(os.environ, "PATH", environ["PATH"])
    with pytest.raises(BuildError, match=r"no luck$"):
        provide_image(PAUSE, environ)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_pause_program_ends_when_asked_to(tmp_path):
    source = Path(PAUSE.source)
    subprocess.run(["cc", "-o", str(tmp_path / "pause"), str(source)], check=True, timeout=30)
    with subprocess.Popen([tmp_path / "pause"]) as program:
        program.terminate()
        assert program.wait(10) in (0, -15)  # the second when it had not begun
