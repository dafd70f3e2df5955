"""Where files end up: written beside their place, flushed, renamed; and a record of what was fetched.

The volume outlives the container: when a pod's sandbox or its node is restarted, init containers run again. The record
tells then what is there already.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from workers.storage_initializer.job import Job


class Record(BaseModel):
    """What was fetched: `url` without secrets, `version` as the server gave it, `sha256` of the bytes (hex)."""

    url: str
    version: str | None
    sha256: str


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what was written there takes its place, unless there was an error.

    The name is always the same, so that what a killed container left is overwritten and never adds up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        flush(partial)
        partial.replace(path)
        flush_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have a file's bytes on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_directory(path: Path) -> None:
    """Have a directory's names on the disk."""
    flush(path)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file (hex)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_record(job: Job, record: Record) -> None:
    """Note what was fetched for a job."""
    with replacing(_record_path(job)) as partial:
        partial.write_text(record.model_dump_json(), encoding="utf-8")


def held(job: Job) -> Record | None:
    """Return the record of what is there for a job, whole and of the same address; None where that cannot be said."""
    try:
        record = Record.model_validate_json(_record_path(job).read_bytes())
        if record.url != job.shown:
            return None
        # Of an archive nothing is left but what was in it, which was moved to its place before the record was written.
        return record if job.is_archive or sha256_of(job.place) == record.sha256 else None
    except (OSError, ValidationError):
        return None


def _record_path(job: Job) -> Path:
    return job.directory / f".{job.name}.fetched"
