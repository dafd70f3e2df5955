"""Files of this machine, for a volume that is mounted into the init container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from workers.storage_initializer.errors import Missing
from workers.storage_initializer.incoming import PIECE_BYTES, Incoming, Patience
from workers.storage_initializer.job import Job


@contextmanager
def open_local(job: Job, _: Patience) -> Iterator[Incoming]:
    """Open the file. Raises Missing."""
    path = Path(unquote(urlsplit(job.address).path) if job.scheme else job.address)
    if not path.is_file():
        raise Missing(f"{path} is no file here; write the path of a file, or an s3, http or https URL")
    stat = path.stat()
    with path.open("rb") as stream:
        yield Incoming(_pieces(stream), size=stat.st_size, version=f"{stat.st_mtime_ns}-{stat.st_ino}")


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
