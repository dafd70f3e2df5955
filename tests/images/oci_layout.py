"""A folder and a tar after the OCI image layout: several images, each layer once and not packed, as nodes import it fastest."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

NAME = "org.opencontainers.image.ref.name"
BLOBS = "blobs/sha256"
INDEX = "index.json"
DIGEST_CHARACTERS = 64


@dataclass(frozen=True)
class Layout:
    """A folder that is kept: layers that an image has in common with its predecessor are not written again."""

    folder: Path

    @property
    def blobs(self) -> Path:
        return self.folder / BLOBS

    def begin(self) -> None:
        """Forget the images, not their layers."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        (self.folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}), encoding="utf-8")
        (self.folder / INDEX).unlink(missing_ok=True)

    def has(self, digests: Sequence[str]) -> bool:
        """Return whether all these layers are here."""
        return all((self.blobs / digest.partition(":")[2]).is_file() for digest in digests)

    def take_blobs(self, folder: Path) -> None:
        """Move what buildah wrote into a `dir:` folder to where it looks for what is there already."""
        for path in folder.iterdir():
            if len(path.name) == DIGEST_CHARACTERS:
                path.replace(self.blobs / path.name)
        shutil.rmtree(folder)

    def end(self) -> None:
        """Remove every blob that no image of the index needs."""
        used = set()
        for entry in json.loads((self.folder / INDEX).read_bytes())["manifests"]:
            manifest = json.loads((self.folder / blob(entry["digest"])).read_bytes())
            parts = (entry, manifest["config"], *manifest["layers"])
            used |= {blob(part["digest"]) for part in parts}
        for path in self.blobs.iterdir():
            if f"{BLOBS}/{path.name}" not in used:
                path.unlink()

    def write_archive(self, path: Path) -> None:
        """Write all of it into a tar."""
        with tarfile.open(path, "w") as archive:
            for part in ("oci-layout", INDEX, "blobs"):
                archive.add(self.folder / part, part)


@dataclass(frozen=True)
class UnpackedImage:
    """The file system of an image, and what it says of itself."""

    root: Path
    config: Mapping[str, Any]
    size: int  # bytes of all layers, as engines count it


def unpack(path: Path, name: str, root: Path) -> UnpackedImage:
    """Unpack one image of an archive into a folder, as root; KeyError when the archive does not have it."""
    with tarfile.open(path) as archive:
        entries = {entry["annotations"][NAME]: entry["digest"] for entry in _read(archive, INDEX)["manifests"]}
        manifest = _read(archive, blob(entries[name]))
        size = 0
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=_open(archive, blob(layer["digest"]))) as files:
                # Nothing in it comes from anybody but our own build.
                files.extractall(root, numeric_owner=True, filter="fully_trusted")
                size += sum(member.size for member in files.getmembers())
        return UnpackedImage(root, _read(archive, blob(manifest["config"]["digest"]))["config"], size)


def blob(digest: str) -> str:
    """Return where the layout has the file of this digest."""
    return f"{BLOBS}/{digest.partition(':')[2]}"


def _open(archive: tarfile.TarFile, path: str) -> IO[bytes]:
    file = archive.extractfile(path)
    if file is None:
        raise KeyError(path)
    return file


def _read(archive: tarfile.TarFile, path: str) -> Any:
    with _open(archive, path) as file:
        return json.load(file)
