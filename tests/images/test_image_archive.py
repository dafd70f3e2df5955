"""The archive in the cache: found, not found, old ones discarded."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile

import pytest

from tests.cluster.errors import BuildError, TierUnavailableError
from tests.images import archives
from tests.images.archive import archive_path, discard_old, images_folder, require_machine, scratch_folder
from tests.images.base_image import suite_of
from tests.images.oci_layout import Layout, unpack
from tests.images.recipes import content_key, references


def test_images_of_another_source_are_not_taken_for_these(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = images_folder(environ)
    folder.mkdir(parents=True)
    archive_path(folder, "0123456789abcdef").touch()
    with pytest.raises(TierUnavailableError, match=r"not built: run `python -m tests.images`"):
        archives(environ)
    archive_path(folder, content_key()).touch()
    assert archives(environ) == dict.fromkeys(references(), archive_path(folder, content_key()))


def test_the_newest_archives_are_kept_and_other_files_left_alone(tmp_path):
    for age, key in enumerate("cab"):
        archive_path(tmp_path, key).touch()
        os.utime(archive_path(tmp_path, key), (1000 - age, 1000 - age))
    (tmp_path / "pause-1.tar").touch()
    discard_old(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pause-1.tar", "sedna-py-a.tar", "sedna-py-c.tar"]


def test_what_a_killed_build_left_goes_with_the_next(tmp_path):
    (tmp_path / "build-old" / "source").mkdir(parents=True)
    with scratch_folder(tmp_path) as scratch:
        assert list(tmp_path.iterdir()) == [scratch]
    assert list(tmp_path.iterdir()) == []


def a_layer(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            layer.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def put_image(layout: Layout, name: str, layers: list[bytes]) -> None:
    """Do what `buildah push` does, first to `dir:`, then to `oci:`."""
    folder = layout.folder / "pushed"
    folder.mkdir()
    config = json.dumps({"config": {"Cmd": [name]}}).encode()
    parts = [{"digest": f"sha256:{hashlib.sha256(content).hexdigest()}"} for content in (config, *layers)]
    manifest = json.dumps({"config": parts[0], "layers": parts[1:]}).encode()
    for content in (config, *layers, manifest):
        (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
    (folder / "version").write_text("Directory Transport Version: 1.1")
    layout.take_blobs(folder)
    index = layout.folder / "index.json"
    entries = json.loads(index.read_text())["manifests"] if index.exists() else []
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    entries.append({"digest": digest, "annotations": {"org.opencontainers.image.ref.name": name}})
    index.write_text(json.dumps({"manifests": entries}))


def digest_of(layer: bytes) -> str:
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


def test_images_share_layers_in_the_archive_and_are_found_by_name(tmp_path):
    common, own = a_layer({"base": "b"}), a_layer({"app": "second", "base": "new"})
    layout = Layout(tmp_path / "layout")
    layout.begin()
    put_image(layout, "docker.io/a/first:1", [common])
    put_image(layout, "docker.io/a/second:1", [common, own])
    layout.end()
    layout.write_archive(tmp_path / "archive.tar")
    with tarfile.open(tmp_path / "archive.tar") as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    assert len(files) == len(set(files)) == 2 + 2 + 2 + 2  # layers, configurations, manifests, index and version

    image = unpack(tmp_path / "archive.tar", "docker.io/a/second:1", tmp_path / "root")

    assert image.config["Cmd"] == ["docker.io/a/second:1"]
    assert {path.name: path.read_text() for path in image.root.iterdir()} == {"base": "new", "app": "second"}
    assert image.size == len("b") + len("second") + len("new")
    with pytest.raises(KeyError):
        unpack(tmp_path / "archive.tar", "docker.io/a/third:1", tmp_path / "other")


def test_a_layout_keeps_layers_for_the_next_build_and_drops_those_of_the_last(tmp_path):
    common, old, new = a_layer({"base": "b"}), a_layer({"app": "1"}), a_layer({"app": "2"})
    layout = Layout(tmp_path / "layout")
    for layer in (old, new):
        layout.begin()
        put_image(layout, "docker.io/a/first:1", [common, layer])
        layout.end()
        assert layout.has([digest_of(common), digest_of(layer)])
    assert not layout.has([digest_of(common), digest_of(old)])
    layout.begin()
    assert layout.has([digest_of(common)])


def test_other_systems_are_told_what_to_do_instead():
    with pytest.raises(TierUnavailableError, match="`make images` uses your engine"):
        require_machine("darwin")


def test_the_release_of_debian_is_in_the_bases_tag():
    assert suite_of("docker.io/library/python:3.11-slim-bookworm") == "bookworm"
    with pytest.raises(BuildError, match="does not end in the name of a Debian release"):
        suite_of("docker.io/library/python:3.11")
