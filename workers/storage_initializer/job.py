"""From the command line to what has to be fetched: pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from sedna_py.api.model_mount import ARCHIVES, CHECKSUM
from sedna_py.settings import redact
from workers.storage_initializer.errors import TransferError

SCHEMES: Final = ("s3", "http", "https", "file", "")


@dataclass(frozen=True, slots=True)
class Job:
    """One file: `address` is its URL or path without the fragment, `sha256` what the fragment demands (hex).

    `is_archive`: what is in it is wanted, not the file itself.
    """

    address: str
    directory: Path
    name: str
    sha256: str | None = None
    is_archive: bool = False

    @property
    def place(self) -> Path:
        """Where it shall be."""
        return self.directory / self.name

    @property
    def scheme(self) -> str:
        """Which protocol brings it; "" for a path."""
        return scheme(self.address)

    @property
    def shown(self) -> str:
        """The address without what may be secret: user, password and query."""
        if not self.scheme:
            return self.address
        parts = urlsplit(self.address)
        return redact(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")

    def weights(self) -> Job | None:
        """Return the job for the .bin beside an OpenVINO .xml; None for anything else."""
        stem, dot, suffix = self.name.rpartition(".")
        if not stem or suffix != "xml":
            return None
        path, mark, query = self.address.partition("?") if self.scheme in {"http", "https"} else (self.address, "", "")
        return Job(f"{path[: -len('xml')]}bin{mark}{query}", self.directory, f"{stem}{dot}bin")


def read_jobs(arguments: Sequence[str], environment: Mapping[str, str], indirect_mark: str) -> list[Job]:
    """Return the jobs for (URL, directory) pairs. Raises TransferError saying what to write instead."""
    if not arguments or len(arguments) % 2:
        raise TransferError("write pairs: URL DIRECTORY [URL DIRECTORY ...]")
    direct = [_direct(argument, environment, indirect_mark) for argument in arguments]
    return [_job(url, directory) for url, directory in zip(direct[::2], direct[1::2], strict=True)]


def scheme(address: str) -> str:
    """Return what stands before "://", in lower case; "" for a path."""
    head, separator, _ = address.partition("://")
    return head.lower() if separator else ""


def _direct(argument: str, environment: Mapping[str, str], mark: str) -> str:
    if not mark or not argument.startswith(mark):
        return argument
    name = argument.removeprefix(mark)
    value = environment.get(name)
    if not value:
        raise TransferError(f"the variable {name} is not set; set it, or write the URL or folder itself")
    return value


def _job(url: str, directory: str) -> Job:
    address, sha256 = url, None
    if scheme(url):
        address, _, fragment = url.partition("#")
        sha256 = _checksum(fragment)
    path = unquote(urlsplit(address).path) if scheme(address) else address
    name = posixpath.basename(path.rstrip("/"))
    job = Job(address, Path(directory), name, sha256, is_archive=name.endswith(ARCHIVES))
    if job.scheme not in SCHEMES:
        raise TransferError(f"{job.shown} cannot be fetched; write an s3, http or https URL, or a path")
    if job.name in {"", ".", ".."}:
        raise TransferError(f"{job.shown} names no file; write the URL of a file")
    return job


def _checksum(fragment: str) -> str | None:
    if not fragment.lower().startswith("sha256"):
        return None
    found = CHECKSUM.fullmatch(fragment)
    if found is None:
        raise TransferError(f"#{fragment[:80]} is no checksum; write #sha256= and 64 hexadecimal digits")
    return found[1].lower()
