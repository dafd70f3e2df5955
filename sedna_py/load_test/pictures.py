"""The pictures that a load test sends: JPEG files as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from sedna_py.errors import SettingsError
from sedna_py.load_test.options import MAX_PAYLOAD_BYTES

MAX_PICTURES: Final = 10_000
_SUFFIXES: Final = frozenset({".jpg", ".jpeg"})
_BEGIN: Final = b"\xff\xd8\xff"  # start of image, and the first byte of the next marker


def load_pictures(paths: Sequence[Path]) -> list[bytes]:
    """Return the JPEG files of these paths; of a folder its .jpg and .jpeg in the order of their names.

    Raises SettingsError for what cannot be read, is no JPEG or is too much.
    """
    pictures: list[bytes] = []
    size = 0
    for path in _files(paths):
        picture = _read(path)
        size += len(picture)
        if len(pictures) == MAX_PICTURES or size > MAX_PAYLOAD_BYTES:
            raise SettingsError(
                f"--image names more than {MAX_PICTURES} pictures or {MAX_PAYLOAD_BYTES} bytes; give fewer files"
            )
        pictures.append(picture)
    return pictures


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not found:
            raise SettingsError(f"--image {path}: no .jpg or .jpeg in this folder; name a folder or file that has some")
        yield from found


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_PAYLOAD_BYTES:
            raise SettingsError(f"--image {path}: more than {MAX_PAYLOAD_BYTES} bytes; name a smaller picture")
        picture = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"--image {path}: {reason}; name a JPEG file or a folder of them") from error
    if not picture.startswith(_BEGIN):
        raise SettingsError(f"--image {path} is not a JPEG file; convert it, or name another one")
    return picture
