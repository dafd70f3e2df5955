"""Fetches one job: asks, receives, checks, unpacks; again where that may help, not at all where it is there already."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sedna_py.file_ops import TransferLimits
from workers.storage_initializer.archive import unpack
from workers.storage_initializer.errors import Denied, Interrupted, Missing, TransferError
from workers.storage_initializer.http_source import open_http
from workers.storage_initializer.incoming import Incoming, Patience
from workers.storage_initializer.job import Job
from workers.storage_initializer.local_source import open_local
from workers.storage_initializer.place import Record, held, replacing, write_record
from workers.storage_initializer.progress import Progress
from workers.storage_initializer.settings import InitializerSettings

if TYPE_CHECKING:
    from workers.storage_initializer.s3_source import ObjectStore

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetcher:
    """What all jobs share; `say` takes a line of progress."""

    settings: InitializerSettings
    patience: Patience
    say: Callable[[str], None]

    @classmethod
    def begin(cls, settings: InitializerSettings, say: Callable[[str], None]) -> Fetcher:
        """Start the time that the settings give to all jobs."""
        limits = TransferLimits(settings.max_bytes, settings.connect_s, settings.idle_s, settings.total_s)
        return cls(settings, Patience.begin(limits), say)

    def fetch(self, job: Job) -> None:
        """Bring a file, a folder of an object store, or what is in an archive. Raises TransferError."""
        try:
            self._fetch_file(job)
        except Missing:
            if job.scheme != "s3" or job.sha256 or job.is_archive:
                raise
            self._fetch_folder(job)
            return
        weights = job.weights()
        if weights is not None:
            self._fetch_weights(weights)

    def _fetch_weights(self, job: Job) -> None:
        try:
            self._fetch_file(job)
        except (Missing, Denied) as error:  # a store that lets nobody list denies what does not exist
            self.say(f"no {job.name} beside the .xml: {error}")

    def _fetch_folder(self, job: Job) -> None:
        parts = self._persevere(lambda: _object_store(self.settings).list(job, self.patience))
        quiet = replace(self, say=lambda _: None)
        for part in parts:
            quiet._fetch_file(part)
        self.say(f"fetched {job.shown}, a folder with {len(parts)} objects")

    def _fetch_file(self, job: Job) -> None:
        there = held(job)
        if there is not None and job.sha256 and there.sha256 == job.sha256:
            self.say(f"{job.name} is here already")
            return
        try:
            self._persevere(lambda: self._attempt(job, there), attempts=1 if there else None)
        except (Interrupted, Missing, Denied) as error:
            if there is None or job.sha256:
                raise
            # After a restart where the network is down, or a signed URL has expired, the model of before is better than none.
            self.say(f"{error}; going on with the {job.name} of before")

    def _persevere(self, act: Callable[[], T], attempts: int | None = None) -> T:
        pause_s = FIRST_PAUSE_S
        for left in range((attempts or self.settings.attempts) - 1, -1, -1):
            try:
                return act()
            except Interrupted as error:
                if not left:
                    raise
                self.say(f"{error}; trying again")
                self.patience.pause(pause_s * random.uniform(0.5, 1), error)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        raise AssertionError("there is at least one attempt")

    def _attempt(self, job: Job, there: Record | None) -> None:
        with self._open(job) as incoming:
            if there is not None and incoming.version is not None and incoming.version == there.version:
                self.say(f"{job.name} is here already")
                return
            self._check_size(job, incoming.size or 0)
            with _writing(job):
                with replacing(job.place) as partial:
                    sha256 = self._receive(job, incoming, partial)
                if job.is_archive:
                    unpack(job.place, job.directory, self.patience.limits.max_bytes)
                    job.place.unlink()
                write_record(job, Record(url=job.shown, version=incoming.version, sha256=sha256))
        self.say(f"fetched {job.shown}")

    def _receive(self, job: Job, incoming: Incoming, partial: Path) -> str:
        """Write what comes and check it; return its sha256 (hex)."""
        wanted = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *incoming.digests}}
        progress = Progress(job.name, incoming.size, self.say)
        received = 0
        with partial.open("wb") as stream:
            for piece in incoming.pieces:
                received += len(piece)
                self._check_size(job, received)
                _ = self.patience.left_s  # raises when there is none
                stream.write(piece)
                for digest in wanted.values():
                    digest.update(piece)
                progress.received(received)
        if incoming.size not in {None, received}:
            raise Interrupted(f"{job.shown} ended after {received} of {incoming.size} bytes")
        found = {name: digest.hexdigest() for name, digest in wanted.items()}
        _check_digests(job, found, incoming)
        return found["sha256"]

    def _check_size(self, job: Job, size: int) -> None:
        if size > self.patience.limits.max_bytes:
            raise TransferError(
                f"{job.shown} is larger than {self.patience.limits.max_bytes} bytes; raise DOWNLOAD_MAX_BYTES"
            )

    def _open(self, job: Job) -> AbstractContextManager[Incoming]:
        match job.scheme:
            case "s3":
                return _object_store(self.settings).open(job, self.patience)
            case "http" | "https":
                return open_http(job, self.patience)
        return open_local(job, self.patience)


def _object_store(settings: InitializerSettings) -> ObjectStore:
    try:
        from workers.storage_initializer.s3_source import ObjectStore  # only who needs it has minio
    except ImportError as error:
        raise TransferError(f"s3 URLs need the package {error.name}; run: pip install 'sedna-py[storage]'") from error
    return ObjectStore(settings)


def _check_digests(job: Job, found: dict[str, str], incoming: Incoming) -> None:
    if job.sha256 not in {None, found["sha256"]}:
        raise TransferError(
            f"{job.shown} has sha256 {found['sha256']}, and the Model's url demands {job.sha256}; find out who changed it"
        )
    for name, said in incoming.digests.items():
        if found[name] != said:
            raise Interrupted(f"{job.shown} arrived damaged: its {name} is {found[name]}, the server says {said}")


@contextmanager
def _writing(job: Job) -> Iterator[None]:
    try:
        yield
    except TransferError:
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise TransferError(
                f"no space for {job.name} in {job.directory}; give the node or the volume more"
            ) from error
        reason = error.strerror or error
        raise TransferError(f"{job.place} cannot be written: {reason}; mount a volume that can be written") from error
